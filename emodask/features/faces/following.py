"""One person's face through a clip: looked for in some frames, bridged, smoothed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emodask.errors import FeatureError
from emodask.features.faces.detectors import Detector, Face

Floats = npt.NDArray[np.float64]

_FAR = 0.6
"""Of a face's size: what lies further from where it was last seen is another."""
_ALIKE = 1.6
"""What is so many times larger or smaller is another."""


def look(
    frames: npt.NDArray[np.generic], detector: Detector, every: int
) -> list[tuple[int, list[Face]]]:
    """Faces of frames about ``every`` apart, first and last among them; of all, if those have none.

    Parameters
    ----------
    frames : ndarray, shape (n, height, width)
        Gray levels from 0 to 255, uint8 or floating.
    detector : callable
    every : int

    Returns
    -------
    list of (int, list of Face)
        Numbers of the frames that were looked at and what was found, in order.
    """

    def at(numbers: Sequence[int]) -> list[tuple[int, list[Face]]]:
        return [(i, detector(_levels(frames[i]))) for i in numbers]

    count = -(-(len(frames) - 1) // every) + 1
    some = np.rint(np.linspace(0, len(frames) - 1, count)).astype(int).tolist()
    found = at(some)
    if any(faces for _, faces in found):
        return found
    return sorted(
        found + at([i for i in range(len(frames)) if i not in some]), key=lambda one: one[0]
    )


def _levels(frame: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if frame.dtype == np.uint8:
        return np.ascontiguousarray(frame, np.uint8)
    return np.clip(np.rint(frame.astype(np.float32)), 0, 255).astype(np.uint8)


def speaker(seen: Sequence[tuple[int, Sequence[Face]]]) -> list[tuple[int, Face]]:
    """The face that is large and stays: of all that can be followed, that with the most area.

    A face is taken for the one seen last nearby: no further away than ``_FAR`` of its size, no more
    than ``_ALIKE`` times as large or small. What a detector takes for a face in a frame or two
    loses to whom it sees throughout; so does a person in the background.

    Examples
    --------
    >>> here, there = Face(50, 50, 40), Face(200, 60, 50)
    >>> [number for number, _ in speaker([(0, [here]), (5, [here, there]), (10, [here])])]
    [0, 5, 10]
    """
    tracks: list[list[tuple[int, Face]]] = []
    for number, faces in seen:
        free = list(tracks)
        for face in sorted(faces, key=lambda face: -face.size):
            near = [track for track in free if _same(track[-1][1], face)]
            if near:
                track = min(near, key=lambda track: _distance(track[-1][1], face))
                free = [other for other in free if other is not track]
                track.append((number, face))
            else:
                tracks.append([(number, face)])
    return max(tracks, key=lambda track: sum(face.size**2 for _, face in track), default=[])


def _distance(one: Face, other: Face) -> float:
    return float(np.hypot(one.x - other.x, one.y - other.y))


def _same(one: Face, other: Face) -> bool:
    large, small = max(one.size, other.size), min(one.size, other.size)
    return large <= _ALIKE * small and _distance(one, other) <= _FAR * large


def curve(numbers: Sequence[int], values: Sequence[float], looked: Sequence[int], n: int) -> Floats:
    """A number for each of ``n`` frames from those of some: bridged, smoothed, the ends held.

    Gaps between what was seen are bridged by straight lines. Then, of the frames that were looked
    at, Tukey's 53H: medians of five neighbours, medians of three, Hann's weights (1/4, 1/2, 1/4),
    so that one false box moves nothing and small jitter little; straight lines between. Before the
    first and after the last frame in which something was seen, the nearest holds.

    Parameters
    ----------
    numbers, values : sequences
        Frames in which something was seen, in order, and where.
    looked : sequence of int
        Frames that were looked at, evenly spaced, among them `numbers`.
    n : int

    References
    ----------
    Tukey, "Exploratory Data Analysis", Addison-Wesley 1977, chapter 7: running medians, hanning.

    Examples
    --------
    >>> curve([0, 2, 4, 8], [1.0, 1.0, 90.0, 1.0], [0, 2, 4, 6, 8], 10).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    from scipy.ndimage import convolve1d, median_filter

    between = [number for number in looked if numbers[0] <= number <= numbers[-1]]
    smooth = np.interp(between, numbers, values)
    for size in (5, 3):
        smooth = median_filter(smooth, size, mode="nearest")
    smooth = convolve1d(smooth, [0.25, 0.5, 0.25], mode="nearest")
    return np.interp(np.arange(n), between, smooth)


def follow(
    frames: npt.NDArray[np.generic], detector: Detector, name: str, every: int, smooth: bool = True
) -> tuple[Floats, Floats, float]:
    """Where one person's face is in every frame.

    Parameters
    ----------
    frames : ndarray, shape (n, height, width)
    detector : callable
    name : str
        What messages call the detector.
    every : int
        Frames from one that is looked at to the next.
    smooth : bool
        Whether the frames follow closely upon each other, so that neighbours tell of a face.

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        Its middle, in pixels.
    size : float
        A side: the median of all. One for the whole clip, so that no face is seen to grow or
        shrink because a detector wavers.

    Raises
    ------
    FeatureError
        If there is no face in any frame.
    """
    seen = look(frames, detector, every)
    found = speaker(seen)
    if not found:
        height, width = frames.shape[1:]
        raise FeatureError(
            f"no face found in any of {len(seen)} frames of {width}x{height} pixels that {name} "
            'looked at; crop = "none" takes whole frames, larger decode_height and decode_width '
            f"show smaller faces, and {_OTHER[name]}"
        )
    numbers = [number for number, _ in found]
    x, y = [face.x for _, face in found], [face.y for _, face in found]
    size = float(np.median([face.size for _, face in found]))
    n = len(frames)
    if smooth:
        looked = [number for number, _ in seen]
        return curve(numbers, x, looked, n), curve(numbers, y, looked, n), size
    nearest = np.abs(np.arange(n)[:, None] - numbers).argmin(axis=1)
    return np.array(x)[nearest], np.array(y)[nearest], size


_OTHER = {
    "haar": 'detector = "blazeface" also finds those that look aside',
    "blazeface": 'detector = "haar" is another detector',
}
