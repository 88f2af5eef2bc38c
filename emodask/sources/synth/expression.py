"""Drawing: brows, eyes, mouth and folds, from the amounts that the face shows in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.sources.synth.motion import Curves
from emodask.sources.synth.paint import Image, Place, Points, Stroke, bgr, curve, ellipse
from emodask.sources.synth.people import Person

_SPAN = np.linspace(-1.0, 1.0, 25)
_ALONG = np.linspace(0.0, 1.0, 13)
_TURN = np.linspace(0.0, 1.0, 25)

_Column = npt.NDArray[Any]
"""Shape (frames, 1): it broadcasts against the points of a shape."""

_FOLD_SHOWS = 0.08
"""Smallest amount of a fold that is drawn."""


class Expression:
    """Everything that moves in a face, as strokes that hold all frames of a clip.

    The geometry of all frames is computed at once: one frame's few points would cost more in calls
    than in arithmetic.

    Parameters
    ----------
    person : Person
        Whose face.
    curves : mapping of str to ndarray, shape (frames,)
        The amounts, as of :func:`emodask.sources.synth.motion.move`.
    place : callable
        From face half-heights to pixels of the texture.
    unit : float
        Pixels in one face half-height.
    texture : ndarray, shape (height, width, 3), uint8
        The face at rest, whose colours the folds darken.
    """

    def __init__(
        self, person: Person, curves: Curves, place: Place, unit: float, texture: Image
    ) -> None:
        self._person, self._place, self._unit, self._texture = person, place, unit, texture
        self._now = {name: amounts[:, None] for name, amounts in curves.items()}
        # A head that turns or bows shows its features nearer to one edge.
        sideways = 0.035 * curves["dx"]
        down = 0.03 * curves["dy"] + 0.045 * curves["pitch"]
        self._turned = curve(sideways, down)[:, None, :]
        self._strokes = [*self._folds()]
        for side in (-1.0, 1.0):
            self._strokes += [*self._eye(side), self._brow(side)]
        self._strokes += self._mouth()

    def draw(self, image: Image, frame: int) -> None:
        """Draw one frame's features onto a copy of the texture."""
        for stroke in self._strokes:
            stroke.draw(image, frame)

    def _fill(self, points: Points, colour: tuple[float, ...]) -> Stroke:
        return Stroke(self._place(points + self._turned), colour)

    def _line(self, points: Points, colour: tuple[float, ...], thickness: float) -> Stroke:
        return Stroke(self._place(points + self._turned), colour, thickness * self._unit)

    def _eye(self, side: float) -> Iterator[Stroke]:
        person, now = self._person, self._now
        x0, y0 = side * 0.33 * person.eye_gap, -0.12
        half, tall = 0.165 * person.eye_size, 0.105 * person.eye_size
        wide = np.clip(0.74 + 0.36 * now["lid_open"] - 0.10 * now["squint"], 0.12, 1.2)
        upper = tall * wide * (1.0 - now["blink"])
        lower = tall * np.clip(0.62 - 0.36 * now["squint"] - 0.14 * now["cheek"], 0.10, 0.8)
        lower = lower * (1.0 - 0.6 * now["blink"])

        def slant(span: _Column) -> _Column:
            return y0 - 0.018 * side * span

        def top_at(span: _Column) -> _Column:
            return slant(span) - upper * (1.0 - span**2) ** 0.62

        def bottom_at(span: _Column) -> _Column:
            return slant(span) + lower * (1.0 - span**2) ** 0.75

        x, top, bottom = x0 + half * _SPAN, top_at(_SPAN), bottom_at(_SPAN)
        height = 0.82 * tall + 0.022 + 0.03 * now["pitch"]
        crease = slant(_SPAN) - height * (1.0 - _SPAN**2) ** 0.6 - 0.012
        crease = np.minimum(crease, top - 0.02)
        yield self._fill(_between(x, crease, top), bgr(person.skin, 0.86))
        yield self._fill(_between(x, top, bottom), (240.0, 243.0, 246.0))

        def disc(x: _Column, y: _Column, radius: float, n: int) -> Points:
            """Where a round thing shows between the lids."""
            points = ellipse(0.0, 0.0, radius, radius, n)
            span = np.clip((points[:, 0] + x - x0) / half, -1.0, 1.0)
            level = np.clip(points[:, 1] + y, top_at(span), bottom_at(span))
            return curve(x0 + half * span, level)

        gaze_x = x0 + 0.02 * now["dx"]
        gaze_y = y0 - 0.012 + 0.045 * now["gaze"]
        lit = 0.028 if person.light > 0 else -0.028
        yield self._fill(disc(gaze_x, gaze_y, 0.083, 32), bgr(person.iris))
        yield self._fill(disc(gaze_x, gaze_y, 0.042, 24), (18.0, 16.0, 16.0))
        yield self._fill(disc(gaze_x + lit, gaze_y - 0.03, 0.018, 16), (250.0, 250.0, 250.0))
        lash = 0.034 if person.female else 0.022
        yield self._line(curve(x, bottom), bgr(person.skin, 0.62), 0.010)
        yield self._line(curve(x, top), (34.0, 30.0, 34.0), lash)
        yield self._line(curve(x, crease), bgr(person.skin, 0.66), 0.012)

    def _brow(self, side: float) -> Stroke:
        person, now, t = self._person, self._now, _TURN
        inner_x = (0.15 - 0.055 * now["brow_knit"]) * person.eye_gap
        outer_x = 0.53 * person.eye_gap
        base = -0.335 * person.brow_height
        inner_y = base - 0.115 * now["brow_inner"] + 0.015 * now["brow_knit"]
        outer_y = base + 0.03 - 0.085 * now["brow_outer"]
        arch = (0.055 + 0.02 * now["brow_outer"]) * np.sin(np.pi * t**1.3)
        x = side * (inner_x + (outer_x - inner_x) * t)
        y = inner_y + (outer_y - inner_y) * t - arch
        thick = 0.034 * person.brow_weight * (1.0 - 0.72 * t**2) * np.clip(6 * t + 0.5, 0, 1)
        return self._fill(_between(x, y - thick, y + thick), bgr(person.hair, 0.85))

    def _mouth(self) -> Iterator[Stroke]:
        person, now = self._person, self._now
        bulge = 1.0 - _SPAN**2
        corner, rounded = now["corner"], now["rounding"]
        half = 0.265 * person.mouth_width
        stretch = 0.24 * now["widen"] + 0.10 * np.maximum(0.0, corner) - 0.20 * rounded
        x = half * (1.0 + stretch) * _SPAN
        gap = 0.008 + 0.15 * now["mouth"] + 0.24 * np.maximum(0.0, now["jaw"])
        bared = np.maximum(0.0, now["upper_lip"])
        middle = 0.545 + corner * (0.045 - 0.125 * _SPAN**2)
        lopsided = 0.035 * np.maximum(0.0, now["sneer"]) * bulge / (1.0 + np.exp(-5.0 * _SPAN))
        upper = middle - 0.25 * gap * bulge - 0.045 * bared * bulge**0.7 - lopsided
        lower = middle + 0.75 * gap * bulge**0.62
        pressed = 0.2 * np.maximum(0.0, now["brow_knit"] - 0.4)
        full = np.maximum(0.4, 1.0 - 0.22 * now["widen"] + 0.15 * rounded - pressed)
        full = full * (1.1 if person.female else 0.92)
        bow = 1.0 - 0.28 * np.exp(-((_SPAN / 0.14) ** 2))
        above = upper - 0.046 * full * bow * np.sqrt(bulge)
        below = lower + 0.062 * full * bulge**0.6
        red, green, blue = person.skin
        hue = (0.80, 0.52, 0.54) if person.female else (0.78, 0.62, 0.60)
        lips = (int(red * hue[0]), int(green * hue[1]), int(blue * hue[2]))

        yield self._fill(_between(x, below, below + 0.05 * bulge), bgr(person.skin, 0.84))
        yield self._fill(_between(x, above, below), bgr(lips))
        shine = lower + 0.45 * (below - lower)
        yield self._fill(_between(x, shine, shine + 0.012 * bulge), bgr(lips, 1.12))
        yield self._fill(_between(x, upper, lower), (44.0, 30.0, 74.0))
        open_by = np.maximum(lower - upper, 0.0)
        tongue = np.maximum(lower - 0.35 * open_by * bulge, upper)
        yield self._fill(_between(x, tongue, lower), (96.0, 84.0, 176.0))
        teeth = upper + np.minimum(0.55 * open_by, 0.030 + 0.030 * bared)
        teeth = np.where(np.abs(_SPAN) < 0.86, teeth, upper)
        yield self._fill(_between(x, upper, teeth), (232.0, 238.0, 240.0))
        yield self._line(curve(x, upper), bgr(lips, 0.62), 0.014)

    def _folds(self) -> Iterator[Stroke]:
        """Lines of the skin that come with an expression; each fades in with its amount."""
        now, t = self._now, _ALONG
        smile = 0.75 * now["corner"] + 0.45 * now["cheek"]
        cheeks = np.maximum(smile, np.maximum(0.9 * now["sneer"], 0.5 * now["upper_lip"]))
        for side in (-1.0, 1.0):
            x = side * (0.17 + 0.20 * t + 0.05 * np.maximum(0.0, now["corner"]) * t)
            yield self._fold(curve(x, 0.24 + 0.24 * t**1.5), cheeks)
            under = curve(side * (0.20 + 0.28 * t), 0.02 + 0.055 * np.sin(np.pi * t))
            yield self._fold(under, 0.7 * now["cheek"] + 0.4 * now["squint"], 0.22)
            frown = curve(side * (0.055 + 0.012 * t), -0.36 + 0.15 * t)
            yield self._fold(frown, 1.1 * now["brow_knit"])
            for k in range(2):
                wrinkle = curve(side * 0.075 * t, -0.02 + 0.06 * k + 0.03 * t**2)
                yield self._fold(wrinkle, 1.1 * now["sneer"] - 0.2)
            droop = curve(side * (0.31 + 0.035 * t), 0.60 + 0.12 * t)
            yield self._fold(droop, -0.8 * now["corner"], 0.22)
        raised = 0.5 * (now["brow_inner"] + now["brow_outer"])
        for k in range(2):
            across = curve(0.62 * (t - 0.5), -0.53 - 0.075 * k - 0.03 * np.sin(np.pi * t))
            yield self._fold(across, 1.3 * raised - 0.2, 0.20)

    def _fold(self, points: Points, amount: _Column, depth: float = 0.34) -> Stroke:
        pixels = self._place(points + self._turned)
        middle = pixels[:, pixels.shape[1] // 2].round().astype(int)
        height, width = self._texture.shape[:2]
        rows, columns = middle[:, 1].clip(0, height - 1), middle[:, 0].clip(0, width - 1)
        shown = np.clip(amount, 0.0, 1.0)
        colours = self._texture[rows, columns] * (1.0 - depth * shown)
        return Stroke(pixels, colours, 0.020 * self._unit, shown[:, 0] >= _FOLD_SHOWS)


def _between(x: _Column, first: _Column, second: _Column) -> Points:
    """Outline of what lies between two curves over the same abscissae."""
    edge, back = curve(x, first), curve(x, second)[..., ::-1, :]
    edge, back = np.broadcast_arrays(edge, back)
    return np.concatenate([edge, back], axis=-2)
