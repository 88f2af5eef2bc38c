"""The plain chain from a video to gray frames: OpenCV, float64, one frame after the other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


def rgb_frames(data: bytes, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Decode with OpenCV and scale, shape (n, height, width, 3)."""
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
