"""What a media file declares of itself, read from its header alone, without a decoder."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from emodask.media.limits import MAX_BOXES

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})


@dataclass(frozen=True)
class Header:
    """The declared size of the picture in pixels, frames of video, and seconds; 0 = none said."""

    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0


def header(data: bytes) -> Header | None:
    """What an mp4 or a wav declares; None if it is neither, or damaged.

    Nothing of it may be relied on: decoding finds out what is there.

    Examples
    --------
    >>> header(b"RIFF....WAVE") is None
    True
    """
    try:
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            return _of_wav(data)
        if data[4:8] in (b"ftyp", b"moov"):
            return _of_mp4(data)
    except (struct.error, ZeroDivisionError, IndexError):
        pass
    return None


def _of_wav(data: bytes) -> Header | None:
    at = data.find(b"fmt ", 12)
    if at < 0:
        return None
    (bytes_a_second,) = struct.unpack_from("<I", data, at + 16)
    return Header(seconds=len(data) / bytes_a_second)


def _of_mp4(data: bytes) -> Header:
    width = height = frames = 0
    seconds, kind = 0.0, b""
    for name, start, end in _boxes(data):
        if name == b"mdhd":
            at, layout = (start + 20, ">IQ") if data[start] == 1 else (start + 12, ">II")
            scale, duration = struct.unpack_from(layout, data, at)
            seconds = max(seconds, duration / scale)
        elif name == b"hdlr":
            kind = data[start + 8 : start + 12]
        elif name == b"stsd" and kind == b"vide" and end - start >= 44:
            width, height = struct.unpack_from(">HH", data, start + 40)
        elif name == b"stsz" and kind == b"vide":
            (frames,) = struct.unpack_from(">I", data, start + 8)
    return Header(width, height, frames, seconds)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box, those inside others after them."""
    spans = [(0, len(data))]
    for _ in range(MAX_BOXES):
        if not spans:
            return
        at, end = spans.pop()
        if at + 8 > end:
            continue
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            start += 8
        stop = at + size if size else end
        if stop < start or stop > end:
            continue
        spans.append((stop, end))
        if name in _CONTAINERS:
            spans.append((start, stop))
        yield name, start, stop
