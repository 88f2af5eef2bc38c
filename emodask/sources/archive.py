"""Zip archives read where they lie: the central directory first, then one range a member."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass

from emodask.errors import MediaError, SourceError
from emodask.sources.addresses import printable
from emodask.sources.location import Location

_LONGEST_COMMENT = 1 << 16
_END_RECORD = 22
_SHARE_READ_FIRST = 256
_LEAST_READ_FIRST = 512
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_UNIX = 3
_UTF8 = 0x800
_LOCAL_SLACK = 64
"""Bytes allowed for extra fields that the local header has and the directory has not."""

MAX_DIRECTORY = 16 << 20
MAX_MEMBERS = 100_000
MAX_MEMBER_SIZE = 512 << 20
MAX_RATIO = 200
"""Largest ratio of inflated to stored size for members of more than ``_RATIO_MATTERS`` bytes."""
_RATIO_MATTERS = 64 << 20
_SHOWN = 200
"""Characters of a name that messages show."""


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
    compressed_size, size, crc, method, flags, mode : int
        As the central directory states them; ``mode`` is the Unix one, 0 if there is none.
    raw_name : bytes
        The name as it is stored.
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
    mode: int = 0
    raw_name: bytes = b""

    def __str__(self) -> str:
        """Show the end of the name, without what would garble a terminal."""
        shown = self.name if len(self.name) <= _SHOWN else f"\u2026{self.name[-_SHOWN:]}"
        return f"{self.archive}/{printable(shown)}"

    def refusal(self) -> str | None:
        """Why this member will not be inflated, or None."""
        if not self.name.isprintable():
            return "its name holds characters that cannot be printed; the archive is hostile"
        if stat.S_ISLNK(self.mode):
            return "it is a symbolic link, which is not followed"
        if self.name.endswith("/"):
            return f"a folder that holds {self.size} bytes; the archive is damaged or hostile"
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
        name = raw[_LOCAL_HEADER.size : _LOCAL_HEADER.size + name_length]
        if self.raw_name and name != self.raw_name:
            raise MediaError(
                f"{self}: its local header names another file; the archive is damaged or hostile"
            )
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
        self.location = location = location.pinned()
        self.size = location.size()
        self.start = max(0, self.size - _read_first(self.size))
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


def _read_first(size: int) -> int:
    """How much of the end of an archive to read before its directory's length is known.

    A clip takes hundreds of kilobytes and its entry in the directory a hundred bytes or two: 1/256
    of the archive holds all entries as a rule, and costs little of it where it holds more.

    Examples
    --------
    >>> _read_first(100_000), _read_first(1_500_000), _read_first(500_000_000)
    (512, 5859, 65558)
    """
    most = _LONGEST_COMMENT + _END_RECORD
    return min(max(size // _SHARE_READ_FIRST, _LEAST_READ_FIRST), most)


def members(archive: Location) -> list[Member]:
    """Files that a zip holds, from its central directory alone.

    Costs one size request, one read of the end of the archive (1/256 of it, 64 KiB at most), and
    one more where the directory is longer than that. Folders are left out.

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
    archive = tail.location
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
            # zipfile cuts a name at its first NUL, and would show another than is there.
            name=info.orig_filename if "\0" in info.orig_filename else info.filename,
            offset=info.header_offset,
            span=min(_expected_span(info), ends[info.header_offset] - info.header_offset),
            compressed_size=info.compress_size,
            size=info.file_size,
            crc=info.CRC,
            method=info.compress_type,
            flags=info.flag_bits,
            mode=info.external_attr >> 16 if info.create_system == _UNIX else 0,
            raw_name=_raw_name(info),
        )
        for info in infos
        if not (info.filename.endswith("/") and info.file_size == 0)
    ]


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")


def _expected_span(info: zipfile.ZipInfo) -> int:
    fixed = _LOCAL_HEADER.size + len(_raw_name(info)) + len(info.extra) + _LOCAL_SLACK
    return fixed + info.compress_size


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
