"""Zip archives read where they lie: the central directory first, then one range a member."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

from emodask.errors import MediaError, SourceError
from emodask.sources.location import Location

_TAIL = 1 << 16
_END_RECORD = 22
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_SLACK = 64
"""Bytes allowed for extra fields that the local header has and the directory has not."""

MAX_DIRECTORY = 32 << 20
MAX_MEMBERS = 200_000
MAX_MEMBER_SIZE = 2 << 30
MAX_RATIO = 200
"""Largest ratio of inflated to stored size for members of more than ``_RATIO_MATTERS`` bytes."""
_RATIO_MATTERS = 64 << 20


@dataclass(frozen=True)
class Member:
    """One file inside a zip: enough to fetch it with a single range read.

    Attributes
    ----------
    archive : Location
    name : str
        An identifier, never a path to write.
    offset, span : int
        Where the local header starts, and how many bytes hold it and the data in all likelihood.
    compressed_size, size, crc, method, flags : int
        As the central directory states them.
    """

    archive: Location
    name: str
    offset: int
    span: int
    compressed_size: int
    size: int
    crc: int
    method: int
    flags: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def refusal(self) -> str | None:
        """Why this member will not be inflated, or None."""
        if self.flags & 0x1:
            return "the member is encrypted; unpack the archive and pass the folder instead"
        if self.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"compression method {self.method} is not supported; use stored or deflate"
        if self.size > MAX_MEMBER_SIZE:
            return f"it declares {self.size} bytes, more than {MAX_MEMBER_SIZE}"
        if self.size > _RATIO_MATTERS and self.size > MAX_RATIO * max(self.compressed_size, 1):
            return f"it would inflate {self.compressed_size} bytes to {self.size}"
        if self.size == 0:
            return "the member is empty"
        return None

    def read(self) -> bytes:
        """Fetch, inflate and check the member.

        Raises
        ------
        MediaError
            If it is encrypted, damaged, or not what the directory declares.
        """
        refused = self.refusal()
        if refused:
            raise MediaError(f"{self}: {refused}")
        raw = self.archive.read(self.offset, self.offset + self.span)
        if len(raw) < _LOCAL_HEADER.size:
            raise MediaError(f"{self}: the archive ends before this member")
        signature, *_, name_length, extra_length = _LOCAL_HEADER.unpack_from(raw)
        if signature != b"PK\x03\x04":
            raise MediaError(f"{self}: no local header where the directory says it is")
        start = _LOCAL_HEADER.size + name_length + extra_length
        end = start + self.compressed_size
        if end > len(raw):
            raw += self.archive.read(self.offset + len(raw), self.offset + end)
            if end > len(raw):
                raise MediaError(f"{self}: the archive ends inside this member")
        packed = memoryview(raw)[start:end]
        data = bytes(packed) if self.method == zipfile.ZIP_STORED else self._inflate(packed)
        if len(data) != self.size:
            raise MediaError(f"{self}: holds {len(data)} bytes and declares {self.size}")
        if zlib.crc32(data) != self.crc:
            raise MediaError(f"{self}: its checksum is wrong; the archive is damaged")
        return data

    def _inflate(self, packed: memoryview) -> bytes:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return stream.decompress(packed, self.size + 1)
        except zlib.error as error:
            raise MediaError(f"{self}: cannot be inflated: {error}") from error


class _Tail(io.RawIOBase):
    """The end of a remote file as a seekable file: what :mod:`zipfile` needs of an archive."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.size = location.size()
        self.start = max(0, self.size - _TAIL - _END_RECORD)
        self.data = location.read(self.start, self.size) if self.size else b""
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("seek before the start")
        self.position = base + offset
        return self.position

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self.size, self.position + size)
        if self.position < self.start:
            if self.start - self.position > MAX_DIRECTORY:
                raise SourceError(
                    f"{self.location}: its central directory is larger than {MAX_DIRECTORY} bytes"
                )
            self.data = self.location.read(self.position, self.start) + self.data
            self.start = self.position
        found = self.data[self.position - self.start : end - self.start]
        self.position = max(self.position, end)
        return found


def members(archive: Location) -> list[Member]:
    """Files that a zip holds, from its central directory alone.

    Costs one size request, one read of the archive's last 64 KiB, and one more where the directory
    is longer than that. Folders are left out.

    Parameters
    ----------
    archive : Location

    Returns
    -------
    list of Member
        In the order of the directory.

    Raises
    ------
    SourceError
        If it is not a zip, is truncated, or its directory contradicts itself.
    """
    tail = _Tail(archive)
    if tail.size == 0:
        raise SourceError(f"{archive}: the file is empty, not a zip archive")
    try:
        with zipfile.ZipFile(tail) as listing:
            infos = listing.infolist()
            directory = listing.start_dir
    except SourceError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise SourceError(
            f"{archive}: not a zip archive, or a truncated one ({error}); download it again"
        ) from error
    if len(infos) > MAX_MEMBERS:
        raise SourceError(f"{archive}: {len(infos)} members, more than {MAX_MEMBERS}")
    ends = dict(_ends(archive, infos, directory))
    return [
        Member(
            archive=archive,
            name=info.filename,
            offset=info.header_offset,
            span=min(_expected_span(info), ends[info.header_offset] - info.header_offset),
            compressed_size=info.compress_size,
            size=info.file_size,
            crc=info.CRC,
            method=info.compress_type,
            flags=info.flag_bits,
        )
        for info in infos
        if not info.is_dir()
    ]


def _expected_span(info: zipfile.ZipInfo) -> int:
    name = len(info.orig_filename.encode("utf-8", "surrogateescape"))
    return _LOCAL_HEADER.size + name + len(info.extra) + _LOCAL_SLACK + info.compress_size


def _ends(archive: Location, infos: list[zipfile.ZipInfo], directory: int) -> list[tuple[int, int]]:
    """Where each member's bytes end at the latest: at the next header, or at the directory."""
    offsets = sorted({info.header_offset for info in infos})
    if len(offsets) != len(infos):
        raise SourceError(f"{archive}: members overlap; the archive is damaged or hostile")
    limits = dict(zip(offsets, [*offsets, directory][1:], strict=True))
    for info in infos:
        least = info.header_offset + _LOCAL_HEADER.size + info.compress_size
        if info.header_offset < 0 or least > limits[info.header_offset]:
            raise SourceError(
                f"{archive}: member {info.filename!r} overlaps what follows it; "
                "the archive is damaged or hostile"
            )
    return list(limits.items())
