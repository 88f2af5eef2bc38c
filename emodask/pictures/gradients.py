"""What HOG3D sees of a clip, pixel by pixel and cell by cell: magnitude, azimuth, polar angle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients of a clip's frames, by the formula of :mod:`emodask.features.hog3d`.

    Attributes
    ----------
    frames, magnitude, azimuth, polar : ndarray, shape (time, height, width)
        Gray levels; gray levels a pixel or frame; radians in (-pi, pi]; radians in [0, pi].
    """

    frames: Floats
    magnitude: Floats
    azimuth: Floats
    polar: Floats


def liveliest(frames: npt.NDArray[Any]) -> int:
    """The frame in which most changes from the one before to the one after.

    The first and the last are left out where there are others: they have one neighbour.

    Examples
    --------
    >>> blink = np.zeros((5, 2, 2))
    >>> blink[3:] = 9
    >>> liveliest(blink)
    2
    """
    if len(frames) < 3:
        return 0
    change = [
        float(np.abs(after - before).mean())
        for before, after in zip(frames[:-2], frames[2:], strict=True)
    ]
    return 1 + int(np.argmax(change))


def gradients_at(frames: npt.NDArray[Any], time: int, smooth: bool = False) -> Gradients:
    """:func:`gradients` of one frame alone, with what its neighbours say of it."""
    first = max(time - 1, 0)
    found = gradients(frames[first : time + 2], smooth)
    at = slice(time - first, time - first + 1)
    return Gradients(found.frames[at], found.magnitude[at], found.azimuth[at], found.polar[at])


def gradients(frames: npt.NDArray[Any], smooth: bool = False) -> Gradients:
    """Gradients of gray frames, as those that HOG3D sums up.

    Parameters
    ----------
    frames : array, shape (time, height, width)
        Gray levels, at least two along each axis.
    smooth : bool
        Blur each frame first, as the feature's setting of that name does.

    Examples
    --------
    Gray levels that grow downwards: azimuth 0, polar pi / 2.

    >>> ramp = np.repeat(np.arange(4.0)[:, None], 5, axis=1)
    >>> found = gradients(np.stack([ramp] * 3))
    >>> float(found.magnitude[1, 1, 1]), float(found.azimuth[1, 1, 1])
    (1.0, 0.0)
    >>> round(float(found.polar[1, 1, 1]), 3)
    1.571
    """
    from emodask.features.hog3d import smoothed

    gray = smoothed(frames) if smooth else np.asarray(frames, np.float32)
    along_time, along_height, along_width = np.gradient(gray)
    across = np.hypot(along_height, along_width)
    return Gradients(
        gray,
        np.hypot(across, along_time),
        np.arctan2(along_width, along_height),
        np.arctan2(across, along_time),
    )


def strongest_angles(
    histograms: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The angle in the middle of each cell's fullest bin: azimuth and polar.

    Parameters
    ----------
    histograms : array, shape (..., bins, 2)
        As HOG3D stores them.

    Returns
    -------
    azimuth, polar : float64 arrays, shape (...)
        Radians; NaN where a cell's histogram is empty, as nothing changes there.

    Examples
    --------
    >>> cell = np.zeros((4, 2))
    >>> cell[3, 0] = cell[0, 1] = 1
    >>> [round(float(angle), 3) for angle in strongest_angles(cell)]
    [2.356, 0.393]
    """
    bins = histograms.shape[-2]
    share = (histograms.argmax(axis=-2) + 0.5) / bins
    angles = np.where(histograms.max(axis=-2) > 0, share, np.nan)
    return 2 * np.pi * angles[..., 0] - np.pi, np.pi * angles[..., 1]
