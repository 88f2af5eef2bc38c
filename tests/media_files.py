"""Small media files and zips for tests, made on the spot."""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile


def mp4(
    frames: npt.NDArray[np.uint8] | None,
    rate: int = 30,
    sound: npt.NDArray[np.float32] | None = None,
) -> bytes:
    """An mp4 of RGB frames (n, height, width, 3), mono sound at 48 kHz, or both."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        video = audio = None
        if frames is not None:
            video = container.add_stream("libx264", rate=rate, options={"crf": "10"})
            video.height, video.width = frames.shape[1:3]
            video.pix_fmt = "yuv420p"
            video.thread_count = 1
        if sound is not None:
            audio = container.add_stream("aac", rate=48_000, layout="mono")
        for i, image in enumerate(frames if frames is not None else ()):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return buffer.getvalue()


def wav(samples: npt.NDArray[np.float32], rate: int = 48_000, subtype: str = "PCM_16") -> bytes:
    """A wav of samples (n,) or (n, channels)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def moving_bars(
    count: int = 12, height: int = 36, width: int = 64, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """RGB frames (count, height, width, 3) of a pattern that drifts."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, 3)
    t, y, x = np.mgrid[:count, :height, :width]
    waves = [
        np.sin(x / 5 + t / 3 + phase[0]),
        np.cos(y / 4 - t / 2 + phase[1]),
        np.sin(x * y / 300),
    ]
    return np.stack([(127 + 100 * wave).astype(np.uint8) for wave in waves], axis=-1)


def tone(seconds: float = 1.0, rate: int = 48_000, pitch: float = 180.0) -> npt.NDArray[np.float32]:
    """A buzz with vibrato, float32 (n,)."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * pitch * t + 3 * np.sin(2 * np.pi * 4 * t)
    return (0.3 * sum(np.sin(k * phase) / k for k in range(1, 8))).astype(np.float32)


def zip_of(
    path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> Path:
    """A zip with the given members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return path
