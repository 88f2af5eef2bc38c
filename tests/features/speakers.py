"""A synthetic speaker who moves, for tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emodask.media import gray_frames


def moved(video: bytes, steps: npt.NDArray[np.int_], frames: int = 20) -> npt.NDArray[np.uint8]:
    """Gray frames of a video, moved to the right by so many pixels each, on a wider canvas."""
    still = gray_frames(video, height=180, width=320, frames=frames, gray="luma")
    canvas = np.full((frames, 180, 320 + int(steps.max())), 200, np.uint8)
    for target, source, step in zip(canvas, still, steps, strict=True):
        target[:, step : step + 320] = source
    return canvas
