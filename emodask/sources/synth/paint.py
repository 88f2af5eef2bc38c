"""Drawing primitives in face half-heights: colours, shapes and strokes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from emodask.sources.synth.people import Colour

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
"""Shape (..., n, 2): x to the right, y downwards."""

Place = Callable[[Points], Points]
"""From face half-heights to pixels."""

_SHIFT = 4


def bgr(colour: Colour, brightness: float = 1.0) -> tuple[float, float, float]:
    """OpenCV's order of a colour, brightened or darkened.

    Examples
    --------
    >>> bgr((200, 100, 50), 0.5)
    (25.0, 50.0, 100.0)
    """
    red, green, blue = (min(255.0, c * brightness) for c in colour)
    return blue, green, red


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    return np.round(points * 2**_SHIFT).astype(np.int32)


def fill(image: Image, points: Points, colour: tuple[float, ...]) -> None:
    """Fill a polygon whose corners, in pixels, may lie between pixels."""
    cv2.fillPoly(image, [_fixed(points)], colour, cv2.LINE_AA, shift=_SHIFT)


class Stroke:
    """A filled polygon or an open line that moves: its points and colours in every frame.

    Parameters
    ----------
    points : ndarray, shape (frames, n, 2)
        In pixels; they may lie between pixels.
    colours : tuple of float or ndarray, shape (frames, 3)
        In OpenCV's order; one for all frames, or one a frame.
    thickness : float, optional
        Of a line, in pixels, at least one; None fills the polygon.
    shown : ndarray of bool, shape (frames,), optional
        In which frames it is drawn; None draws it in all.
    """

    def __init__(
        self,
        points: Points,
        colours: tuple[float, ...] | npt.NDArray[np.float64],
        thickness: float | None = None,
        shown: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self._points = _fixed(points)
        self._colours = (
            [colours] * len(points)
            if isinstance(colours, tuple)
            else [tuple(row) for row in colours.tolist()]
        )
        self._thickness = None if thickness is None else max(1, round(thickness))
        self._shown = np.ones(len(points), bool) if shown is None else shown

    def draw(self, image: Image, frame: int) -> None:
        """Draw one frame's shape."""
        if not self._shown[frame]:
            return
        shape, colour = [self._points[frame]], self._colours[frame]
        if self._thickness is None:
            cv2.fillPoly(image, shape, colour, cv2.LINE_AA, shift=_SHIFT)
        else:
            cv2.polylines(image, shape, False, colour, self._thickness, cv2.LINE_AA, shift=_SHIFT)


def curve(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Points:
    """Points from their coordinates, which broadcast: of one shape, or of many frames at once.

    Examples
    --------
    >>> curve(np.array([1.0, 2.0]), np.array([3.0, 4.0])).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


@lru_cache
def _circle(n: int) -> Points:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return curve(np.cos(angle), np.sin(angle))


def ellipse(x: float, y: float, width: float, height: float, n: int = 48) -> Points:
    """Corners of an ellipse with the given half-axes.

    Examples
    --------
    >>> ellipse(0, 0, 2, 1, n=4).round().tolist()
    [[2.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [-0.0, -1.0]]
    """
    return _circle(n) * (width, height) + (x, y)


def rounded(points: Points, times: int = 3) -> Points:
    """Round the corners of an open line by Chaikin's corner cutting; its ends stay."""
    for _ in range(times):
        near = 0.75 * points[:-1] + 0.25 * points[1:]
        far = 0.25 * points[:-1] + 0.75 * points[1:]
        middle = np.stack([near, far], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], middle, points[-1:]])
    return points
