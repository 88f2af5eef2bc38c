"""Unusual but valid media for the corpus, made on the spot with FFmpeg."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache

import av
import numpy as np
import numpy.typing as npt

from tests.media_files import moving_bars, mp4, tone, wav

Frames = npt.NDArray[np.uint8]


def video(
    frames: Iterable[Frames],
    codec: str = "libx264",
    container: str = "mp4",
    pix_fmt: str = "yuv420p",
    rate: int = 30,
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    muxing: dict[str, str] | None = None,
    streams: int = 1,
) -> bytes:
    """A video of RGB frames; ``times`` are in units of ``1 / rate``."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=muxing or {}) as output:
        made = []
        for i, image in enumerate(frames):
            if not made:
                for _ in range(streams):
                    stream = output.add_stream(codec, rate=rate, options=options or {})
                    stream.height, stream.width = image.shape[:2]
                    stream.pix_fmt = pix_fmt
                    stream.thread_count = 1
                    stream.codec_context.time_base = Fraction(1, rate)
                    made.append(stream)
            for stream in made:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame = frame.reformat(format=pix_fmt)
                frame.pts, frame.time_base = times[i] if times else i, Fraction(1, rate)
                output.mux(stream.encode(frame))
        for stream in made:
            output.mux(stream.encode(None))
    return buffer.getvalue()


def sound(codec: str, container: str, rate: int = 48_000, seconds: float = 0.4) -> bytes:
    """Sound alone in a container that FFmpeg writes."""
    buffer = io.BytesIO()
    samples = tone(seconds, rate)
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        layout, fmt = "mono", stream.codec_context.codec.audio_formats[0].name
        resampler = av.AudioResampler(format=fmt, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            fifo.write(piece)
        size = stream.codec_context.frame_size or samples.size
        while (piece := fifo.read(size, partial=True)) is not None:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def subtitles() -> bytes:
    """An mp4 with a subtitle stream alone."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mov_text")
        packet = av.Packet(b"\x00\x05hello")
        packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 10
        packet.time_base = Fraction(1, 10)
        output.mux(packet)
    return buffer.getvalue()


@cache
def bars() -> Frames:
    return moving_bars(12)


@cache
def plain() -> bytes:
    """Twelve frames of 64x36 in an mp4 whose moov comes last."""
    return mp4(bars())


@cache
def moov_first() -> bytes:
    """The same with its moov before its mdat."""
    data = plain()
    start = data.index(b"moov") - 4
    media = data.index(b"mdat") - 4
    moov = bytearray(data[start:])
    at = moov.index(b"stco") + 12
    struct.pack_into(">I", moov, at, struct.unpack_from(">I", moov, at)[0] + len(moov))
    return data[:media] + bytes(moov) + data[media:start]


@cache
def fragmented() -> bytes:
    return video(bars(), muxing={"movflags": "frag_keyframe+empty_moov"})


@cache
def voice() -> bytes:
    """A wav of 0.4 s at 16 kHz."""
    return wav(tone(0.4, 16_000), 16_000)


def poked(data: bytes, at: int, form: str, *values: int) -> bytes:
    """Bytes with some numbers overwritten."""
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def after(data: bytes, mark: bytes, offset: int, form: str, *values: int) -> bytes:
    """Bytes with some numbers overwritten, counted from the end of a mark."""
    return poked(data, data.index(mark) + len(mark) + offset, form, *values)


def turned(data: bytes, a: float, b: float, c: float, d: float) -> bytes:
    """An mp4 with a display matrix: a pixel (x, y) is shown at (ax + cy, bx + dy)."""
    fixed = [round(value * 65536) for value in (a, b, 0, c, d, 0, 0, 0)]
    return after(data, b"tkhd", 40, ">9i", *fixed, 1 << 30)


def box(name: bytes, *content: bytes) -> bytes:
    """One box of an mp4."""
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), name) + inside


def cuts(data: bytes, count: int) -> list[int]:
    """Lengths at which to truncate, spread over a file."""
    return sorted({round(i * (len(data) - 1) / count) for i in range(count)} - {0})
