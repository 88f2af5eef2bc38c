"""The plain chain from a video to gray frames: OpenCV, float64, one frame after the other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


def covered(n: int, m: int) -> npt.NDArray[np.float64]:
    """How much of each of n pixels each of m covers, in m-ths of a pixel; shape (m, n)."""
    pixel, begin = np.arange(n) * m, np.arange(m)[:, None] * n
    parts = np.minimum(pixel + m, begin + n) - np.maximum(pixel, begin)
    return np.maximum(parts, 0).astype(np.float64)


def area(plane: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """The mean of the area under each pixel of a smaller picture, halves rounded up."""
    down, across = covered(plane.shape[0], height), covered(plane.shape[1], width)
    total = (down @ plane @ across.T).astype(np.int64)  # whole numbers, exact in float64
    return ((2 * total + plane.size) // (2 * plane.size)).astype(np.uint8)


def rgb_frames(data: bytes, height: int, width: int, exact: bool = False) -> npt.NDArray[np.uint8]:
    """Decode with OpenCV and scale, with OpenCV or exactly, shape (n, height, width, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(data)
        capture = cv2.VideoCapture(str(path))
        frames = []
        while True:
            found, frame = capture.read()
            if not found:
                break
            rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            if exact:
                frames.append(np.stack([area(rgb[..., c], width, height) for c in range(3)], -1))
            else:
                frames.append(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA))
        capture.release()
    return np.stack(frames)


def interpolated(frames: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Linear interpolation along time in float64, truncated."""
    at = np.linspace(0, len(frames) - 1, count)
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, len(frames) - 1)
    weight = (at - before).reshape(-1, *[1] * (frames.ndim - 1))
    low, high = frames[before].astype(np.float64), frames[after].astype(np.float64)
    # What should be a whole number may fall short of it by rounding: truncate just above.
    return np.floor(low + (high - low) * weight + 1e-9).astype(np.uint8)


def gray(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Rec. 601 luma in float64."""
    return rgb @ np.array([0.2989, 0.587, 0.114])
