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
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gradio.server_messages import HeartbeatMessage

from emodask.page.judging.recordings import NoRoom, Recordings

if TYPE_CHECKING:
    from gradio.queueing import Queue

_SESSION = re.compile(r"\w{1,64}", re.ASCII)
_STILL = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/(assets|static)/[\w./-]+",
    re.ASCII,
)
_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/(\w{1,64})", re.ASCII)
_NEWS = re.compile(r"session_hash=(\w{1,64})", re.ASCII)

MOST_BODY = 16 << 10
"""Bytes of an event: names of recordings and what players are set to."""

_BODY_SECONDS = 10.0

_MOST_UNREAD = 50
"""News that wait for a session to read them; each of its events has some five."""

_LAST_NEWS = b'data: {"msg":"close_stream"'

_LEAVING_SECONDS = 2.0
"""How long a page may take to leave after the last news. One that uploads stays."""

_ACCEPTING_SECONDS = 10.0
"""How long an event waits for its page to leave; the last news may be slow to arrive."""


class GradioGate:
    """ASGI application that hands on to Gradio what its page needs, and refuses all else.

    Parameters
    ----------
    app : ASGI application
        Gradio's.
    recordings : Recordings
        What events may name.
    queue : gradio.queueing.Queue
        Of the page's events, with the news that wait for each session.
    events : collection of int
        Those that the page's players and buttons cause, by Gradio's numbers.
    """

    def __init__(
        self, app: Any, recordings: Recordings, queue: Queue, events: Collection[int]
    ) -> None:
        self._app = app
        self._recordings = recordings
        self._queue = queue
        self._events = frozenset(events)
        self._leaving: dict[str, asyncio.Event] = {}

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
        elif path == "/gradio_api/queue/data" and (
            news := _NEWS.fullmatch(scope["query_string"].decode("latin-1"))
        ):
            await self._news(news[1], scope, receive, send)
        elif beat := _HEARTBEAT.fullmatch(path):
            try:
                with self._recordings.opened(beat[1]):
                    await self._app(scope, receive, send)
            except NoRoom:
                await _refuse(send, 503)
        else:
            await _refuse(send, 404)

    async def _news(self, session: str, scope: Any, receive: Any, send: Any) -> None:
        """What a session is told, until whoever reads it has left.

        Gradio is told of that and not cancelled: if a session has several readers, it would leave
        a task behind for each.

        After the last news a page leaves, and asks for news again when its next event is accepted.
        An answer that overtook the last news would find a page that still reads, and whose event
        is then never told: so it waits until the page has left.
        """
        messages = self._queue.pending_messages_per_session.get(session)
        if messages is None:
            return await _refuse(send, 404)
        left = asyncio.Event()

        async def tell() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()
            if self._leaving.get(session) is not left:
                messages.put_nowait(HeartbeatMessage())  # it looks after each who is still there

        async def pass_on(message: Any) -> None:
            if message.get("body", b"").startswith(_LAST_NEWS):
                self._leaving[session] = left
            elif self._leaving.get(session) is left:
                with suppress(TimeoutError):
                    await asyncio.wait_for(left.wait(), _LEAVING_SECONDS)
            await send(message)

        telling = asyncio.create_task(tell())
        # From this version on, answers are not cancelled when whoever asked has left.
        asgi = {**scope.get("asgi", {}), "spec_version": "2.4"}
        try:
            await self._app({**scope, "asgi": asgi}, receive, pass_on)
        finally:
            telling.cancel()
            left.set()
            if self._leaving.get(session) is left:
                del self._leaving[session]

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
        session = self._meant(body)
        if session is None:
            return await _refuse(send, 422)
        self._forget_events()
        if not self._reads(session):
            return await _refuse(send, 503)
        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Any:
            return next(given, None) or await receive()

        async def answer(message: Any) -> None:
            leaving = self._leaving.get(session)
            if leaving and message["type"] == "http.response.start":
                with suppress(TimeoutError):
                    await asyncio.wait_for(leaving.wait(), _ACCEPTING_SECONDS)
            await send(message)

        await self._app(scope, again, answer)

    def _forget_events(self) -> None:
        """Drop the events of sessions that Gradio has forgotten: it drops their news alone."""
        events = self._queue.pending_event_ids_session
        for forgotten in events.keys() - self._queue.pending_messages_per_session.keys():
            del events[forgotten]

    def _reads(self, session: str) -> bool:
        """Whether a session reads its news: Gradio keeps them for whoever may come."""
        unread = self._queue.pending_messages_per_session
        return session not in unread or unread[session].qsize() < _MOST_UNREAD

    def _meant(self, body: bytes) -> str | None:
        """Whose event it is; None if it is none of the page's, or on recordings not here."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict) or not isinstance(event.get("data"), list):
            return None
        number, session = event.get("fn_index"), event.get("session_hash")
        if type(number) is not int or number not in self._events:
            return None
        if not isinstance(session, str) or not _SESSION.fullmatch(session):
            return None
        here = all(
            isinstance(file.get("path"), str)
            and not file.get("is_stream")
            and self._recordings.held(file["path"]) is not None
            for file in _files(event["data"])
        )
        return session if here else None


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
