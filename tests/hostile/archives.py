"""Zips of the corpus: cut, flipped, overlapping, lying, bombs and odd names."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np

from tests.hostile.case import Case
from tests.hostile.making import cuts, poked, voice

UNREADABLE = r"not a zip archive|archive ends|overlap|file is empty|checksum|declares|local header"
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")


def archives(ids: Iterator[str]) -> Iterator[Case]:
    """All zip cases; each takes a clip of its own."""
    yield from _broken(ids)
    yield from _contradictory(ids)
    yield from _bombs(ids)
    yield from _odd_members(ids)
    yield from _odd_names(ids)


def _name(clip_id: str) -> str:
    return f"Actor/03-{clip_id}.wav"


def _fails(name: str, data: bytes, reason: str, clip_id: str) -> Case:
    return Case(name, "zip", data, fails=reason, clip_id=clip_id)


def zipped(
    name: str, data: bytes | None = None, method: int = zipfile.ZIP_DEFLATED, **details: int
) -> bytes:
    """A zip of one member, the voice by default; details are those of ``ZipInfo``."""
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    for key, value in details.items():
        setattr(info, key, value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, voice() if data is None else data)
    return buffer.getvalue()


@cache
def _packed() -> tuple[bytes, int]:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(voice()) + deflate.flush(), zlib.crc32(voice())


def entry(
    name: bytes,
    *,
    packed: bytes | None = None,
    crc: int | None = None,
    size: int | None = None,
    method: int = 8,
    flags: int = 0,
    local_name: bytes | None = None,
    central: dict[str, int] | None = None,
    extra: bytes = b"",
) -> tuple[bytes, bytes]:
    """A local header with its data, and its entry of the directory at offset 0."""
    body, checksum = _packed() if packed is None else (packed, 0)
    checksum = checksum if crc is None else crc
    size = len(voice()) if size is None else size
    seen = name if local_name is None else local_name
    local = _LOCAL.pack(
        b"PK\3\4", 20, flags, method, 0, 0, checksum, len(body), size % 2**32, len(seen), 0
    )
    lies = {"packed": len(body), "size": size, "crc": checksum, "offset": 0, **(central or {})}
    listed = _CENTRAL.pack(
        *(b"PK\1\2", 20, 20, flags, method, 0, 0, lies["crc"], lies["packed"], lies["size"]),
        *(len(name), len(extra), 0, 0, 0, 0, lies["offset"]),
    )
    return local + seen + body, listed + name + extra


def assembled(
    local: bytes,
    directory: bytes,
    entries: int = 1,
    *,
    size: int | None = None,
    offset: int | None = None,
    comment: bytes = b"",
) -> bytes:
    """A zip from its parts, with the directory's size and place as it is to declare them."""
    size = len(directory) if size is None else size
    offset = len(local) if offset is None else offset
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries, entries, size, offset, len(comment))
    return local + directory + end + comment


def _broken(ids: Iterator[str]) -> Iterator[Case]:
    for length in cuts(zipped(_name("x")), 30):
        clip_id = next(ids)
        yield _fails(f"zip-cut-at-{length}", zipped(_name(clip_id))[:length], UNREADABLE, clip_id)
    rng = np.random.default_rng(17)
    data = zipped(_name("01-01-01-01-01-01"))
    heads = [*range(60), *range(data.index(b"PK\1\2"), len(data))]
    for place in rng.choice(heads, 40, replace=False).tolist():
        clip_id = next(ids)
        data = zipped(_name(clip_id))
        bit = 1 << int(rng.integers(8))
        flipped = poked(data, place, "B", data[place] ^ bit)
        yield Case(f"zip-flip-{place}-{bit}", "zip", flipped, either=True, clip_id=clip_id)
    body = range(80, data.index(b"PK\1\2"))
    for place in rng.choice(body, 15, replace=False).tolist():
        clip_id = next(ids)
        data = zipped(_name(clip_id))
        flipped = poked(data, place, "B", data[place] ^ 0x5A)
        reason = "checksum is wrong|cannot be inflated|holds"
        yield _fails(f"zip-data-flip-{place}", flipped, reason, clip_id)


def _contradictory(ids: Iterator[str]) -> Iterator[Case]:
    packed = len(_packed()[0])
    for label, lies, reason in (
        ("crc", {"crc": 1}, "checksum is wrong"),
        ("size-small", {"size": 100}, "holds 101 bytes and declares 100"),
        ("size-large", {"size": 10**6}, "declares 1000000"),
        ("size-4-gb", {"size": 2**32 - 2}, r"declares \d+ bytes, more than"),
        ("size-zero", {"size": 0}, "empty"),
        ("packed-small", {"packed": packed // 2}, "holds|inflated"),
        ("packed-large", {"packed": packed + 1000}, "overlaps"),
        ("packed-4-gb", {"packed": 2**32 - 2}, "overlaps"),
        ("offset", {"offset": 5}, "overlaps|local header"),
        ("offset-4-gb", {"offset": 2**32 - 2}, "overlaps"),
    ):
        clip_id = next(ids)
        local, listed = entry(_name(clip_id).encode(), central=lies)
        yield _fails(f"zip-lies-{label}", assembled(local, listed), reason, clip_id)
    for label, numbers in (
        ("size", (2**60, 0, 0)),
        ("packed", (0, 2**60, 0)),
        ("offset", (0, 0, 2**62)),
        ("all", (2**64 - 1,) * 3),
    ):
        clip_id = next(ids)
        keys = ("size", "packed", "offset")
        given = {k: 2**32 - 1 for k, n in zip(keys, numbers, strict=True) if n}
        extra = b"".join(struct.pack("<Q", n) for n in numbers if n)
        extra = struct.pack("<HH", 1, len(extra)) + extra
        local, listed = entry(_name(clip_id).encode(), central=given, extra=extra)
        reason = "overlap|more than|declares"
        yield _fails(f"zip64-lies-{label}", assembled(local, listed), reason, clip_id)
    for label, details in (
        ("directory-beyond", {"offset": 2**31}),
        ("directory-4-gb", {"size": 2**32 - 2}),
        ("directory-zip64", {"size": 2**32 - 1, "offset": 2**32 - 1}),
        ("directory-short", {"size": 20}),
    ):
        clip_id = next(ids)
        local, listed = entry(_name(clip_id).encode())
        data = assembled(local, listed, **details)
        yield _fails(f"zip-lies-{label}", data, UNREADABLE, clip_id)
    clip_id = next(ids)
    local, listed = entry(_name(clip_id).encode(), extra=struct.pack("<HH", 1, 500) + b"x")
    yield _fails("zip-extra-breaks-off", assembled(local, listed), UNREADABLE, clip_id)
    clip_id = next(ids)
    local, listed = entry(_name(clip_id).encode(), local_name=b"../../etc/passwd")
    data = assembled(local, listed)
    yield _fails("zip-two-names", data, "local header names another file", clip_id)


def _bombs(ids: Iterator[str]) -> Iterator[Case]:
    clip_id = next(ids)
    bomb = zipped(_name(clip_id), bytes(70 << 20))
    yield _fails("zip-bomb", bomb, "would inflate", clip_id)
    clip_id = next(ids)
    inner = zipped("inner.wav", zipped("core.wav", bytes(10 << 20)))
    yield _fails("zip-in-zip-in-zip", zipped(_name(clip_id), inner), "zip archive", clip_id)
    for overlap in ("same-data", "quoted"):
        clip_id = next(ids)
        first, listed = entry(_name(clip_id).encode())
        second = bytearray(entry(b"other.wav")[1])
        offset = 0 if overlap == "same-data" else len(first) // 2
        struct.pack_into("<L", second, 42, offset)
        data = assembled(first, listed + bytes(second), 2)
        yield _fails(f"zip-overlap-{overlap}", data, "overlap", clip_id)
    clip_id = next(ids)
    local, listed = entry(_name(clip_id).encode())
    many = assembled(local, listed + entry(b"a")[1] * 100_001, 65535)
    yield _fails("zip-of-100002-members", many, "100002 members, more than", clip_id)
    clip_id = next(ids)
    long = assembled(local, listed + bytes(17 << 20))
    yield _fails("zip-directory-of-17-mb", long, "larger than|not a zip", clip_id)
    clip_id = next(ids)
    quine, listed = entry(_name(clip_id).encode(), packed=b"", method=0, size=22)
    itself = bytearray(listed)
    struct.pack_into("<LL", itself, 20, len(quine) + len(listed) + 22, len(quine))
    yield _fails("zip-holds-itself", assembled(quine, bytes(itself)), "overlap", clip_id)


def _odd_members(ids: Iterator[str]) -> Iterator[Case]:
    for flags in (0x1, 0x41):
        clip_id = next(ids)
        local, listed = entry(_name(clip_id).encode(), flags=flags)
        data = assembled(local, listed)
        yield _fails(f"zip-encrypted-{flags:x}", data, "encrypted", clip_id)
    for method in (1, 6, 9, 12, 14, 93, 95, 98, 99, 65535):
        clip_id = next(ids)
        local, listed = entry(_name(clip_id).encode(), method=method)
        reason = f"compression method {method} is not supported"
        yield _fails(f"zip-method-{method}", assembled(local, listed), reason, clip_id)
    clip_id = next(ids)
    link = zipped(_name(clip_id), b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)
    yield _fails("zip-symbolic-link", link, "symbolic link", clip_id)
    clip_id = next(ids)
    folder, listed = entry(_name(clip_id).encode() + b"/")
    yield _fails("zip-folder-with-data", assembled(folder, listed), "a folder that", clip_id)
    clip_id = next(ids)
    yield _fails("zip-empty-member", zipped(_name(clip_id), b""), "empty", clip_id)
    clip_id = next(ids)
    stored = zipped(_name(clip_id), zlib.compress(voice()), zipfile.ZIP_STORED)
    yield _fails("zip-member-of-zlib", stored, "not a media file", clip_id)
    clip_id = next(ids)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr(_name(clip_id), voice())
        archive.writestr("second/" + _name(clip_id), b"another")
    yield Case("zip-duplicates", "zip", twice.getvalue(), clip_id=clip_id)


def _odd_names(ids: Iterator[str]) -> Iterator[Case]:
    for label, pattern, reason in (
        ("newline", "a\n{}", "cannot be printed"),
        ("escape", "\x1b[2J\x1b]0;owned\a/{}", "cannot be printed"),
        ("bidi", "\u202e{}", "cannot be printed"),
        ("del", "\x7f/{}", "cannot be printed"),
        ("backslashes", "..\\..\\{}", "not a two-digit|not a RAVDESS name"),
        ("suffix", "{}.exe", "not a RAVDESS name|is not a two-digit|is a .wav"),
    ):
        clip_id = next(ids)
        data = zipped(pattern.format(_name(clip_id)[6:]))
        yield _fails(f"zip-name-{label}", data, reason, clip_id)
    clip_id = next(ids)
    cut, listed = entry(_name(clip_id).encode() + b"\0.exe")
    yield _fails("zip-name-nul", assembled(cut, listed), "cannot be printed", clip_id)
    clip_id = next(ids)
    unnamed, listed = entry(b"")
    yield _fails("zip-name-none", assembled(unnamed, listed), "not a RAVDESS name", clip_id)
    clip_id = next(ids)
    fullwidth = str.maketrans("0123456789", "０１２３４５６７８９")
    data = zipped(_name(clip_id).translate(fullwidth))
    yield _fails("zip-name-fullwidth-digits", data, "not a two-digit number", clip_id)
    clip_id = next(ids)
    local, listed = entry(b"\xff\xfe/" + _name(clip_id).encode(), flags=0x800)
    data = assembled(local, listed)
    yield _fails("zip-name-not-utf-8", data, "not a zip archive", clip_id)
    for label, pattern in (
        ("absolute", "/etc/{}"),
        ("climbing", "../../../../{}"),
        ("drive", "C:/{}"),
        ("long", "d" * 60_000 + "/{}"),
        ("unicode", "Schauspieler_é/{}"),
        ("spaces", "a b/ /{}"),
    ):
        clip_id = next(ids)
        data = zipped(pattern.format(_name(clip_id)[6:]))
        yield Case(f"zip-name-{label}", "zip", data, clip_id=clip_id)
    for label, before, behind, comment in (
        ("bytes-before", b"#!/bin/sh\n" * 99, b"", b""),
        ("bytes-after", b"", b"\0" * 500, b""),
        ("comment", b"", b"", b"a comment"),
        ("another-before", zipped("older.wav"), b"", b""),
    ):
        clip_id = next(ids)
        local, listed = entry(_name(clip_id).encode())
        data = before + assembled(local, listed, comment=comment) + behind
        yield Case(f"zip-{label}", "zip", data, clip_id=clip_id)
    for label, comment in (
        ("signature", b"PK\5\6"),
        ("end-record", b"PK\5\6" + bytes(18)),
        ("zip64-locator", b"PK\6\7" + bytes(16) + b"PK\5\6" + b"\xff" * 18),
    ):
        clip_id = next(ids)
        local, listed = entry(_name(clip_id).encode())
        data = assembled(local, listed, comment=comment)
        yield Case(f"zip-comment-{label}", "zip", data, either=True, clip_id=clip_id)
