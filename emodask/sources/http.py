"""Files on web servers: what a server says of one, and ranges of it, never more than asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emodask.sources import retry
from emodask.sources.faults import ShortReadError

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_BLOCK = 1 << 20


class WebFileError(Exception):
    """An answer that tells of no trouble on the way, and is not what is needed all the same."""


@dataclass(frozen=True)
class Version:
    """What a web server says of a file.

    Attributes
    ----------
    size : int or None
        In bytes, None if it does not say.
    ranges : bool
        Whether it sends parts of the file.
    etag, modified : str
        As the server states them; empty if it does not.
    """

    size: int | None
    ranges: bool
    etag: str = ""
    modified: str = ""

    def same(self, other: Version) -> bool:
        """Whether both are of one file, as far as can be told.

        Servers behind one address may tag the same file differently: a tag alone says nothing where
        size and date agree. What is read from a zip is checked against its checksums anyway.
        """
        if self.size != other.size:
            return False
        if self.etag and self.etag == other.etag:
            return True
        if self.modified or other.modified:
            return self.modified == other.modified
        return self.etag == other.etag or not (self.etag and other.etag)


def is_web(fs: Any) -> bool:
    """Whether a file system is fsspec's for http and https."""
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "http" in protocols and hasattr(fs, "set_session")


async def look(fs: Any, url: str) -> Version:
    """Ask for the first byte of a file: servers that refuse HEAD, and signed addresses, allow that.

    Parameters
    ----------
    fs : fsspec.implementations.http.HTTPFileSystem
    url : str

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    async with await _get(fs, url, 1, {"Range": "bytes=0-0"}) as response:
        if response.status == 416:
            return _version(response, size=_total(response) or 0, ranges=True)
        _check_status(response, url)
        if response.status == 206:
            await response.read()
            return _version(response, size=_total(response), ranges=True)
        response.close()  # all of the file is on its way
        return _version(response, size=response.content_length, ranges=False)


async def read(
    fs: Any, url: str, start: int | None, end: int | None, expected: Version | None = None
) -> bytes:
    """Bytes from ``start`` up to but without ``end``, fewer where the file ends before.

    Parameters
    ----------
    fs : fsspec.implementations.http.HTTPFileSystem
    url : str
    start, end : int or None
        Both None for the whole file.
    expected : Version, optional
        What the server said of the file before.

    Raises
    ------
    WebFileError
        If the server sends no ranges, or the file is another one now. The answer's body is not
        read then.
    ShortReadError
        If there are fewer bytes than the server holds.
    """
    if start is None and end is None:
        return await _read_whole(fs, url, expected)
    first = start or 0
    if end is not None and end <= first:
        return b""
    wanted = f"bytes={first}-{'' if end is None else end - 1}"
    size = (end or 0) - first if end is not None else 0
    async with await _get(fs, url, size, {"Range": wanted}) as response:
        if response.status == 416 and expected is None:
            return b""
        if response.status == 416:
            response.close()
            raise _changed()
        _check_status(response, url)
        if response.status != 206:
            _refuse_whole(response, expected)
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        total = _total(response)
        if expected is not None and not expected.same(_version(response, total, True)):
            response.close()
            raise _changed()
        if not found or found[1] is None or int(found[1]) != first:
            response.close()
            raise WebFileError("the server sends another range than the one asked for")
        last = int(found[2]) if end is None else end - 1
        length = (last if total is None else min(last, total - 1)) - first + 1
        return await _receive(response, length)


async def _read_whole(fs: Any, url: str, expected: Version | None) -> bytes:
    size = expected.size if expected is not None else None
    async with await _get(fs, url, size or 0, {}) as response:
        _check_status(response, url)
        packed = response.headers.get("Content-Encoding", "identity") != "identity"
        if packed or response.content_length is None:
            return bytes(await response.read())
        found = _version(response, response.content_length, True)
        if expected is not None and not expected.same(found):
            response.close()
            raise _changed()
        return await _receive(response, response.content_length)


async def _get(fs: Any, url: str, size: int, headers: dict[str, str]) -> ClientResponse:
    """Send a GET, with the options that the file system was given for its requests."""
    import aiohttp

    session = await fs.set_session()
    options = dict(fs.kwargs)
    # A packed answer has other ranges than the file.
    options["headers"] = {**options.get("headers", {}), "Accept-Encoding": "identity", **headers}
    if "timeout" not in fs.client_kwargs:
        limit = aiohttp.ClientTimeout(total=retry.time_limit(size), sock_read=retry.PATIENCE)
        options.setdefault("timeout", limit)
    response: ClientResponse = await session.get(fs.encode_url(url), **options)
    return response


def _check_status(response: ClientResponse, url: str) -> None:
    if response.status == 404:
        raise FileNotFoundError(url)
    response.raise_for_status()


def _refuse_whole(response: ClientResponse, expected: Version | None) -> None:
    """Refuse the whole file where a part was asked for, without reading it."""
    found = _version(response, response.content_length, False)
    response.close()
    if expected is not None and expected.ranges and not expected.same(found):
        raise _changed()
    raise WebFileError(
        "the server ignores range requests, so zips cannot be read where they lie; download it"
    )


def _changed() -> WebFileError:
    return WebFileError("it has changed on the server since it was listed; run again")


def _total(response: ClientResponse) -> int | None:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return int(found[3]) if found and found[3] != "*" else None


def _version(response: ClientResponse, size: int | None, ranges: bool) -> Version:
    headers = response.headers
    return Version(size, ranges, headers.get("ETag", ""), headers.get("Last-Modified", ""))


async def _receive(response: ClientResponse, length: int) -> bytes:
    data = bytearray()
    async for block in response.content.iter_chunked(_BLOCK):
        data += block
        if len(data) > length:
            response.close()
            raise WebFileError(f"asked for {length} bytes, and the server sends more")
    if len(data) < length:
        raise ShortReadError(f"got {len(data)} of {length} bytes; the answer was cut short")
    return bytes(data)
