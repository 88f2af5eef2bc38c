"""What of Gradio's answers a page may ask for: its own files, its events and no more.

Gradio's server also copies files of the machine to where they can be read, fetches addresses,
decodes uploads, remembers whatever sessions are named and tells what it runs. None of that is
reached.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from emodask.page.judging.recordings import NoRoom, Recordings

_SESSION = re.compile(r"\w{1,64}", re.ASCII)
_STILL = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/gradio_api/startup-events|/(assets|static)/[\w./-]+",
    re.ASCII,
)
_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/(\w{1,64})", re.ASCII)
_NEWS = re.compile(rb"session_hash=\w{1,64}")

MOST_BODY = 16 << 10
"""Bytes of an event: names of recordings and what players are set to."""

_BODY_SECONDS = 10.0


class GradioGate:
    """ASGI application that hands on to Gradio what its page needs, and refuses all else.

    Parameters
    ----------
    app : ASGI application
        Gradio's.
    recordings : Recordings
        What events may name.
    events : collection of int
        Those that the page's players and buttons cause, by Gradio's numbers.
    """

    def __init__(self, app: Any, recordings: Recordings, events: Collection[int]) -> None:
        self._app = app
        self._recordings = recordings
        self._events = frozenset(events)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["method"] in ("GET", "HEAD"):
            await self._read(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] == "/gradio_api/queue/join":
            await self._event(scope, receive, send)
        else:
            await _refuse(send, 404)

    async def _read(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if _STILL.fullmatch(path) and ".." not in path:
            await self._app({**scope, "query_string": b""}, receive, send)
        elif path == "/gradio_api/queue/data" and _NEWS.fullmatch(scope["query_string"]):
            await self._app(scope, receive, send)
        elif beat := _HEARTBEAT.fullmatch(path):
            try:
                with self._recordings.opened(beat[1]):
                    await self._app(scope, receive, send)
            except NoRoom:
                await _refuse(send, 503)
        else:
            await _refuse(send, 404)

    async def _event(self, scope: Any, receive: Any, send: Any) -> None:
        if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
            return await _refuse(send, 411)
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _whole(receive)
        except TimeoutError:
            return await _refuse(send, 408)
        if body is None:
            return await _refuse(send, 413)
        if not self._meant(body):
            return await _refuse(send, 422)
        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Any:
            return next(given, None) or await receive()

        await self._app(scope, again, send)

    def _meant(self, body: bytes) -> bool:
        """Whether an event is one of the page's, on recordings that are here."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(event, dict) or not isinstance(event.get("data"), list):
            return False
        number, session = event.get("fn_index"), event.get("session_hash")
        if type(number) is not int or number not in self._events:
            return False
        if not isinstance(session, str) or not _SESSION.fullmatch(session):
            return False
        return all(
            isinstance(file.get("path"), str)
            and not file.get("is_stream")
            and self._recordings.held(file["path"]) is not None
            for file in _files(event["data"])
        )


def _files(data: Any) -> Iterator[dict[str, Any]]:
    """Everything in an event that names a file."""
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "path" in one:
                yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


async def _whole(receive: Any) -> bytes | None:
    """The body of a request; None if it is too large, or whoever sent it has left."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            return None
        if not message.get("more_body"):
            return body


async def _refuse(send: Any, status: int) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"The page asks for nothing of this kind.\n"})
