"""HOG3D: histograms of oriented spatio-temporal gradients, one pair for each cell of a clip.

The plain formula, for a pixel with gradients gx (along height), gy (width) and gz (time)::

    r         = sqrt(gx**2 + gy**2)
    magnitude = sqrt(r**2 + gz**2)
    azimuth   = atan2(gy, gx)          in (-pi, pi]
    polar     = atan2(r, gz)           in [0, pi]
    histogram = np.histogram(angle, bins, weights=magnitude)     over the pixels of one cell
    feature   = histogram / (norm(histogram) + 1e-6 + contrast_floor)

The kernel computes no angle. An angle is at or past a bin edge exactly when a cotangent comparison
holds (:func:`_accumulate`), so the magnitudes of the pixels past each edge are summed, and a bin is
the difference of two neighbouring sums. All pixels of a row take the same branch-free steps, which
the compiler turns into vector instructions.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from numba import njit
from pydantic import Field, model_validator

from emodask.errors import FeatureError, UsageError
from emodask.features import Family, FamilySettings

_LEVEL_LIMIT = 1e15  # the square of a larger level could overflow float32
_MAX_BINS = 64
_NORM_FLOOR = 1e-6

_BLOCK = 512  # columns that one pass accumulates
# Rows of sums lie this far apart: a constant, so that the compiler can see they never overlap, and
# no power of two, so that they do not compete for the same cache sets.
_STRIDE = _BLOCK + 16
_FOLD_ROWS = 64  # image rows summed in float32 before they move on to float64

_FLOAT32_MAX = np.finfo(np.float32).max


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


def _checked_parameters(cell: Any, bins: Any, contrast_floor: Any) -> tuple[int, int, int]:
    try:
        height, width, time = (operator.index(size) for size in cell)
    except (TypeError, ValueError):
        raise UsageError(
            f"cell is {cell!r}; it must be three whole numbers of pixels: height, width, time"
        ) from None
    if min(height, width, time) < 1:
        raise UsageError(f"cell is {cell!r}; each of height, width, time must be 1 or more")
    if not isinstance(bins, (int, np.integer)) or not 2 <= bins <= _MAX_BINS:
        raise UsageError(f"bins is {bins!r}; it must be a whole number from 2 to {_MAX_BINS}")
    real = isinstance(contrast_floor, numbers.Real)
    if not (real and 0 <= float(contrast_floor) < math.inf):
        raise UsageError(f"contrast_floor is {contrast_floor!r}; it must be finite and 0 or more")
    return height, width, time


def _checked_frames(frames: npt.ArrayLike, cell: tuple[int, int, int]) -> npt.NDArray[Any]:
    try:
        array = np.asarray(frames)
    except ValueError:
        raise FeatureError("frames differ in shape; all must be of one size") from None
    if array.ndim != 3:
        raise FeatureError(f"frames have shape {array.shape}; it must be (time, height, width)")
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise FeatureError(f"frames are of dtype {array.dtype}; they must be real gray levels")
    if min(array.shape) < 2:
        raise FeatureError(f"frames have shape {array.shape}; each axis needs at least 2")
    height, width, time = cell
    if array.shape[0] < time or array.shape[1] < height or array.shape[2] < width:
        raise FeatureError(
            f"frames have shape {array.shape}, smaller than one cell; they must be at least "
            f"{(time, height, width)} (time, height, width)"
        )
    if array.dtype != np.uint8:
        low, high = array.min(), array.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise FeatureError("frames hold NaN or infinite gray levels; all must be finite")
        if float(low) < -_LEVEL_LIMIT or float(high) > _LEVEL_LIMIT:
            raise FeatureError(f"gray levels reach {low:g} to {high:g}; ±{_LEVEL_LIMIT:g} is most")
        array = array.astype(np.float32, copy=False)
    return np.ascontiguousarray(array)


def smoothed(frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Blur each frame with OpenCV's 7x7 Gaussian of automatic width, in float32."""
    import cv2

    blurred = np.empty(frames.shape, np.float32)
    for source, target in zip(frames, blurred, strict=True):
        target[:] = cv2.GaussianBlur(source.astype(np.float32), (7, 7), 0)
    return blurred


def hog3d(
    frames: npt.ArrayLike,
    cell: tuple[int, int, int] = (5, 6, 5),
    bins: int = 9,
    smooth: bool = False,
    contrast_floor: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Histograms of oriented 3D gradients of a clip.

    Gradients have the semantics of ``np.gradient``: central differences halved, one-sided first
    differences at the borders. Every whole cell is filled; pixels beyond the last whole cell belong
    to none, but serve the gradients of their neighbours.

    Parameters
    ----------
    frames : array_like, shape (time, height, width)
        Gray levels. uint8 and float32 are used as they are, other real dtypes become float32.
    cell : (int, int, int)
        Height, width and time of a cell, in pixels and frames.
    bins : int
        Bins of each angle, 2 to 64, of equal width: azimuth over (-pi, pi], polar over [0, pi].
        The edges are those of ``np.histogram``, the last bin closed. Many bins (more than about
        20) are right but slow: the compiler no longer unrolls the loops over their edges.
    smooth : bool
        Blur each frame first with OpenCV's 7x7 Gaussian of automatic width (sigma 0), in float32.
    contrast_floor : float
        Gray levels added to each histogram's norm before dividing, to silence faint noise.

    Returns
    -------
    ndarray, shape (cells_y, cells_x, cells_t, bins, 2), float32
        Magnitude-weighted histograms, each divided by (its L2 norm + 1e-6 + `contrast_floor`):
        values in [0, 1], never NaN, all 0 where the clip is flat. Last axis: azimuth, polar.

    Raises
    ------
    FeatureError
        If `frames` are not real numbers of three dimensions, hold NaN or infinity, or are
        smaller than one cell or than 2 along any axis.
    UsageError
        If `cell`, `bins` or `contrast_floor` cannot be meant.

    References
    ----------
    Kläser, Marszałek, Schmid, "A spatio-temporal descriptor based on 3D-gradients", BMVC 2008;
    here with polar coordinates for the orientation, as the two angles of the gradient.

    Examples
    --------
    Gray levels that grow downwards: azimuth 0 and polar pi / 2, both in the middle bin.

    >>> ramp = np.repeat(np.arange(10, dtype=np.uint8)[:, None], 12, axis=1)
    >>> features = hog3d(np.stack([ramp] * 5))
    >>> features.shape
    (2, 2, 1, 9, 2)
    >>> features[0, 0, 0, :, 0].round(3).tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    cell = _checked_parameters(cell, bins, contrast_floor)
    gray = _checked_frames(frames, cell)
    if smooth:
        gray = smoothed(gray)
    height, width, time = cell
    bins = int(bins)
    n_y, n_x, n_t = gray.shape[1] // height, gray.shape[2] // width, gray.shape[0] // time
    out = np.empty((n_y, n_x, n_t, bins, 2), np.float32)
    cot, cot2 = _cotangents(bins)
    _histograms(gray, cell, cot, cot2, _edge_rows(bins), _NORM_FLOOR + float(contrast_floor), out)
    return out


_Size = Annotated[int, Field(ge=1)]


class Settings(FamilySettings):
    """Keys of ``[features.hog3d]``: how the frames are decoded, and what :func:`hog3d` is given.

    Examples
    --------
    >>> Settings().cell
    (5, 6, 5)
    """

    height: int = Field(default=240, ge=2)
    width: int = Field(default=426, ge=2)
    frames: int = Field(default=50, ge=2)
    gray: Literal["rgb", "luma"] = "rgb"
    cell: tuple[_Size, _Size, _Size] = (5, 6, 5)
    bins: int = Field(default=9, ge=2, le=_MAX_BINS)
    smooth: bool = False
    contrast_floor: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _cell_fits(self) -> Settings:
        sizes = (self.height, self.width, self.frames)
        if any(part > size for part, size in zip(self.cell, sizes, strict=True)):
            raise ValueError(
                f"cell {self.cell} does not fit; it must be at most {sizes} (height, width, frames)"
            )
        return self


def _dims(settings: Settings) -> Mapping[str, int]:
    height, width, time = settings.cell
    return {
        "cell_y": settings.height // height,
        "cell_x": settings.width // width,
        "cell_t": settings.frames // time,
        "bin": settings.bins,
        "angle": 2,
    }


def _decode(settings: Settings) -> Mapping[str, Any]:
    return settings.model_dump(include={"height", "width", "frames", "gray"})


def _compute(frames: npt.NDArray[Any], settings: Settings, seed: int) -> npt.NDArray[np.float32]:
    return hog3d(frames, settings.cell, settings.bins, settings.smooth, settings.contrast_floor)


FAMILY = Family(
    modality="video",
    settings=Settings,
    dims=_dims,
    decode=_decode,
    compute=_compute,
    memory=lambda settings, count: 4 * count if settings.smooth else 0,
    coords=lambda settings: {"angle": ("azimuth", "polar")},
)
