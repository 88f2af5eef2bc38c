"""A proxy before any HTTP server of the tests that answers some requests badly, as planned."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

FAULTS = ("500", "503", "503 empty", "drop", "lost", "cut", "short", "stall", "slow")
"""What can befall a request:

``500``, ``503``
    Not passed on; answered as S3 does, with a body of XML.
``503 empty``
    The same without a body.
``drop``
    Not passed on; the connection is closed without an answer.
``lost``
    Passed on, so that what it asked for happens; the connection is closed without an answer.
``cut``
    The connection breaks in the middle of the answer.
``short``
    Half of the bytes of a range, in an answer that is whole by its own account.
``stall``
    No answer until the client gives up.
``slow``
    The right answer, in small pieces.
"""

RATE = 0.1
_PIECES, _PAUSE = 20, 0.01
_CODES = {"500": ("Internal Server Error", "InternalError"), "503": ("Slow Down", "SlowDown")}


@dataclass(frozen=True)
class Request:
    """One request as the proxy saw it, numbered from 1."""

    number: int
    method: str
    target: str
    range: str = ""


Plan = Callable[[Request], str | None]
"""What befalls a request, None for nothing; called in the order in which requests arrive."""


def no_faults(request: Request) -> None:
    """Pass everything on."""


def at_random(seed: int, faults: Sequence[str] = FAULTS, rate: float = RATE) -> Plan:
    """Each request meets one of the faults at a rate, as a seeded generator draws them."""
    draw = random.Random(seed)
    return lambda request: draw.choice(faults) if draw.random() < rate else None


def outage_from(pattern: str, first: str = "503 empty") -> Plan:
    """Answer every request with 503 from the first on whose method and target match a pattern.

    That one meets a fault of its own: ``lost``, say, where it is still to take effect.
    """
    out: list[Request] = []

    def plan(request: Request) -> str | None:
        if out:
            return "503 empty"
        if re.search(pattern, f"{request.method} {request.target}"):
            out.append(request)
            return first
        return None

    return plan


class FaultyProxy:
    """An HTTP proxy on a loopback port; each connection carries one request.

    Attributes
    ----------
    plan : callable
        May be replaced at any time.
    seen : list of (Request, str or None)
        All requests so far, and what befell them.
    """

    def __init__(self, upstream: str, plan: Plan = no_faults) -> None:
        parts = urlsplit(upstream)
        self.upstream = parts.hostname or "127.0.0.1", parts.port or 80
        self.plan = plan
        self.seen: list[tuple[Request, str | None]] = []
        self.port = 0

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> int:
        """How many requests arrived."""
        return len(self.seen)

    @property
    def faults(self) -> Counter[str]:
        """How often each fault happened."""
        return Counter(fault for _, fault in self.seen if fault)

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head, body = await _message(client, back)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            found = re.search(rb"(?im)^range:\s*(\S+)", head)
            asked = Request(
                len(self.seen) + 1, method, target, found.group(1).decode() if found else ""
            )
            fault = self.plan(asked)
            self.seen.append((asked, fault))
            if fault == "stall":
                await client.read()
            elif fault and fault[:3] in _CODES:
                back.write(_refusal(fault, method))
            elif fault != "drop":
                answer = await self._forward(head, body)
                if fault != "lost":
                    await _send(back, answer, fault)
            await back.drain()
        back.close()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        # Each connection ends with its answer: where it ends needs no parsing.
        head = re.sub(rb"(?im)^(connection|expect):[^\r]*\r\n", b"", head)
        there, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            return await there.read()
        finally:
            writer.close()


async def _message(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> tuple[bytes, bytes]:
    """Head and body of a request, the body as it came over the wire."""
    head = await client.readuntil(b"\r\n\r\n")
    if re.search(rb"(?im)^expect:\s*100-continue", head):
        back.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    if length:
        return head, await client.readexactly(int(length.group(1)))
    body = b""
    if re.search(rb"(?im)^transfer-encoding:\s*chunked", head):
        while not body.endswith(b"0\r\n\r\n"):
            size = await client.readuntil(b"\r\n")
            body += size + await client.readexactly(int(size.split(b";")[0], 16) + 2)
    return head, body


def _refusal(fault: str, method: str) -> bytes:
    phrase, code = _CODES[fault[:3]]
    text = (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f"<Error><Code>{code}</Code><Message>as planned</Message></Error>"
    )
    body = b"" if fault.endswith("empty") else text.encode()
    head = (
        f"HTTP/1.1 {fault[:3]} {phrase}\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)


async def _send(back: asyncio.StreamWriter, answer: bytes, fault: str | None) -> None:
    if fault == "short" and answer.startswith(b"HTTP/1.1 206"):
        head, _, body = answer.partition(b"\r\n\r\n")
        length = b"Content-Length: %d" % (len(body) // 2)
        head = re.sub(rb"(?im)^content-length:[^\r]*", length, head)
        answer = head + b"\r\n\r\n" + body[: len(body) // 2]
    elif fault in ("cut", "short"):
        end = answer.index(b"\r\n\r\n") + 4
        answer = answer[: (end + len(answer)) // 2 if len(answer) > end else end // 2]
    if fault == "slow":
        step = len(answer) // _PIECES + 1
        for start in range(0, len(answer), step):
            back.write(answer[start : start + step])
            await back.drain()
            await asyncio.sleep(_PAUSE)
    else:
        back.write(answer)


@contextlib.contextmanager
def faulty_proxy(upstream: str, plan: Plan = no_faults) -> Iterator[FaultyProxy]:
    """A proxy before the server at an address, while the block lasts."""
    proxy = FaultyProxy(upstream, plan)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="faulty-proxy")
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 20)

    async def stop() -> None:
        server.close()
        mine = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not mine]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
