"""Videos of the corpus: truncated, flipped, lying about tables and sizes; and unusual ones."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tests.hostile.case import Case, Check
from tests.hostile.making import (
    after,
    bars,
    box,
    cuts,
    fragmented,
    moov_first,
    plain,
    poked,
    turned,
    video,
)
from tests.media_files import moving_bars, mp4, tone

UNREADABLE = (
    r"breaks off|broke off|can(not)? be read: \w|no video stream|video frame|the file is empty"
)
_SHAPE = (12, 36, 64)


def videos() -> Iterator[Case]:
    """All video cases."""
    yield from _broken()
    yield from _lying_tables()
    yield from _too_much()
    yield from _turned()
    yield from _unusual()


def _fails(name: str, data: bytes, reason: str) -> Case:
    return Case(name, "video", data, fails=reason)


def _like(frames: np.ndarray, tolerance: float = 12.0) -> Check:
    """Frames as these, but for what coding loses; flattened colour is compared as gray."""
    gray = frames @ np.array([0.2989, 0.587, 0.114])

    def check(found: np.ndarray) -> bool:
        return found.shape == gray.shape and float(np.abs(found - gray).mean()) < tolerance

    return check


def _broken() -> Iterator[Case]:
    for label, data in (("last", plain()), ("first", moov_first()), ("pieces", fragmented())):
        for length in cuts(data, 25):
            yield _fails(f"mp4-moov-{label}-cut-at-{length}", data[:length], UNREADABLE)
    rng = np.random.default_rng(11)
    data = plain()
    for region, start, end in (
        ("moov", data.index(b"moov"), len(data)),
        ("mdat", data.index(b"mdat"), data.index(b"moov") - 4),
    ):
        for place in rng.integers(start, end, 60):
            bit = 1 << int(rng.integers(8))
            flipped = poked(data, place, "B", data[place] ^ bit)
            yield Case(f"mp4-{region}-flip-{place}-{bit}", "video", flipped, either=True)
    moov = data.index(b"moov") - 4
    yield _fails("mp4-without-moov", data[:moov], UNREADABLE)
    yield _fails("mp4-moov-only", data[moov:], UNREADABLE)
    yield _fails("mp4-mdat-zeroed", data[:48] + bytes(moov - 48) + data[moov:], UNREADABLE)
    ones = b"\xff" * (moov - 48)
    yield _fails("mp4-mdat-of-ones", data[:48] + ones + data[moov:], UNREADABLE)
    noise = np.random.default_rng(5).bytes(moov - 48)
    yield _fails("mp4-mdat-of-noise", data[:48] + noise + data[moov:], UNREADABLE)


def _lying_tables() -> Iterator[Case]:
    data = plain()
    too_many = r"header declares \d+ samples"
    for count in (6_000, 200_000, 50_000_000, 2**32 - 1):
        lie = after(data, b"stsz", 4, ">II", 1, count)
        lie = after(lie, b"stsc", 4, ">IIII", 1, 1, min(count, 2**31 - 1), 1)
        yield _fails(f"mp4-stsz-{count}", lie, too_many)
        lie = after(fragmented(), b"trun", 0, ">II", 1, count)
        yield _fails(f"mp4-trun-{count}", lie, too_many)
    chunk = struct.unpack_from(">I", data, data.index(b"stco") + 12)[0]
    for offset in (0, chunk + 7, len(data) - 3, len(data) + 10_000, 2**31, 2**32 - 1):
        yield _fails(f"mp4-chunk-at-{offset}", after(data, b"stco", 8, ">I", offset), UNREADABLE)
    for size in (2**31, 2**32 - 1):
        lie = after(data, b"stsz", 12, ">12I", *[size] * 12)
        yield _fails(f"mp4-sample-of-{size}-bytes", lie, UNREADABLE)
    for name in (b"stco", b"stsc", b"stsz", b"stsd", b"avcC", b"minf", b"trak", b"mdia"):
        gone = data.replace(name, b"junk", 1)
        yield _fails(f"mp4-without-{name.decode()}", gone, UNREADABLE + "|no decoder|is coded as")
    yield _fails("mp4-no-sample", after(data, b"stsz", 8, ">I", 0), UNREADABLE)
    yield _fails("mp4-no-chunk", after(data, b"stco", 4, ">I", 0), UNREADABLE)
    yield Case("mp4-handler-meta", "video", data.replace(b"vide", b"meta", 1), either=True)
    unknown = data.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzz")
    yield _fails("mp4-unknown-codec", unknown, "no decoder|is coded as|broke off")
    zeroed = after(data, b"avcC", 0, ">8I", *[0] * 8)
    yield _fails("mp4-avcc-zeroed", zeroed, UNREADABLE)
    for size in (2, 7):
        lie = poked(data, data.index(b"moov") - 4, ">I", size)
        yield _fails(f"mp4-moov-of-{size}-bytes", lie, UNREADABLE)
    for size in (2**31, 2**32 - 1):
        lie = poked(data, data.index(b"mdat") - 4, ">I", size)
        yield _fails(f"mp4-mdat-of-{size}-bytes", lie, "breaks off: its mdat")
    packed = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", b"\xff\xff\xff\xf0" + bytes(50)))
    yield _fails("mp4-compressed-moov", data[:40] + box(b"moov", packed), "compressed")
    nested = b""
    for _ in range(400):
        nested = box(b"moov", nested)
    yield _fails("mp4-moov-in-moov", data[:40] + nested, UNREADABLE)
    boxes = data[:40] + box(b"free") * 100_001
    yield _fails("mp4-boxes-without-end", boxes, "more than 100000 boxes")
    zero = bytes(4)
    for scale in (0, 2**32 - 1):
        lie = after(data, b"mdhd", 12, ">I", scale)
        yield Case(f"mp4-timescale-{scale}", "video", lie, either=True)
    lie = data.replace(b"stts" + zero + b"\0\0\0\1", b"stts" + zero + b"\xff\xff\xff\xff", 1)
    yield Case("mp4-stts-lies", "video", lie, either=True)
    lie = after(data, b"ctts", 4, ">III", 1, 2**31 - 1, 0)
    yield Case("mp4-ctts-lies", "video", lie, either=True)
    lie = after(data, b"elst", 4, ">I", 2**32 - 1)
    yield Case("mp4-elst-lies", "video", lie, either=True)
    lie = after(data, b"avc1", 24, ">HH", 65535, 65535)
    yield Case("mp4-65535-in-the-header-only", "video", lie, either=True)


def _still(height: int, width: int, count: int = 2) -> list[np.ndarray]:
    return [np.full((height, width, 3), 90, np.uint8)] * count


def _too_much() -> Iterator[Case]:
    fast = {"preset": "ultrafast"}
    yield _fails("wide", video(_still(16, 8200), options=fast), "frames of 8200x16 pixels")
    yield _fails("tall", video(_still(8200, 16), options=fast), "frames of 16x8200 pixels")
    big = video(_still(4200, 4200), "mpeg4")
    yield _fails("large", big, r"4200x4200|16777216 pixels")
    big = video(_still(4200, 4200), "mpeg2video", "mpegts")
    yield _fails("large-in-a-stream", big, "4200x4200|cannot be read|broke off")
    for codec, container in (("mjpeg", "avi"), ("mjpeg", "mp4"), ("png", "mov")):
        data = video(_still(16, 16), codec, container, "rgb24" if codec == "png" else "yuvj420p")
        mark, form = (b"IHDR", ">II") if codec == "png" else (b"\xff\xc0", ">3xHH")
        lie = data
        for place in [i for i in range(len(data)) if data.startswith(mark, i)]:
            lie = poked(lie, place + len(mark), form, 65500, 65500)
        yield _fails(f"{codec}-{container}-65500x65500", lie, "65500|broke off|cannot be read")
        near = poked(lie, lie.index(mark) + len(mark), form, 16384, 16384)
        yield _fails(f"{codec}-{container}-16384x16384", near, "16384|broke off|cannot be read")
    data = video(_still(16, 16), "libvpx", "webm")
    lie = after(data, b"\x9d\x01\x2a", 0, "<HH", 16383, 16383)
    yield _fails("vp8-16383x16383", lie, "16383|broke off")
    yield _fails("one-frame", mp4(moving_bars(1)), r"1 video frame\(s\) decoded; at least 2")
    tiny = [np.full((16, 16, 3), i % 256, np.uint8) for i in range(256)]
    slow = video(tiny[:80], rate=1, options=fast)
    yield _fails("eighty-seconds", slow, "longer than 60 s")
    many = (tiny[i % 256] for i in range(14_500))
    yield _fails("frames-without-end", video(many, "mpeg4", rate=1000), "longer than 60 s")
    hours = [0, 1, 2, 3, 4, 5, 30 * 7200, *range(30 * 7200 + 1, 30 * 7200 + 6)]
    yield _fails("hours-between-frames", video(bars(), times=hours), "longer than 60 s")
    sound = mp4(None, sound=tone(0.3))
    yield _fails("sound-alone", sound, "no video stream")


def _turned() -> Iterator[Case]:
    frames = bars()
    for name, matrix, shown in (
        ("90", (0, 1, -1, 0), np.rot90(frames, -1, (1, 2))),
        ("180", (-1, 0, 0, -1), frames[:, ::-1, ::-1]),
        ("270", (0, -1, 1, 0), np.rot90(frames, 1, (1, 2))),
        ("mirrored", (-1, 0, 0, 1), frames[:, :, ::-1]),
        ("upside-down", (1, 0, 0, -1), frames[:, ::-1]),
        ("transposed", (0, 1, 1, 0), frames.swapaxes(1, 2)),
        ("transversed", (0, -1, -1, 0), frames.swapaxes(1, 2)[:, ::-1, ::-1]),
        ("by-nothing", (0, 0, 0, 0), frames),
    ):
        upright = np.ascontiguousarray(shown)
        if upright.shape[1:3] == (64, 36):
            check = _like_scaled(upright)
        else:
            check = _like(upright)
        yield Case(f"turned-{name}", "video", turned(plain(), *matrix), check=check)
    for name, matrix in (("45", (0.7071, 0.7071, -0.7071, 0.7071)), ("sheared", (1, 1, 0, 1))):
        yield _fails(f"turned-{name}", turned(plain(), *matrix), "other than quarter turns")


def _like_scaled(frames: np.ndarray) -> Check:
    import cv2

    return _like(np.stack([cv2.resize(f, (64, 36), interpolation=cv2.INTER_AREA) for f in frames]))


def _works(name: str, data: bytes, check: Check | None = None) -> Case:
    return Case(name, "video", data, check=check or (lambda found: found.shape == _SHAPE))


def _unusual() -> Iterator[Case]:
    same = _like(bars())
    for pix_fmt in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuvj420p", "gray", "nv12"):
        yield _works(f"h264-{pix_fmt}", video(bars(), pix_fmt=pix_fmt), same)
    for codec, container, pix_fmt in (
        ("libx264rgb", "mp4", "rgb24"),
        ("libx265", "mp4", "yuv420p"),
        ("libx265", "mp4", "yuv420p10le"),
        ("libsvtav1", "mp4", "yuv420p"),
        ("libvpx", "webm", "yuv420p"),
        ("libvpx", "webm", "yuva420p"),
        ("libvpx-vp9", "webm", "yuv444p"),
        ("mpeg4", "mp4", "yuv420p"),
        ("mpeg4", "avi", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
        ("mpeg2video", "mpegts", "yuv420p"),
        ("mpeg2video", "mpeg", "yuv420p"),
        ("prores_ks", "mov", "yuv422p10le"),
        ("flv", "flv", "yuv420p"),
        ("ffv1", "matroska", "yuva420p"),
        ("ffv1", "matroska", "gray16le"),
        ("huffyuv", "avi", "rgb24"),
        ("rawvideo", "avi", "bgr24"),
        ("rawvideo", "avi", "gray"),
        ("png", "mov", "rgb24"),
        ("png", "mov", "rgba"),
    ):
        loose = _like(bars(), 40.0)
        data = _encoded(codec, container, pix_fmt)
        if data is not None:
            yield _works(f"{codec}-{container}-{pix_fmt}", data, loose)
    interlaced = {"x264-params": "tff=1"}
    yield _works("interlaced", video(moving_bars(12, 64, 64), options=interlaced))
    yield _works("fragmented", fragmented(), same)
    yield _works("moov-first", moov_first(), same)
    yield _works("two-video-streams", video(bars(), streams=2), same)
    uneven = [0, 1, 5, 6, 20, 21, 22, 40, 41, 60, 61, 90]
    yield _works("variable-rate", video(bars(), times=uneven), same)
    early = list(range(-30, -18))
    yield _works("negative-times", video(bars(), container="matroska", times=early))
    equal = after(plain(), b"stts", 8, ">II", 12, 0).replace(b"edts", b"free", 1)
    yield _works("all-times-equal", equal)
    trimmed = after(plain(), b"elst", 8, ">Ii", 200, 1024 + 512 * 4)
    yield _works("trimmed-by-an-edit-list", trimmed, lambda found: 1 < len(found) <= 12)
    for height, width in ((2, 2), (18, 14), (400, 16), (16, 1000)):
        yield _works(f"size-{width}x{height}", video(moving_bars(12, height, width)))
    for height, width in ((1, 1), (13, 17)):
        data = video(moving_bars(12, height, width), "ffv1", "matroska", "yuv444p")
        yield _works(f"size-{width}x{height}", data)
    changing = video(bars(), "mpeg2video", "mpegts") + video(
        moving_bars(12, 72, 96), "mpeg2video", "mpegts"
    )
    yield _works("size-changes", changing, lambda found: len(found) >= 22)
    fast = video(moving_bars(900, 16, 16), rate=240, options={"preset": "ultrafast"})
    yield _works("nine-hundred-frames", fast, lambda found: found.shape == (900, 36, 64))
    yield _works("with-sound", mp4(bars(), sound=tone(0.4)), same)
    yield _works("bytes-after-the-end", plain() + b"\0\0\0\x08free" + b"trailing", same)


def _encoded(codec: str, container: str, pix_fmt: str) -> bytes | None:
    """A video by one of FFmpeg's encoders, or None where this FFmpeg lacks it."""
    import av

    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return None
    options = {"libx265": {"x265-params": "log-level=none"}, "libvpx": {"auto-alt-ref": "0"}}
    with _quiet_encoder():
        return video(bars(), codec, container, pix_fmt, options=options.get(codec))


@contextmanager
def _quiet_encoder() -> Iterator[None]:
    """SVT-AV1 talks on standard error unless its environment says otherwise."""
    before = os.environ.get("SVT_LOG")
    os.environ["SVT_LOG"] = "-1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["SVT_LOG"]
        else:
            os.environ["SVT_LOG"] = before
