"""Drawing: a person's face, frame by frame, as planar YUV pictures."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from emodask.sources.synth.expression import Expression
from emodask.sources.synth.motion import Curves
from emodask.sources.synth.paint import Image, Points, bgr, ellipse, fill, rounded
from emodask.sources.synth.people import Person

_HALF_HEIGHT = 0.305
"""Half the height of an average face, in frame heights."""

_CENTRE = 0.50
_REACH_X, _REACH_UP, _REACH_DOWN = 1.15, 1.35, 1.35
"""How far the head's texture reaches from the middle of the face, in face half-heights."""

_SUPERSAMPLING = 2


def face_outline(person: Person) -> Points:
    """Outline of the face: half an ellipse above, a rounder jaw below, a chin at (0, 1)."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    across, down = np.cos(angle), np.sin(angle)
    lower = np.clip(down, 0.0, 1.0)
    squareness = 1.0 + 0.08 * person.jaw_width * np.sin(2 * np.arcsin(lower)) - 0.10 * lower**3
    return np.stack([person.face_width * across * squareness, down], axis=1)


class Head:
    """A head drawn once, at twice the resolution, on which the features are drawn per frame.

    Parameters
    ----------
    person : Person
        Whose head.
    unit : float
        Pixels of the texture in one face half-height.
    """

    def __init__(self, person: Person, unit: float) -> None:
        self.person, self.unit = person, unit
        width, height = round(2 * _REACH_X * unit), round((_REACH_UP + _REACH_DOWN) * unit)
        self.centre = np.array([width / 2, _REACH_UP * unit])
        self.texture, self.alpha = self._draw(width, height)

    def at(self, points: Points) -> Points:
        """Pixels of the texture at points given in face half-heights."""
        return points * self.unit + self.centre

    def _draw(self, width: int, height: int) -> tuple[Image, Image]:
        """Everything that does not change from frame to frame, and the mask of the head."""
        person = self.person
        image = np.zeros((height, width, 3), np.uint8)
        alpha = np.zeros((height, width), np.uint8)
        face, wide = face_outline(person), person.face_width
        volume = person.hair_volume

        def both(points: Points, colour: tuple[float, ...]) -> None:
            fill(image, self.at(points), colour)
            fill(alpha, self.at(points), (255,))

        hair = bgr(person.hair)
        if person.female:
            both(_long_hair(wide + 0.6 * volume, 1.0 + volume), bgr(person.hair, 0.88))
        else:
            both(ellipse(0, -0.35, wide + 0.4 * volume, 0.65 + volume), hair)
        for side in (-1.0, 1.0):
            both(ellipse(side * wide * 0.99, -0.02, 0.10, 0.19), bgr(person.skin, 0.90))
            both(ellipse(side * wide * 1.0, -0.01, 0.05, 0.11), bgr(person.skin, 0.76))
        both(face, bgr(person.skin))
        skin = np.zeros((height, width), np.uint8)
        fill(skin, self.at(face), (255,))
        image[:] = self._shade(image, skin)
        both(_fringe(person, wide, volume), hair)
        self._shine(image)
        self._nose(image)
        return np.where(alpha[..., None] > 0, image, np.uint8(0)), alpha

    def _grid(self, shape: tuple[int, ...]) -> tuple[Points, Points]:
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        return (columns - self.centre[0]) / self.unit, (rows - self.centre[1]) / self.unit

    def _shade(self, image: Image, skin: Image) -> Image:
        """Light from one side and above, rounder at the edges, a little blush on the cheeks."""
        x, y = self._grid(image.shape)
        round_off = (x / self.person.face_width) ** 2 + (0.9 * y) ** 2
        light = 1.04 + 0.07 * self.person.light * x - 0.05 * y - 0.17 * round_off**2
        for side in (-1.0, 1.0):  # eye sockets
            light -= 0.07 * np.exp(-(((x - side * 0.33) / 0.2) ** 2) - ((y + 0.14) / 0.13) ** 2)
        light -= 0.10 * np.exp(-((x / 0.22) ** 2) - ((y - 0.74) / 0.06) ** 2)
        blush = sum(
            np.exp(-(((x - side * 0.42) / 0.2) ** 2) - ((y - 0.24) / 0.16) ** 2)
            for side in (-1.0, 1.0)
        )
        gains = np.stack([light - 0.09 * blush, light - 0.06 * blush, light + 0.02 * blush], -1)
        shaded = np.clip(image * gains, 0, 255).astype(np.uint8)
        return np.where(skin[..., None] > 127, shaded, image)

    def _shine(self, image: Image) -> None:
        """Lighten the crown of the hair."""
        x, y = self._grid(image.shape)
        spot = np.exp(-(((x - 0.25 * self.person.light) / 0.45) ** 2) - ((y + 0.92) / 0.12) ** 2)
        image[:] = np.clip(image + 26 * spot[..., None], 0, 255).astype(np.uint8)

    def _nose(self, image: Image) -> None:
        size = self.person.nose
        shadow = image.copy()
        side = -1.0 if self.person.light > 0 else 1.0
        bridge = np.array([[0.05, -0.18], [0.06, 0.1], [0.15, 0.24], [0.0, 0.29], [0.01, 0.1]])
        fill(shadow, self.at(bridge * [side * size, 1]), bgr(self.person.skin, 0.80))
        fill(shadow, self.at(ellipse(0, 0.245, 0.13 * size, 0.055)), bgr(self.person.skin, 0.86))
        blurred = cv2.GaussianBlur(shadow, (0, 0), max(0.8, 0.025 * self.unit))
        mask = np.zeros(image.shape[:2], np.uint8)
        fill(mask, self.at(ellipse(0, 0.07, 0.30, 0.33)), (255,))
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.8, 0.03 * self.unit))[..., None] / 255.0
        image[:] = np.round(blurred * soft + image * (1 - soft)).astype(np.uint8)
        for nostril in (-1.0, 1.0):
            at = ellipse(nostril * 0.065 * size, 0.268, 0.03, 0.016)
            fill(image, self.at(at), bgr(self.person.skin, 0.5))


def _long_hair(width: float, top: float) -> Points:
    """Hair that falls to the shoulders, fullest beside the jaw."""
    crown = ellipse(0, -0.1, width, top - 0.1)
    crown = crown[crown[:, 1] <= 0.0]
    crown = crown[np.argsort(crown[:, 0])]
    fall = np.array(
        [[1.0, 0.0], [1.03, 0.35], [1.10, 0.75], [1.05, 1.14], [0.84, 1.30], [0.5, 1.10]]
    )
    right = rounded(fall * [width, 1.0])
    return np.concatenate([crown, right, right[::-1] * [-1.0, 1.0]])


def _fringe(person: Person, wide: float, volume: float) -> Points:
    """The hair in front: the skull's outline above, the hairline below."""
    angle = np.linspace(np.pi * 1.03, np.pi * 1.97, 40)
    outer = np.stack(
        [(wide + 0.35 * volume) * np.cos(angle), -0.08 + (0.92 + volume) * np.sin(angle)], 1
    )
    part = 0.35 * person.parting
    if person.female:
        x = [1.0, 0.97, 0.86, 0.5, part + 0.08, part, part - 0.08, -0.5, -0.86, -0.97, -1.0]
        y = [0.15, -0.2, -0.48, -0.68, -0.80, -0.86, -0.80, -0.68, -0.48, -0.2, 0.15]
    else:
        x = [1.0, 0.95, 0.88, 0.8, 0.62, part, -0.62, -0.8, -0.88, -0.95, -1.0]
        y = [-0.05, -0.1, -0.42, -0.62, -0.68, -0.72, -0.68, -0.62, -0.42, -0.1, -0.05]
    line = np.stack([np.array(x) * wide, np.array(y) + 0.5 * person.fringe], 1)
    return np.concatenate([outer, rounded(line)])


def _studio(person: Person, size: tuple[int, int], scale: float, middle: Points) -> Image:
    """Background, neck and shoulders: what stays still."""
    width, height = size
    s = _SUPERSAMPLING
    x = (np.arange(width * s) - width * s / 2) / (height * s)
    y = (np.arange(height * s) - height * s / 2)[:, None] / (height * s)
    level = person.backdrop + 5 * person.light * x - 4 * y - 8 * (x**2 + y**2)
    image = np.repeat(np.clip(level, 0, 255)[..., None], 3, axis=2).astype(np.uint8)

    def place(points: list[list[float]]) -> Points:
        half = rounded(np.array(points))
        whole = np.concatenate([half, half[::-1] * [-1, 1]])
        return (whole * scale + middle) * s

    slope = 0.05 if person.female else 0.0
    body = [
        [0.0, 1.0],
        [0.3, 1.0],
        [0.6, 1.16],
        [1.2, 1.26 + slope],
        [1.5, 1.42 + slope],
        [1.62, 2.4],
    ]
    fill(image, place(body), bgr(person.shirt))
    fill(
        image,
        place([[0.0, 0.9], [0.36, 1.0], [0.34, 1.16], [0.2, 1.27], [0.0, 1.30]]),
        bgr(person.skin, 0.84),
    )
    neck = 0.33 if person.female else 0.39
    fill(
        image,
        place([[0.0, 0.5], [neck, 0.5], [neck, 1.0], [0.36, 1.1], [0.0, 1.2]]),
        bgr(person.skin, 0.84),
    )
    fill(
        image,
        place([[0.0, 0.5], [neck, 0.5], [neck, 0.98], [0.2, 1.09], [0.0, 1.12]]),
        bgr(person.skin, 0.72),
    )
    shade = 1.0 + 0.10 * person.light * x - 0.12 * np.clip(np.abs(x) - 0.2, 0, 1)
    rows = np.arange(height * s) > (middle[1] + 0.5 * scale) * s
    lit = np.clip(image * shade[None, :, None], 0, 255).astype(np.uint8)
    body_mask = (image.min(axis=2) < 225) & rows[:, None]
    image = np.where(body_mask[..., None], lit, image)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def draw(
    person: Person, curves: Curves, size: tuple[int, int], rng: np.random.Generator
) -> Iterator[npt.NDArray[np.uint8]]:
    """Draw the frames of a clip.

    Parameters
    ----------
    person : Person
        Who is seen.
    curves : mapping of str to ndarray, shape (frames,)
        What moves, as of :func:`emodask.sources.synth.motion.move`.
    size : (int, int)
        Width and height in pixels, both even.
    rng : numpy.random.Generator
        Chance: where exactly the head is, and the camera's noise.

    Yields
    ------
    ndarray, shape (3 * height / 2, width), uint8
        One I420 picture a frame.
    """
    width, height = size
    scale = _HALF_HEIGHT * height * person.head_size * float(rng.uniform(0.99, 1.01))
    middle = np.array([width / 2, height * _CENTRE])
    middle = middle + height * (np.array(person.offset) + rng.uniform(-0.004, 0.004, 2))
    studio = _studio(person, size, scale, middle)
    head = Head(person, scale * _SUPERSAMPLING)
    expression = Expression(person, curves, head.at, head.unit, head.texture)
    # Only the window that a head can reach changes from frame to frame.
    reach = (_REACH_X + 0.25) * scale
    left, right = max(0, int(middle[0] - reach)), min(width, int(middle[0] + reach) + 1)
    window, behind = (right - left, height), studio[:, left:right].copy()
    scene = studio.copy()
    margin = 16
    noise = rng.normal(0.0, 1.1, (height + margin, width + margin)).astype(np.float32)
    sensor = np.round(noise).astype(np.int16)
    shifts = rng.integers(0, margin, (len(curves["mouth"]), 2))
    for frame, (down, across) in enumerate(shifts):
        now = {name: float(curve[frame]) for name, curve in curves.items()}
        texture = head.texture.copy()
        expression.draw(texture, frame)
        zoom = (1.0 + 0.05 * now["lean"]) / _SUPERSAMPLING
        turn = np.deg2rad(4.5 * now["roll"])
        target = middle + scale * np.array(
            [0.05 * now["dx"], 0.05 * now["dy"] + 0.06 * now["pitch"]]
        )
        rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        # Pixel centres: a point at p of the texture covers the pixel whose centre is p - 1/2.
        offset = target - rotation @ (head.centre - 0.5) - 0.5
        warp = np.column_stack([rotation, offset])
        # The head turns about the neck more than about the nose.
        warp[0, 2] += scale * 0.9 * np.sin(turn)
        warp[0, 2] -= left
        front = cv2.warpAffine(texture, warp, window, flags=cv2.INTER_LINEAR)
        mask = cv2.warpAffine(head.alpha, warp, window, flags=cv2.INTER_LINEAR)
        through = cv2.multiply(behind, cv2.merge([255 - mask] * 3), scale=1 / 255)
        scene[:, left:right] = cv2.add(through, front)
        picture = cv2.cvtColor(scene, cv2.COLOR_BGR2YUV_I420)
        luma = picture[:height]
        grain = sensor[down : down + height, across : across + width]
        luma[:] = cv2.add(luma, grain, dtype=cv2.CV_8U)
        yield picture.astype(np.uint8, copy=False)
