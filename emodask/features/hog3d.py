"""HOG3D: histograms of oriented spatio-temporal gradients, one pair for each cell of a clip.

The plain formula, for a pixel with gradients gx (along height), gy (width) and gz (time)::

    r         = sqrt(gx**2 + gy**2)
    magnitude = sqrt(r**2 + gz**2)
    azimuth   = atan2(gy, gx)          in (-pi, pi]
    polar     = atan2(r, gz)           in [0, pi]
    histogram = np.histogram(angle, bins, weights=magnitude)     over the pixels of one cell
    feature   = histogram / (norm(histogram) + 1e-6 + contrast_floor)

The kernel (:mod:`emodask.features.video.histograms`) computes no angle.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from emodask.errors import FeatureError, UsageError
from emodask.features import Family
from emodask.features.faces.cropping import FaceCrop
from emodask.features.video.histograms import histograms

_LEVEL_LIMIT = 1e15  # the square of a larger level could overflow float32
_MAX_BINS = 64


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
    return histograms(gray, cell, int(bins), float(contrast_floor))


_Size = Annotated[int, Field(ge=1)]


class Settings(FaceCrop):
    """Keys of ``[features.hog3d]``: how the frames are decoded, and what :func:`hog3d` is given.

    With ``crop = "face"`` (:class:`emodask.features.faces.cropping.FaceCrop`) frames are decoded to
    ``decode_width`` x ``decode_height``, and `height` and `width` are those of the cropped face.

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
    size = settings.decoded_size(settings.height, settings.width)
    return {**size, "frames": settings.frames, "gray": settings.gray}


def seen(frames: npt.NDArray[Any], settings: Settings) -> npt.NDArray[Any]:
    """The frames that :func:`hog3d` is given: those that were decoded, cropped if the job says so.

    Raises
    ------
    FeatureError
        If faces are wanted, and there is none in any frame.
    """
    return settings.cropped(frames, settings.height, settings.width)


def _compute(frames: npt.NDArray[Any], settings: Settings, seed: int) -> npt.NDArray[np.float32]:
    gray = seen(frames, settings)
    return hog3d(gray, settings.cell, settings.bins, settings.smooth, settings.contrast_floor)


def _memory(settings: Settings, count: int) -> int:
    size = (settings.frames, settings.height, settings.width)
    smoothed_frames = 4 * math.prod(size) if settings.smooth else 0
    return settings.crop_memory(*size) + smoothed_frames


FAMILY = Family(
    modality="video",
    settings=Settings,
    dims=_dims,
    decode=_decode,
    compute=_compute,
    memory=_memory,
    coords=lambda settings: {"angle": ("azimuth", "polar")},
    prepare=lambda settings: settings.load_detector(),
)
