"""How media files are laid out: which container they are, and whether one lies or breaks off.

Checked before a demuxer sees them. FFmpeg believes the number of samples that an mp4 declares: a
file of a kilobyte makes it fill gigabytes; and it takes a text that names other files or hosts
for a playlist.
"""

from __future__ import annotations

import mmap
import re
import struct

from emodask.errors import MediaError
from emodask.media.limits import MAX_BOXES, MAX_TABLE

_BOXES = {
    *(b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"),
}
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\xff\xf1", "aac"),
    (b"\xff\xf9", "aac"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x00\x00\x01\xba", "mpeg"),
)
_FORMS = {b"WAVE": "wav", b"AVI ": "avi"}
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"v=0", "a session description"),
    (b"<", "HTML or XML"),
)


_START = 1 << 16


def container_of(data: bytes | mmap.mmap) -> str:
    """FFmpeg's name for the container that the first bytes of a file declare.

    Raises
    ------
    MediaError
        If it is none of those that emodask reads, saying what it looks like.

    Examples
    --------
    >>> container_of(b"RIFF....WAVEfmt "), container_of(b"....ftypisom")
    ('wav', 'mov')
    """
    if not data:
        raise MediaError("the file is empty")
    data = bytes(data[:_START])
    if data[4:8] in _BOXES:
        return "mov"
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] in _FORMS:
        return _FORMS[data[8:12]]
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if data[:1] == b"G" and data[188:189] == b"G" and data[376:377] == b"G":
        return "mpegts"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if len(data) > 4 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:
        return "mp3"
    raise MediaError(f"not a media file that can be read: {_looks_like(data)}")


def _looks_like(data: bytes) -> str:
    start = data[:512].lstrip()
    for magic, what in _OTHERS:
        if start.startswith(magic):
            return f"it looks like {what}"
    if not any(data):
        return "it begins with nothing but zeros"
    return f"it starts with {data[:8].hex(' ')}, as neither mp4, wav nor any other known format"


_TABLE = re.compile(rb"stsz|stz2|trun|cmov....dcom", re.DOTALL)
_COUNT_AT = {b"stsz": 12, b"stz2": 12, b"trun": 8}
"""Where the number of samples stands, from the box's name on."""


def check_mp4(data: bytes | mmap.mmap) -> None:
    """Refuse an mp4 that breaks off, or declares samples that it cannot hold.

    Raises
    ------
    MediaError
    """
    declared = 0
    for name, start, end in _top_boxes(data):
        if name == b"mdat":
            continue
        # By name and not by nesting: FFmpeg takes these boxes wherever they stand.
        for found in _TABLE.finditer(data, start, end):
            at = found.start()
            kind = data[at : at + 4]
            if kind == b"cmov":
                raise MediaError("its header is compressed (cmov), which is not supported")
            if at + _COUNT_AT[kind] + 4 <= len(data):
                declared += struct.unpack_from(">I", data, at + _COUNT_AT[kind])[0]
    if declared > min(MAX_TABLE, len(data)):
        raise MediaError(
            f"its header declares {declared} samples, more than its {len(data)} bytes can hold; "
            "the file is damaged or hostile"
            if declared > len(data)
            else f"its header declares {declared} samples; at most {MAX_TABLE}"
        )


def _top_boxes(data: bytes | mmap.mmap) -> list[tuple[bytes, int, int]]:
    """Name, start and end of each box at the top level of an mp4."""
    boxes = []
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            size = struct.unpack_from(">Q", data, at + 8)[0]
        end = at + size if size else len(data)
        if end > len(data) and name in _BOXES:
            raise MediaError(
                f"the file breaks off: its {name.decode()} declares {size} bytes and "
                f"{len(data) - at} are there"
            )
        boxes.append((name, at, min(end, len(data))))
        if len(boxes) > MAX_BOXES:
            raise MediaError(f"it has more than {MAX_BOXES} boxes")
        if size < 8 and size != 0:
            break
        at = end
    return boxes


_STREAMED = 0x7FFF_0000
"""Sizes from here on mean "not known yet": what programs write that cannot seek back."""
_SLACK = 64
"""Bytes by which careless programs overstate the sound, the header being counted in."""


def check_wav(data: bytes | mmap.mmap) -> None:
    """Refuse a wav that breaks off before the end of the sound that it declares.

    Raises
    ------
    MediaError
    """
    order = ">" if data[:4] == b"RIFX" else "<"
    at = 12
    for _ in range(MAX_BOXES):
        if at + 8 > len(data):
            return
        name, size = struct.unpack_from(f"{order}4sI", data, at)
        if name == b"data":
            there = len(data) - at - 8
            if there + _SLACK < size < _STREAMED:
                raise MediaError(
                    f"the file breaks off: it declares {size} bytes of sound and {there} are there"
                )
            return
        at += 8 + size + size % 2
    raise MediaError(f"it has more than {MAX_BOXES} chunks")
