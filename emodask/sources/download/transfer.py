"""One file: fetched where it was left off, checked as it comes, begun again once if it is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from emodask.errors import DownloadError
from emodask.sources.download.client import Client, TryAgain
from emodask.sources.download.event_loop import in_thread
from emodask.sources.download.record import RemoteFile
from emodask.sources.download.sink import Place, Sink

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_BLOCK = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class FileNews:
    """What happens to one file.

    Attributes
    ----------
    name : str
    what : {"begun", "bytes", "waiting", "again", "done", "failed"}
        ``waiting`` before another try, ``again`` when its bytes were wrong and are forgotten.
    there, size : int
        Bytes so far, those of earlier runs included, and of the whole file.
    note : str
        Why it waits, begins again or failed.
    """

    name: str
    what: Literal["begun", "bytes", "waiting", "again", "done", "failed"]
    there: int
    size: int
    note: str = ""


OnNews = Callable[[FileNews], None]


async def fetch_file(client: Client, file: RemoteFile, place: Place, news: OnNews) -> None:
    """Fetch one file into its place.

    Raises
    ------
    DownloadError
        If its bytes are wrong twice, or the place does not take them.
    SourceError
        If the server refuses; UnreachableError if it does not answer, asked several times.
    """
    sink = await in_thread(place.open, file)
    try:
        transfer = _Transfer(client, file, sink, news)
        transfer.tell("begun")
        wrong = await transfer.run()
        if wrong:
            transfer.tell("again", wrong)
            await in_thread(sink.restart)
            wrong = await transfer.run()
        if wrong:
            await in_thread(sink.restart)
            raise DownloadError(f"{file}: {wrong}, twice; nothing of it is kept")
        await in_thread(sink.finish)
        transfer.tell("done")
    finally:
        await in_thread(sink.close)


class _Transfer:
    def __init__(self, client: Client, file: RemoteFile, sink: Sink, news: OnNews) -> None:
        self._client = client
        self._file = file
        self._sink = sink
        self._news = news

    def tell(self, what: Any, note: str = "") -> None:
        self._news(FileNews(self._file.name, what, self._sink.offset, self._file.size, note))

    async def run(self) -> str | None:
        """Fetch what is missing; None when all bytes are right, or what is wrong with them."""
        patience = self._client.patience
        failures = 0
        while self._sink.offset < self._file.size:
            before, since = self._sink.offset, time.monotonic()
            try:
                wrong = await self._request()
                if wrong:
                    return wrong
                if self._sink.offset < self._file.size:
                    raise TryAgain("the server sent less than it announced")
            except TryAgain as trouble:
                # A server that trickles must not be asked for ever.
                worth = patience.least_rate * (time.monotonic() - since)
                failures = 1 if self._sink.offset - before > worth else failures + 1
                await self._client.pause(
                    trouble, failures, self._file.name, lambda why, wait: self._waiting(why, wait)
                )
        found = self._sink.md5()
        if found == self._file.md5:
            return None
        return f"its bytes have the MD5 {found}, and the record says {self._file.md5}"

    def _waiting(self, why: str, wait: float) -> None:
        self.tell("waiting", f"{why}; again in {wait:.0f} s")

    async def _request(self) -> str | None:
        """One request for the missing bytes; says what is wrong with the answer, if anything is."""
        headers = {"Accept": "*/*"}
        if self._sink.offset:
            headers["Range"] = f"bytes={self._sink.offset}-"
            if self._sink.etag:
                headers["If-Range"] = self._sink.etag
        async with self._client.get(self._file.url, headers) as response:
            if response.status == 416:
                return "the server says that it is shorter than the bytes that are here"
            if response.status == 206:
                wrong = self._check_range(response)
            else:
                wrong = self._check_length(response)
                if self._sink.offset:  # another version, or a server without ranges
                    await in_thread(self._sink.restart)
                    self.tell("again", "the server sends it from the start")
            if wrong:
                return wrong
            await in_thread(self._sink.tag, _strong_etag(response))
            return await self._receive(response)

    def _check_range(self, response: ClientResponse) -> str | None:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != self._sink.offset:
            return "the server sends another range than the one asked for"
        if found[3] not in ("*", str(self._file.size)):
            return f"the server has {found[3]} bytes, and the record says {self._file.size}"
        return None

    def _check_length(self, response: ClientResponse) -> str | None:
        if response.status != 200:
            return f"the server answers {response.status}"
        length = response.content_length
        if length is not None and length != self._file.size:
            return f"the server sends {length} bytes, and the record says {self._file.size}"
        return None

    async def _receive(self, response: ClientResponse) -> str | None:
        patience = self._client.patience
        since, received = time.monotonic(), 0
        async for block in response.content.iter_chunked(_BLOCK):
            if self._sink.offset + len(block) > self._file.size:
                return f"the server sends more than the {self._file.size} bytes of the record"
            await in_thread(self._sink.write, block)
            self.tell("bytes")
            received += len(block)
            if (passed := time.monotonic() - since) >= patience.stall:
                if received < patience.least_rate * passed:
                    raise TryAgain(f"it stalled: {received} bytes in {passed:.0f} s")
                since, received = time.monotonic(), 0
        return None


def _strong_etag(response: ClientResponse) -> str | None:
    """The tag of the version sent, if it names exact bytes: ``If-Range`` takes no weak one."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else None
