"""A web server for files, with ranges, tags and Zenodo's addresses, that counts what it sends."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_BLOCK = 1 << 16


@dataclass
class WebFiles:
    """A running server and its files, which tests may replace at any time.

    Attributes
    ----------
    ranges : bool
        Whether it sends parts of files.
    dated, tagged : bool
        Whether it states the version of a file.
    sizes : bool
        Whether it says how large a file is before it sends it.
    requests : list of (method, target, range)
    sent : int
        Bytes of bodies so far.
    """

    files: dict[str, bytes]
    url: str = ""
    ranges: bool = True
    dated: bool = True
    tagged: bool = True
    sizes: bool = True
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    sent: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    def replace(self, name: str, data: bytes) -> None:
        """Put another version of a file."""
        self.files[name] = data
        self.versions[name] = self.versions.get(name, 0) + 1

    def plain(self, name: str) -> str:
        """A file's address."""
        return f"{self.url}/data/{name}"

    def record(self, name: str) -> str:
        """A file's address on the page of a Zenodo record."""
        return f"{self.url}/records/1/files/{name}?download=1"

    def api(self, name: str) -> str:
        """A file's address in Zenodo's API."""
        return f"{self.url}/api/records/1/files/{name}/content"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        """Refuse, as signed addresses do."""
        self.respond(405, b"")

    def do_GET(self) -> None:
        """Send a file, or the part asked for."""
        site, lock = self.server.site, self.server.lock
        asked = self.headers.get("Range", "")
        with lock:
            site.requests.append((self.command, self.path, asked))
        name = re.sub(r"(/content)?(\?.*)?$", "", self.path).rpartition("/")[2]
        if name not in site.files:
            self.respond(404, b"no such file")
            return
        data = site.files[name]
        version = site.versions.get(name, 0)
        headers = {"Accept-Ranges": "bytes"} if site.ranges else {}
        if site.tagged:
            headers["ETag"] = f'"{name}-{version}"'
        if site.dated:
            headers["Last-Modified"] = f"Sat, 01 Jan 2000 00:00:{version:02d} GMT"
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if not part or not site.ranges:
            self.respond(200, data, headers)
            return
        first = int(part[1])
        last = min(int(part[2] or len(data)), len(data) - 1)
        if first >= len(data):
            self.respond(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self.respond(206, data[first : last + 1], headers)

    def respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer; what the client does not take is not counted."""
        site, lock = self.server.site, self.server.lock
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if site.sizes or status == 206:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.end_headers()
            for start in range(0, len(body), _BLOCK):
                sent = self.wfile.write(body[start : start + _BLOCK])
                with lock:
                    site.sent += sent

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: WebFiles) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.site = site
        self.lock = threading.Lock()

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients hang up."""


@contextlib.contextmanager
def web_files(files: dict[str, bytes], **settings: Any) -> Iterator[WebFiles]:
    """A web server while the block lasts."""
    site = WebFiles(files, **settings)
    server = _Server(site)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
