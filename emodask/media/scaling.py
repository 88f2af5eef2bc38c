"""Planes scaled by area: a pixel of the result is the mean of what it covers, exactly rounded."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
import numpy.typing as npt

_INT32_MAX = np.iinfo(np.int32).max


def scaled(
    plane: npt.NDArray[np.uint8],
    size: tuple[int, int],
    used: int,
    out: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.uint8]:
    """Scale one plane of a picture.

    A pixel of the result is the mean of the source pixels under it, each weighted with the part of
    it that is covered, rounded to the nearest integer and halves up: the definition of OpenCV's
    ``INTER_AREA``, computed in integers, where OpenCV sums in float32 and differs by one level in a
    pixel of some thousands. An axis to be enlarged is left to OpenCV.

    Parameters
    ----------
    plane : ndarray of uint8, shape (rows, line)
        Rows in one piece of memory; a decoder may pad them.
    size : (int, int)
        Width and height of the result.
    used : int
        Columns of the plane that are picture.
    out : ndarray of uint8, shape (height, width), optional
        Where to write the result.

    Returns
    -------
    ndarray of uint8, shape (height, width)

    Examples
    --------
    >>> import numpy as np
    >>> scaled(np.array([[0, 10, 40], [0, 20, 50]], np.uint8), (2, 1), 3)
    array([[ 5, 35]], dtype=uint8)
    """
    width, height = size
    rows = plane.shape[0]
    if out is None:
        out = np.empty((height, width), np.uint8)
    if (used, rows) == size:
        out[:] = plane[:, :used]
    elif used < width or rows < height:
        out[:] = cv2.resize(
            np.ascontiguousarray(plane[:, :used]), size, interpolation=cv2.INTER_AREA
        )
    else:
        across, down = _cover(used, width), _cover(rows, height)
        whole = across.whole * down.whole
        weights = across.weights
        if 255 * whole > _INT32_MAX:
            weights = weights.astype(np.int64)
        _mean(plane, down.first, down.weights, across.first, weights, 1.0 / whole, out)
    return out


@dataclass(frozen=True)
class _Cover:
    """What the pixels of a shorter axis cover of a longer one.

    Attributes
    ----------
    first : ndarray of uint64, shape (m,)
        The first source pixel of each.
    weights : ndarray of int32, shape (taps, m)
        Parts of the pixels from ``first`` on that are covered, in units that make them integers.
    whole : int
        The sum of the weights of each.
    """

    first: npt.NDArray[np.uint64]
    weights: npt.NDArray[np.int32]
    whole: int


@functools.lru_cache(maxsize=32)
def _cover(n: int, m: int) -> _Cover:
    """Pixel i of m covers ``i * n / m`` to ``(i + 1) * n / m`` of n, in parts of a pixel."""
    divisor = math.gcd(n, m)
    whole, parts = n // divisor, m // divisor
    begin = np.arange(m, dtype=np.int64) * whole
    first = begin // parts
    taps = int(((begin + whole - 1) // parts - first).max()) + 1
    first = np.minimum(first, n - taps)  # all taps lie within the axis
    pixel = (first + np.arange(taps)[:, None]) * parts
    covered = np.minimum(begin + whole, pixel + parts) - np.maximum(begin, pixel)
    return _Cover(first.astype(np.uint64), np.maximum(covered, 0).astype(np.int32), whole)


@numba.njit(cache=True, nogil=True)
def _mean(  # pragma: no cover - compiled
    plane: Any, top: Any, down: Any, left: Any, across: Any, scale: float, out: Any
) -> None:
    """Weighted sums of rectangles of a plane, scaled and rounded; in plain words::

        out[i, j] = round(scale * sum(
            plane[top[i] + k, left[j] + l] * down[k, i] * across[l, j] for all k, l
        ))

    First down the columns, then across: both loops run along memory, which the compiler turns into
    vector instructions. A quarter of a unit keeps the product off the halves that it may miss.
    """
    columns = np.empty(min(plane.shape[1], np.int64(left[-1]) + len(across)), np.int32)
    total = np.empty(len(left), across.dtype)
    half = 0.5 + 0.25 * scale
    for i in range(len(top)):
        weight, row = down[0, i], plane[top[i]]
        for x in range(len(columns)):
            columns[x] = np.int32(row[x]) * weight
        for k in range(1, len(down)):
            weight, row = down[k, i], plane[top[i] + np.uint64(k)]
            for x in range(len(columns)):
                columns[x] += np.int32(row[x]) * weight
        total[:] = 0
        for k in range(len(across)):
            weights, shifted = across[k], columns[k:]
            for j in range(len(total)):
                total[j] += shifted[left[j]] * weights[j]
        for j in range(len(total)):
            out[i, j] = np.uint8(total[j] * scale + half)
