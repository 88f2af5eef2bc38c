"""Bytes over HTTP in ranges, so that players can seek: one range a request (RFC 9110, 14)."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from emodask.page.results.media import Playable

PIECE = 512 << 10
"""Bytes read and sent at a time."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_DIGITS = 18
_SEND_SECONDS = 60.0
"""Who takes no piece for so long is sent no more; players that paused ask for the rest again."""

Read = Callable[[Callable[[], bytes]], Awaitable[bytes]]
"""Runs blocking work elsewhere than on the event loop."""


class Unsatisfiable(Exception):
    """A range that begins behind the end."""


def wanted_range(header: str, size: int) -> tuple[int, int] | None:
    """What part of some bytes a ``Range`` header asks for.

    Parameters
    ----------
    header : str
        Its value, empty if there is none.
    size : int
        Of all bytes.

    Returns
    -------
    (int, int) or None
        First byte, and the one behind the last. None asks for all: several ranges, other units and
        what cannot be understood are ignored, as a server may.

    Raises
    ------
    Unsatisfiable

    Examples
    --------
    >>> wanted_range("bytes=5-", 10), wanted_range("bytes=-3", 10), wanted_range("bytes=0-99", 10)
    ((5, 10), (7, 10), (0, 10))
    >>> wanted_range("lines=1-2", 10), wanted_range("bytes=0-1,4-5", 10)
    (None, None)
    """
    found = _RANGE.fullmatch(header.strip())
    if not found or max(map(len, found.groups())) > _DIGITS:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        if not length:
            raise Unsatisfiable
        return size - length, size
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, end


class RangedResponse(StreamingResponse):
    """Some bytes, or a range of them, as a request's headers ask for.

    Parameters
    ----------
    playable : Playable
    request : Request
    headers : mapping
        Of the answer, ``Content-Type`` among them.
    in_thread : callable
        Reads a piece without holding up others.
    done : callable
        Called when the answer has been sent, or has broken off.
    """

    def __init__(
        self,
        playable: Playable,
        request: Request,
        headers: Mapping[str, str],
        in_thread: Read,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self._playable, self._in_thread, self._done = playable, in_thread, done
        size = playable.size
        about = {**headers, "Accept-Ranges": "bytes"}
        status, start, end = 200, 0, size
        # There are no validators: what an If-Range compares with is another version.
        asked = "" if "if-range" in request.headers else request.headers.get("range", "")
        try:
            if part := wanted_range(asked, size):
                status, (start, end) = 206, part
                about["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        except Unsatisfiable:
            status, end = 416, 0
            about["Content-Range"] = f"bytes */{size}"
        about["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            end = start
        super().__init__(self._pieces(start, end), status, about)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_soon(message: Message) -> None:
            with anyio.fail_after(_SEND_SECONDS):
                await send(message)

        try:
            with contextlib.suppress(ClientDisconnect, TimeoutError):
                await super().__call__(scope, receive, send_soon)
        finally:
            self._done()

    async def _pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, end, PIECE):
            read = functools.partial(self._playable.read, at, min(at + PIECE, end))
            yield await self._in_thread(read)
