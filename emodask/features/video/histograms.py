"""The kernel of HOG3D: magnitudes of gradients summed by angle without computing an angle.

An angle is at or past a bin edge exactly when a cotangent comparison holds (:func:`_accumulate`),
so the magnitudes of the pixels past each edge are summed, and a bin is the difference of two
neighbouring sums. All pixels of a row take the same branch-free steps, which the compiler turns
into vector instructions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

_NORM_FLOOR = 1e-6

_BLOCK = 512  # columns that one pass accumulates
# Rows of sums lie this far apart: a constant, so that the compiler can see they never overlap, and
# no power of two, so that they do not compete for the same cache sets.
_STRIDE = _BLOCK + 16
_FOLD_ROWS = 64  # image rows summed in float32 before they move on to float64

_FLOAT32_MAX = np.finfo(np.float32).max


def histograms(
    frames: npt.NDArray[Any], cell: tuple[int, int, int], bins: int, contrast_floor: float
) -> npt.NDArray[np.float32]:
    """What :func:`emodask.features.hog3d.hog3d` gives for frames and parameters that are checked.

    Parameters
    ----------
    frames : ndarray of uint8 or float32, shape (time, height, width)
        In one piece of memory.
    cell : (int, int, int)
    bins : int
    contrast_floor : float

    Returns
    -------
    ndarray of float32, shape (cells_y, cells_x, cells_t, bins, 2)
    """
    height, width, time = cell
    n_y, n_x, n_t = frames.shape[1] // height, frames.shape[2] // width, frames.shape[0] // time
    out = np.empty((n_y, n_x, n_t, bins, 2), np.float32)
    cot, cot2 = _cotangents(bins)
    _histograms(frames, cell, cot, cot2, _edge_rows(bins), _NORM_FLOOR + contrast_floor, out)
    return out


@njit(cache=True, nogil=True)
def _difference(low: Any, high: Any, scale: Any, out: Any) -> None:
    for x in range(len(out)):
        out[x] = (np.float32(high[x]) - np.float32(low[x])) * scale


@njit(cache=True, nogil=True)
def _gradients(frames: Any, t: int, y: int, x0: int, gx: Any, gy: Any, gz: Any) -> None:
    """Gradients of pixels ``x0 .. x0 + len(gx)`` of one image row, as ``np.gradient`` has them."""
    n_times, height, width = frames.shape
    x1 = x0 + len(gx)
    half, one = np.float32(0.5), np.float32(1.0)

    above, below = max(y - 1, 0), min(y + 1, height - 1)
    scale = half if below - above == 2 else one
    _difference(frames[t, above, x0:x1], frames[t, below, x0:x1], scale, gx)

    before, after = max(t - 1, 0), min(t + 1, n_times - 1)
    scale = half if after - before == 2 else one
    _difference(frames[before, y, x0:x1], frames[after, y, x0:x1], scale, gz)

    row = frames[t, y]
    left, right = max(x0, 1), min(x1, width - 1)
    inner = gy[left - x0 : right - x0]
    _difference(row[left - 1 : right - 1], row[left + 1 : right + 1], half, inner)
    if x0 == 0:
        gy[0] = np.float32(row[1]) - np.float32(row[0])
    if x1 == width:
        gy[width - 1 - x0] = np.float32(row[width - 1]) - np.float32(row[width - 2])


@njit(cache=True, nogil=True)
def _accumulate(gx: Any, gy: Any, gz: Any, cot: Any, cot2: Any, sums: Any) -> None:
    """Add each pixel's magnitude to the sums of the edges that its angles are at or past.

    Edges come in mirrored pairs. For an azimuth edge h in [0, pi), with cot = cot(h)::

        azimuth >=  h   <=>   gy >= 0 and gy cot >=  gx        (the zero vector taken as (1, 0))
        azimuth >= -h   <=>   gy >= 0  or gy cot >= -gx

    For a polar edge h in (0, pi / 2], with cot2 = cot(h)**2 and no square root of r**2::

        polar >=      h   <=>   gz <= 0  or r**2 cot2 >= gz**2
        polar >= pi - h   <=>   gz <= 0 and r**2 cot2 <= gz**2

    The "and" and "or" are folded into right-hand sides of plus or minus infinity. Row 0 of
    ``sums`` is the sum of all magnitudes; the rows that follow are laid out by :func:`_edge_rows`.
    """
    zero, inf = np.float32(0.0), np.float32(np.inf)
    polar_rows = _STRIDE * (1 + 2 * len(cot))
    for x in range(min(len(gx), _BLOCK)):
        a, b, c = gx[x], gy[x], gz[x]
        r2, c2 = a * a + b * b, c * c
        magnitude = math.sqrt(r2 + c2)
        sums[x] += magnitude

        a = a if (a != zero) | (b != zero) else np.float32(1.0)
        upper = b >= zero
        at_least = a if upper else inf
        at_least_mirrored = -inf if upper else -a
        for e in range(len(cot)):
            p = b * cot[e]
            sums[_STRIDE * (1 + 2 * e) + x] += magnitude if p >= at_least else zero
            sums[_STRIDE * (2 + 2 * e) + x] += magnitude if p >= at_least_mirrored else zero

        backward = c <= zero
        at_least = -inf if backward else c2
        at_most = c2 if backward else -inf
        for e in range(len(cot2)):
            p = r2 * cot2[e]
            sums[polar_rows + _STRIDE * (2 * e) + x] += magnitude if p >= at_least else zero
            sums[polar_rows + _STRIDE * (2 * e + 1) + x] += magnitude if p <= at_most else zero


@njit(cache=True, nogil=True)
def _fold(sums: Any, n_columns: int, x0: int, cell_width: int, cumulative: Any) -> None:
    """Move the sums of columns on to their cells, and clear them."""
    cell, offset = x0 // cell_width, x0 % cell_width
    for x in range(n_columns):
        for row in range(cumulative.shape[1]):
            cumulative[cell, row] += sums[row * _STRIDE + x]
        offset += 1
        if offset == cell_width:
            cell, offset = cell + 1, 0
    sums[:] = np.float32(0.0)


@njit(cache=True, nogil=True)
def _normalise(cumulative: Any, rows: Any, floor: float, out: Any) -> None:
    """Cumulative sums of one row of cells to histograms of norm 1 (or less, near the floor)."""
    n_bins = rows.shape[1]
    histogram = np.empty(n_bins, np.float64)
    for cell in range(cumulative.shape[0]):
        for angle in range(2):
            square = 0.0
            for k in range(n_bins):
                past = cumulative[cell, rows[angle, k + 1]] if k + 1 < n_bins else 0.0
                histogram[k] = cumulative[cell, rows[angle, k]] - past
                square += histogram[k] * histogram[k]
            scale = 1.0 / (math.sqrt(square) + floor)
            for k in range(n_bins):
                out[cell, k, angle] = histogram[k] * scale


@njit(cache=True, nogil=True)
def _histograms(
    frames: Any, cell: Any, cot: Any, cot2: Any, rows: Any, floor: float, out: Any
) -> None:
    cell_height, cell_width, cell_time = cell
    n_y, n_x, n_t = out.shape[:3]
    used_width = n_x * cell_width
    n_rows = cell_height * cell_time
    n_sums = 1 + 2 * len(cot) + 2 * len(cot2)
    gradients = np.empty((3, _BLOCK), np.float32)
    sums = np.zeros(n_sums * _STRIDE, np.float32)
    cumulative = np.empty((n_x, n_sums), np.float64)
    for j in range(n_t):
        for i in range(n_y):
            cumulative[:] = 0.0
            for x0 in range(0, used_width, _BLOCK):
                n_columns = min(_BLOCK, used_width - x0)
                gx = gradients[0, :n_columns]
                gy = gradients[1, :n_columns]
                gz = gradients[2, :n_columns]
                for s in range(n_rows):
                    t = j * cell_time + s // cell_height
                    y = i * cell_height + s % cell_height
                    _gradients(frames, t, y, x0, gx, gy, gz)
                    _accumulate(gx, gy, gz, cot, cot2, sums)
                    if s % _FOLD_ROWS == _FOLD_ROWS - 1 or s == n_rows - 1:
                        _fold(sums, n_columns, x0, cell_width, cumulative)
            _normalise(cumulative, rows, floor, out[i, :, j])


def _cotangents(bins: int) -> tuple[tuple[np.float32, ...], tuple[np.float32, ...]]:
    """Cotangents of azimuth edges in [0, pi), squared ones of polar edges in (0, pi / 2].

    As tuples, their number is part of the kernel's type: its loops over edges are unrolled.
    """

    def cotangent(half_turns: float) -> float:
        if half_turns == 0:
            return float(_FLOAT32_MAX)
        angle = math.pi * half_turns
        return round(math.cos(angle) / math.sin(angle), 12)  # exactly 0 at pi / 2, 1 at pi / 4

    azimuth = [(2 * edge - bins) / bins for edge in range((bins + 1) // 2, bins)]
    polar = [edge / bins for edge in range(1, bins // 2 + 1)]
    return (
        tuple(np.float32(cotangent(h)) for h in azimuth),
        tuple(np.float32(cotangent(h) ** 2) for h in polar),
    )


def _edge_rows(bins: int) -> npt.NDArray[np.intp]:
    """Which row of sums belongs to the lower edge of each bin: (2, bins), azimuth then polar."""
    rows = np.zeros((2, bins), np.intp)
    pairs = bins // 2
    for pair in range(pairs):
        azimuth_edge, polar_edge = (bins + 1) // 2 + pair, 1 + pair
        # An edge that is its own mirror (azimuth 0) is right in the mirrored row alone.
        rows[0, azimuth_edge] = 1 + 2 * pair
        rows[0, bins - azimuth_edge] = 2 + 2 * pair
        rows[1, polar_edge] = 1 + 2 * pairs + 2 * pair
        rows[1, bins - polar_edge] = 2 + 2 * pairs + 2 * pair
    return rows
