"""A client of the HTTP API, with nothing but the standard library.

>>> from emodask.page.client import Client
>>> client = Client("http://127.0.0.1:7860", password=None)
>>> client.predict("talk.mp4").ranked[0]            # doctest: +SKIP
('happy', 0.61)
"""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emodask.errors import EmodaskError, UsageError
from emodask.page.hosts import is_loopback
from emodask.page.judges.judgement import Judgement, Problem
from emodask.page.judges.problems import too_large
from emodask.page.settings import USER
from emodask.sources.addresses import printable, redact

_PIECE = 1 << 20


class Client:
    """Asks a page's server for judgements.

    Parameters
    ----------
    url : str
        Such as ``http://127.0.0.1:7860``, without a name and password. Loopback is asked without
        the proxy that ``http_proxy`` may name, and no redirect is followed.
    password : str, optional
    timeout : float
        Seconds to wait for an answer: recordings may wait for others.
    patience : float
        Seconds for which a recording is sent again while too many wait, as late as the server asks
        for. By default the first ``busy`` is the answer.

    Raises
    ------
    UsageError
        If that is not the address of a page.
    """

    def __init__(
        self, url: str, password: str | None = None, timeout: float = 600.0, patience: float = 0.0
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if "@" in parts.netloc:
            raise UsageError(
                f"{redact(url)}: an address with a name and a password in it ends up in logs; pass "
                "password=, and the address without them"
            )
        if parts.scheme not in ("http", "https"):
            raise UsageError(f"{url}: the address of a page begins with http:// or https://")
        proxies: dict[str, str] | None = {} if is_loopback(parts.hostname or "") else None
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), _NoRedirects
        )
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._patience = patience
        self._headers: dict[str, str] = {"Accept": "application/json"}
        if password is not None:
            coded = base64.b64encode(f"{USER}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {coded}"

    def predict(self, file: str | Path, pictures: bool = False) -> Judgement:
        """The judgement on one recording.

        Parameters
        ----------
        file : str or Path
            On this machine; it is sent as it is read.
        pictures : bool
            Ask for the pictures of what the bundle saw and heard too.

        Returns
        -------
        Judgement
            With a ``problem``, if there is no verdict.

        Raises
        ------
        UsageError
            If there is no such file.
        EmodaskError
            If the server cannot be reached, or asks for another password.
        """
        path = Path(file)
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file")
        most = int(self.bundles()["limits"]["max_upload"])
        if path.stat().st_size > most:  # the server would end the connection amid the sending
            return Judgement(path.name, problem=too_large(most))
        end = time.monotonic() + self._patience
        answer = self._ask(f"/api/predict?pictures={str(pictures).lower()}", path)
        while "retry_after" in answer and time.monotonic() + answer["retry_after"] <= end:
            time.sleep(answer["retry_after"])
            answer = self._ask(f"/api/predict?pictures={str(pictures).lower()}", path)
        if "problem" in answer and "probabilities" not in answer:
            return Judgement(path.name, problem=Problem(**answer["problem"]))
        return Judgement(
            answer["name"],
            answer["seconds"],
            answer["bundle"] or "",
            tuple(answer["modalities"]),
            answer["probabilities"],
            tuple(answer["steps"]),
            answer["trust"] or "",
            tuple(answer["notes"]),
            {
                name: base64.b64decode(data)
                for name, data in (answer.get("pictures") or {}).items()
                if data
            },
        )

    def bundles(self) -> dict[str, Any]:
        """What judges there, and what a recording may cost, as plain JSON values."""
        return self._ask("/api/bundles")

    def health(self) -> dict[str, Any]:
        """Whether recordings can be judged there, as plain JSON values."""
        return self._ask("/api/health")

    def _ask(self, path: str, file: Path | None = None) -> dict[str, Any]:
        headers, body = dict(self._headers), None
        if file is not None:
            boundary = uuid.uuid4().hex
            start, end = _around(file.name, boundary)
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            headers["Content-Length"] = str(len(start) + file.stat().st_size + len(end))
            body = _pieces(start, file, end)
        request = urllib.request.Request(self._url + path, body, headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return _refused(error, self._url)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise EmodaskError(f"{self._url} does not answer: {reason}") from error
        except json.JSONDecodeError as error:
            raise EmodaskError(f"{self._url} is not the page of an emodask") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Answers that name another address are errors: it would be sent the password."""

    def redirect_request(self, *_: Any) -> None:
        """None: no request."""


def _refused(error: urllib.error.HTTPError, url: str) -> dict[str, Any]:
    """The answer that says a problem."""
    if error.code == 401:
        raise EmodaskError(f"{url} asks for a password, and this is not the right one")
    there = error.headers.get("Location")
    if there:
        raise EmodaskError(
            f"{url} sends on to {printable(redact(there))}; pass that address if the page is there"
        )
    said = error.read(_PIECE)
    if error.headers.get_content_type() == "text/plain":  # of what stands before the API
        raise EmodaskError(f"{url} answers {error.code}: {said.decode('utf-8', 'replace').strip()}")
    try:
        answer = json.loads(said)
        code, text = answer["problem"]["code"], answer["problem"]["text"]
    except (ValueError, KeyError, TypeError):
        raise EmodaskError(f"{url} answers {error.code} {error.reason}") from error
    later = error.headers.get("Retry-After", "")
    wait = {"retry_after": float(later)} if error.code == 503 and later.isdigit() else {}
    return {"problem": {"code": code, "text": text}, **wait}


def _around(name: str, boundary: str) -> tuple[bytes, bytes]:
    """What a form has before and after the file."""
    quoted = name.replace("\\", "_").replace('"', "%22").replace("\r", " ").replace("\n", " ")
    start = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return start.encode(), f"\r\n--{boundary}--\r\n".encode()


def _pieces(start: bytes, file: Path, end: bytes) -> Iterator[bytes]:
    yield start
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece
    yield end
