"""HOG3D by its plain formula: float64 angles and one np.histogram for each cell and angle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

# OpenCV's 7-tap Gaussian of automatic width.
BLUR_TAPS = np.array([8, 28, 56, 72, 56, 28, 8]) / 256

Cell = tuple[int, int, int]


def blurred(frames: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Each frame under the 7x7 Gaussian, mirrored about its border pixels."""
    out = frames.astype(np.float64)
    for axis in (1, 2):
        size = out.shape[axis]
        padded = np.pad(out, [(3, 3) if a == axis else (0, 0) for a in range(3)], mode="reflect")
        out = sum(
            tap * np.take(padded, range(k, k + size), axis) for k, tap in enumerate(BLUR_TAPS)
        )
    return out


def orientation(frames: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], ...]:
    """Magnitude, azimuth and polar angle of every pixel, each (time, height, width)."""
    levels = frames.astype(np.float64) + 0.0  # -0.0 to 0.0: its azimuth is pi, not -pi
    gz, gx, gy = np.gradient(levels)
    r = np.sqrt(gx**2 + gy**2)
    return np.sqrt(r**2 + gz**2), np.arctan2(gy, gx), np.arctan2(r, gz)


def bin_edges(bins: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Edges of the azimuth and polar bins."""
    return np.linspace(-np.pi, np.pi, bins + 1), np.linspace(0, np.pi, bins + 1)


def cells(shape: tuple[int, ...], cell: Cell) -> Iterator[tuple[Cell, tuple[slice, slice, slice]]]:
    """Index (y, x, t) of every whole cell and its place in (time, height, width)."""
    height, width, time = cell
    for i, j, k in np.ndindex(shape[1] // height, shape[2] // width, shape[0] // time):
        yield (
            (i, j, k),
            (
                slice(k * time, (k + 1) * time),
                slice(i * height, (i + 1) * height),
                slice(j * width, (j + 1) * width),
            ),
        )


def hog3d(
    frames: npt.NDArray[Any],
    cell: Cell = (5, 6, 5),
    bins: int = 9,
    smooth: bool = False,
    contrast_floor: float = 0.0,
) -> npt.NDArray[np.float64]:
    """Histograms of every cell: (cells_y, cells_x, cells_t, bins, 2)."""
    magnitude, *angles = orientation(blurred(frames) if smooth else frames)
    ranges = ((-np.pi, np.pi), (0, np.pi))
    height, width, time = cell
    n_t, n_y, n_x = (n // c for n, c in zip(frames.shape, (time, height, width), strict=True))
    out = np.zeros((n_y, n_x, n_t, bins, 2))
    for index, place in cells(frames.shape, cell):
        weights = magnitude[place].ravel()
        for a, angle in enumerate(angles):
            histogram, _ = np.histogram(angle[place].ravel(), bins, ranges[a], weights=weights)
            norm = np.sqrt((histogram**2).sum())
            out[(*index, slice(None), a)] = histogram / (norm + 1e-6 + contrast_floor)
    return out


def cells_near_an_edge(
    frames: npt.NDArray[Any], cell: Cell = (5, 6, 5), bins: int = 9, tolerance: float = 1e-5
) -> npt.NDArray[np.bool_]:
    """Cells holding a pixel within `tolerance` rad of an inner bin edge: (y, x, t, 2) booleans.

    There the last bit of a float32 gradient decides the bin. Pixels of no magnitude do not count.
    """
    magnitude, *angles = orientation(frames)
    height, width, time = cell
    n_t, n_y, n_x = (n // c for n, c in zip(frames.shape, (time, height, width), strict=True))
    near = np.stack(
        [
            (np.abs(angle[..., None] - edges[1:-1]).min(axis=-1) < tolerance) & (magnitude > 0)
            for angle, edges in zip(angles, bin_edges(bins), strict=True)
        ],
        axis=-1,
    )
    out = np.zeros((n_y, n_x, n_t, 2), bool)
    for index, place in cells(frames.shape, cell):
        out[index] = near[place].any(axis=(0, 1, 2))
    return out
