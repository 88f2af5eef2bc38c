"""A server with the shape of Zenodo's API, that fails when and as a test wants it to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from tests.servers.processes import wait_until

RECORD = "1188976"

Answer = Callable[["Exchange"], None]
"""Answers one request in place of the server."""


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    headers: dict[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        """The file's name, or ``record``."""
        found = re.fullmatch(r".*/files/([^/]+)/content(\?.*)?", self.path)
        return found[1] if found else "record"

    @property
    def start(self) -> int:
        """The first byte asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0


@dataclass
class Zenodo:
    """A running server, the files of its record, and how it is to answer.

    Attributes
    ----------
    shape : {"list", "entries", "apart"}
        Files as a list in the record, by name in the record, or listed at ``/files``.
    next, always : dict
        Answers by file name, or ``record``: for the coming requests one each, or for all others.
    arrived : callable
        How much of a file the client has: a connection breaks only when it has what was sent.
    """

    files: dict[str, bytes]
    url: str = ""
    shape: str = "list"
    etags: bool = True
    ranges: bool = True
    edit: Callable[[list[dict[str, Any]]], Any] = lambda entries: entries
    next: dict[str, list[Answer]] = field(default_factory=dict)
    always: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    arrived: Callable[[str], int] = lambda name: 1 << 60

    def record(self, path: str) -> Any:
        """The JSON of the record, or of the list of its files."""
        here = f"{self.url}/api/records/{RECORD}/files"
        links = ("self",) if self.shape == "list" else ("content",)
        entries = [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                "links": {
                    "self": f"{here}/{name}",
                    **{link: f"{here}/{name}/content" for link in links},
                },
            }
            for name, content in self.files.items()
        ]
        entries = self.edit(entries)
        if path.endswith("/files"):
            return {"enabled": True, "entries": entries}
        if self.shape == "apart":
            return {"id": RECORD, "files": {"enabled": True}}
        if self.shape == "entries":
            return {"files": {"enabled": True, "entries": {e["key"]: e for e in entries}}}
        return {"id": int(RECORD), "files": entries}

    def asked(self, name: str) -> list[Request]:
        """The requests for a file."""
        return [request for request in self.requests if request.name == name]

    def etag(self, name: str) -> str:
        """Names the version of a file."""
        return f'"{hashlib.sha1(self.files[name]).hexdigest()}"'


class Exchange(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer as told, or as Zenodo does."""
        site = self.site = self.server.site
        self.request_ = Request(self.path, dict(self.headers.items()))
        name = self.request_.name
        with self.server.lock:
            site.requests.append(self.request_)
            queue = site.next.get(name)
            answer = queue.pop(0) if queue else site.always.get(name, Exchange.serve)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            answer(self)

    def serve(self, **changes: Any) -> None:
        """The right answer, or one with changes: see :meth:`send_file`."""
        name = self.request_.name
        if name in self.site.files:
            self.send_file(self.site.files[name], **changes)
        elif self.path in (f"/api/records/{RECORD}", f"/api/records/{RECORD}/files"):
            self.send(200, json.dumps(self.site.record(self.path)).encode())
        else:
            self.send(404, b'{"status": 404, "message": "The persistent identifier is unknown."}')

    def send_file(
        self,
        content: bytes,
        *,
        announce: int | None = None,
        until: int | None = None,
        then: str = "drop",
        shift: int = 0,
    ) -> None:
        """Send a file, or the range asked for.

        Parameters
        ----------
        announce : int, optional
            Claim that this many bytes are all, and send them.
        until : int, optional
            Send the bytes before this offset of the file alone.
        then : {"drop", "stall"}
            Break the connection there, or keep it without a byte.
        shift : int
            Send a range that begins so much later than the one asked for.
        """
        name, start = self.request_.name, self.request_.start
        whole = len(content)
        condition = self.request_.headers.get("If-Range")
        partial = "Range" in self.request_.headers and self.site.ranges
        if partial and condition and (not self.site.etags or condition != self.site.etag(name)):
            partial = False
        headers = {"ETag": self.site.etag(name)} if self.site.etags else {}
        start = start + shift if partial else 0
        if partial and start >= whole:
            self.send(416, b"", {"Content-Range": f"bytes */{whole}"})
            return
        if partial:
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        body = content[start:][:announce]
        stop = len(body) if until is None else max(0, until - start)
        self.head(206 if partial else 200, len(body), headers)
        self.wfile.write(body[:stop])
        self.wfile.flush()
        if stop < len(body):
            if then == "stall":
                self.site.released.wait()
            elif stop:
                # What lies in a client's buffers when a connection breaks is lost.
                wait_until(lambda: self.site.arrived(name) >= start + stop, "no bytes arrived")
            self.close_connection = True

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.head(status, len(body), headers or {})
        self.wfile.write(body)

    def head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        """Send the first lines of an answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: tests look at what was asked."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    site: Zenodo
    lock = threading.Lock()


def busy(status: int = 503, retry_after: str | None = None) -> Answer:
    """An answer that asks to come later."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda exchange: exchange.send(status, b"later", headers)


def refusing(status: int) -> Answer:
    """An answer that is final."""
    return lambda exchange: exchange.send(status, b"no")


def redirecting(url: str, status: int = 302) -> Answer:
    """An answer that points elsewhere."""
    return lambda exchange: exchange.send(status, b"", {"Location": url})


def saying(body: bytes, **headers: str) -> Answer:
    """An answer of other bytes."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda exchange: exchange.send(200, body, named)


def changed(**changes: Any) -> Answer:
    """The file, but for changes that :meth:`Exchange.send_file` knows."""
    return lambda exchange: exchange.serve(**changes)


def corrupt(exchange: Exchange) -> None:
    """The file with its last byte changed."""
    content = exchange.site.files[exchange.request_.name]
    exchange.send_file(content[:-1] + bytes([content[-1] ^ 1]))


def hang_up(exchange: Exchange) -> None:
    """No answer at all."""
    exchange.close_connection = True
    exchange.connection.close()


@contextlib.contextmanager
def zenodo(files: Mapping[str, bytes]) -> Iterator[Zenodo]:
    """A server of a record with these files, while the block lasts."""
    server = _Server(("127.0.0.1", 0), Exchange)
    site = server.site = Zenodo(dict(files), f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def ravdess_files(actors: int = 3, size: int = 300_000) -> dict[str, bytes]:
    """Files with RAVDESS's names and bytes of their own, none as long as another."""
    names = [f"Video_Speech_Actor_{actor:02d}.zip" for actor in range(1, actors + 1)]
    names += ["Video_Song_Actor_01.zip", "Audio_Speech_Actors_01-24.zip"]
    names += ["Audio_Song_Actors_01-24.zip"]
    random = Random(7)
    return {name: random.randbytes(size + i) for i, name in enumerate(names)}
