"""Sounds of the corpus: wavs whose headers lie, wavs that break off; and unusual ones."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import soundfile

from tests.hostile.case import Case, Check
from tests.hostile.making import after, bars, cuts, plain, poked, sound, voice
from tests.media_files import mp4, tone, wav

UNREADABLE = r"breaks off|not a readable wav|can(not)? be read: \w|file is empty|zero samples"
RATE = 16_000


def sounds() -> Iterator[Case]:
    """All sound cases."""
    yield from _broken()
    yield from _lying_headers()
    yield from _other_containers()
    yield from _unusual()


def _fails(name: str, data: bytes, reason: str) -> Case:
    return Case(name, "sound", data, fails=reason)


def _as_long_as(seconds: float, tolerance: float = 0.1) -> Check:
    return lambda found: abs(found.size / RATE - seconds) < tolerance and found.any()


def _works(name: str, data: bytes, check: Check | None = None) -> Case:
    return Case(name, "sound", data, check=check or _as_long_as(0.4))


def _same(data: bytes = b"") -> Check:
    expected, _ = soundfile.read(io.BytesIO(data or voice()), dtype="float32")
    return lambda found: np.array_equal(found, expected)


def header(
    tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, body: bytes = b"\1\2" * 6400
) -> bytes:
    """A wav with whatever its header is to say."""
    align = channels * bits // 8
    fmt = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * align % 2**32, align % 2**16, bits % 2**16
    )
    return wrapped(b"fmt " + struct.pack("<I", len(fmt)) + fmt, chunk(b"data", body))


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A chunk, padded to an even size, with the size it is to declare."""
    declared = len(body) if size is None else size
    return name + struct.pack("<I", declared) + body + b"\0" * (len(body) % 2)


def wrapped(*chunks: bytes) -> bytes:
    """Chunks in a RIFF."""
    inside = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def _broken() -> Iterator[Case]:
    data = voice()
    for length in cuts(data, 25):
        if length < len(data) - 64:
            yield _fails(f"wav-cut-at-{length}", data[:length], UNREADABLE)
    for length in range(4, 44, 4):
        yield _fails(f"wav-header-cut-at-{length}", data[:length], UNREADABLE)
    rng = np.random.default_rng(3)
    for place in rng.choice(44, 30, replace=False):
        bit = 1 << int(rng.integers(8))
        flipped = poked(data, place, "B", data[place] ^ bit)
        yield Case(f"wav-header-flip-{place}-{bit}", "sound", flipped, either=True)
    flac = _written("FLAC", "PCM_16")
    for length in cuts(flac, 8)[:-1]:
        yield _fails(f"flac-cut-at-{length}", flac[:length], UNREADABLE + "|flac")
    for frames in (10**6, 2**36 - 1):
        lie = poked(flac, 21, ">BI", (flac[21] & 0xF0) | frames >> 32, frames % 2**32)
        yield _fails(f"flac-declares-{frames}", lie, UNREADABLE + "|longer than|flac")


def _lying_headers() -> Iterator[Case]:
    for rate in (0, 1, 999, 768_001, 2**31 - 1, 2**32 - 1):
        yield _fails(f"wav-{rate}-hz", header(rate=rate), UNREADABLE + r"|sampling rate -?\d+ Hz")
    for channels in (0, 65, 255, 1024, 65535):
        lie = header(channels=channels)
        yield _fails(f"wav-{channels}-channels", lie, UNREADABLE + "|sound channels")
    for bits in (0, 1000, 65535):
        yield _fails(f"wav-{bits}-bits", header(bits=bits), UNREADABLE)
    for tag in (0x0000, 0x0055, 0x0092, 0x0160, 0x674F, 0xFFFE, 0xFFFF):
        yield _fails(f"wav-tag-{tag:04x}", header(tag=tag), UNREADABLE)
    for name, value in (("nan", np.nan), ("infinite", np.inf), ("minus-infinite", -np.inf)):
        samples = tone(0.1, RATE)
        samples[700] = value
        yield _fails(f"wav-{name}", wav(samples, RATE, "FLOAT"), "not finite")
        yield _fails(f"wav-{name}-double", wav(samples, RATE, "DOUBLE"), "not finite")
    fmt, body = voice()[12:36], voice()[44:]
    yield _fails("wav-no-data-chunk", wrapped(fmt), UNREADABLE)
    yield _fails("wav-no-fmt-chunk", wrapped(chunk(b"data", body)), UNREADABLE)
    yield _fails("wav-data-before-fmt", wrapped(chunk(b"data", body), fmt), UNREADABLE)
    yield _fails("wav-fmt-empty", wrapped(chunk(b"fmt ", b""), chunk(b"data", body)), UNREADABLE)
    lie = wrapped(fmt, chunk(b"data", body, 0))
    yield _fails("wav-declares-nothing", lie, UNREADABLE)
    yield _fails("wav-zero-samples", wav(np.zeros(0, np.float32)), "zero samples")
    for size in (2 * len(body), 10**6, 2**30):
        lie = wrapped(fmt, chunk(b"data", body, size))
        yield _fails(f"wav-declares-{size}", lie, "breaks off: it declares")
    for size in (2**31, 2**32 - 1, 2**32 - 2):
        lie = wrapped(fmt, chunk(b"LIST", b"INFO", size), chunk(b"data", body))
        yield _fails(f"wav-chunk-of-{size}", lie, UNREADABLE)
    many = wrapped(fmt, chunk(b"JUNK", b"") * 100_001, chunk(b"data", body))
    yield _fails("wav-chunks-without-end", many, "more than 100000 chunks")
    long = wav(np.zeros(61 * 8000, np.float32), 8000)
    yield _fails("wav-silent-for-a-minute", long, "longer than 60 s")
    yield _fails("wav-of-zeros", b"RIFF" + bytes(4000), UNREADABLE)
    yield _fails("mp4-without-sound", plain(), "no sound stream")


def _other_containers() -> Iterator[Case]:
    for codec, container in (
        ("libmp3lame", "mp3"),
        ("aac", "adts"),
        ("aac", "mp4"),
        ("libopus", "ogg"),
        ("flac", "ogg"),
        ("flac", "matroska"),
        ("alac", "mov"),
        ("pcm_s16be", "aiff"),
        ("pcm_s16le", "avi"),
        ("adpcm_ms", "wav"),
        ("pcm_mulaw", "wav"),
    ):
        yield _works(f"{codec}-{container}-named-wav", sound(codec, container))
    yield _works("mp4-with-video-named-wav", mp4(bars(), sound=tone(0.4)))
    for codec, container in (("libmp3lame", "mp3"), ("aac", "adts"), ("libopus", "ogg")):
        data = sound(codec, container)
        zeroed = data[: len(data) // 3] + bytes(len(data) // 3) + data[2 * len(data) // 3 :]
        yield Case(f"{container}-with-a-hole", "sound", zeroed, either=True)
        yield Case(f"{container}-cut", "sound", data[: len(data) // 2], either=True)
    noise = np.random.default_rng(9).bytes(4000)
    for name, magic in (("mp3", b"\xff\xfb"), ("ogg", b"OggS"), ("aac", b"\xff\xf1")):
        reason = UNREADABLE + "|broke off|no sound stream|sampling rate|sound channels|no decoder"
        yield _fails(f"{name}-of-noise", magic + noise, reason)


def _written(format: str, subtype: str, endian: str = "FILE", channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    samples = np.repeat(tone(0.4, RATE)[:, np.newaxis] / 4, channels, axis=1)
    soundfile.write(buffer, samples, RATE, format=format, subtype=subtype, endian=endian)
    return buffer.getvalue()


def _unusual() -> Iterator[Case]:
    for subtype in (
        *("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        *("IMA_ADPCM", "MS_ADPCM", "GSM610"),
    ):
        yield _works(f"wav-{subtype.lower()}", _written("WAV", subtype))
    yield _works("wav-rf64", _written("RF64", "PCM_16"))
    yield _works("wav-rifx", _written("WAV", "PCM_16", "BIG"))
    yield _works("wav-extensible", _written("WAVEX", "PCM_24"))
    yield _works("wav-is-flac", _written("FLAC", "PCM_16"))
    for channels in (2, 6, 64):
        yield _works(f"wav-{channels}-channels", _written("WAV", "PCM_16", channels=channels))
    for rate in (1000, 192_000, 768_000):
        yield _works(f"wav-{rate}-hz", wav(tone(0.4, rate), rate))
    fmt, body = voice()[12:36], voice()[44:]
    data = chunk(b"data", body)
    yield _works("wav-junk-first", wrapped(chunk(b"JUNK", b"x" * 999), fmt, data), _same())
    yield _works("wav-odd-chunk", wrapped(fmt, chunk(b"note", b"odd"), data), _same())
    yield _works("wav-bytes-after", wrapped(fmt, data, chunk(b"id3 ", b"x" * 50)), _same())
    for size in (2**32 - 1, 0x7FFFFFFF):
        streamed = wrapped(fmt, chunk(b"data", body, size))
        yield _works(f"wav-streamed-{size}", streamed, _same())
    sloppy = wrapped(fmt, chunk(b"data", body, len(body) + 44))
    yield _works("wav-header-counted-in", sloppy, _same())
    yield _works("wav-riff-size-lies", after(voice(), b"RIFF", 0, "<I", 7), _same())
    yield _works(
        "wav-declares-less", wrapped(fmt, chunk(b"data", body, 11_200)), _as_long_as(0.35, 0.01)
    )
    yield _works("wav-full-scale", wav(np.sign(tone(0.4, RATE)), RATE))
