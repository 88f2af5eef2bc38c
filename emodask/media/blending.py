"""Frames blended: in time, to as many as are asked for, and in colour, to gray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numba
import numpy as np
import numpy.typing as npt

_GRAY_R, _GRAY_G, _GRAY_B = 2989, 5870, 1140
"""Rec. 601 luma weights in ten-thousandths: integers keep equal colours exactly equal."""

Frames = (
    npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]] | Mapping[int, npt.NDArray[np.uint8]]
)
"""Frames by number."""


def interpolate_frames(stack: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Interpolate a sequence of frames linearly along time, truncated to uint8.

    Frame ``i`` of the result lies at ``i * (n - 1) / (count - 1)`` among the ``n`` frames given.
    The arithmetic is in integers, so the truncation is exact.

    Parameters
    ----------
    stack : ndarray of uint8, shape (n, ...)
    count : int

    Returns
    -------
    ndarray of uint8, shape (count, ...)

    Examples
    --------
    >>> import numpy as np
    >>> interpolate_frames(np.array([[0], [10], [21]], np.uint8), 5).ravel().tolist()
    [0, 5, 10, 15, 21]
    """
    return stack if len(stack) == count else interpolated(stack, len(stack), count)


def places(n: int, count: int) -> Iterator[tuple[int, int]]:
    """For each frame of the result: the frame before it, and the rest in steps of count - 1."""
    return (divmod(i * (n - 1), max(count - 1, 1)) for i in range(count))


def interpolated(
    frames: Frames,
    n: int,
    count: int,
) -> npt.NDArray[np.uint8]:
    """Interpolate from frames by number, of which only those needed have to be there."""
    result = np.empty((count, *frames[0].shape), np.uint8)
    steps = max(count - 1, 1)
    for i, (before, fraction) in enumerate(places(n, count)):
        if fraction == 0:
            result[i] = frames[before]
        else:
            _blend(
                frames[before].ravel(),
                frames[before + 1].ravel(),
                fraction,
                steps,
                result[i].ravel(),
            )
    return result


@numba.njit(cache=True, nogil=True)
def _blend(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    before, after, fraction, steps, out
):
    # (before * (steps - fraction) + after * fraction) // steps; half a unit in the numerator keeps
    # the float32 quotient off the integers, so truncating it is that integer division.
    scale = np.float32(1.0) / np.float32(steps)
    for k in range(out.size):
        total = np.int32(before[k]) * np.int32(steps - fraction) + np.int32(after[k]) * np.int32(
            fraction
        )
        out[k] = np.uint8((np.float32(total) + np.float32(0.5)) * scale)


def rgb_to_gray(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """0.2989 R + 0.587 G + 0.114 B of uint8 RGB, in float32.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (frames, 3, height, width)

    Returns
    -------
    ndarray of float32, shape (frames, height, width)
        Gray levels, correctly rounded: colours of equal gray give equal numbers.

    Examples
    --------
    >>> import numpy as np
    >>> rgb_to_gray(np.array([0, 10], np.uint8).repeat(3).reshape(2, 3, 1, 1)).ravel().tolist()
    [0.0, 9.99899959564209]
    """
    frames, _, height, width = rgb.shape
    gray = np.empty((frames, height, width), np.float32)
    _weigh(rgb.reshape(frames, 3, -1), gray.reshape(frames, -1))
    return gray


@numba.njit(cache=True, nogil=True)
def _weigh(rgb, gray):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for i in range(len(gray)):
        red, green, blue, out = rgb[i, 0], rgb[i, 1], rgb[i, 2], gray[i]
        for k in range(len(out)):
            total = np.int32(_GRAY_R) * np.int32(red[k]) + np.int32(_GRAY_G) * np.int32(green[k])
            total += np.int32(_GRAY_B) * np.int32(blue[k])
            out[k] = np.float32(total) / np.float32(10_000.0)
