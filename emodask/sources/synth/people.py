"""Who plays: the looks, the voice and the manner of each synthetic actor, drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""Red, green and blue, 0-255."""

SKINS: tuple[Colour, ...] = (
    (250, 218, 190),
    (240, 198, 164),
    (226, 178, 140),
    (204, 152, 112),
    (170, 120, 84),
    (138, 94, 66),
)
HAIRS: tuple[Colour, ...] = (
    (38, 30, 28),
    (66, 44, 32),
    (104, 68, 40),
    (150, 104, 56),
    (190, 146, 84),
    (128, 58, 36),
    (92, 92, 98),
)
SHIRTS: tuple[Colour, ...] = (
    (34, 36, 44),
    (44, 70, 108),
    (104, 44, 56),
    (48, 92, 78),
    (96, 78, 122),
    (120, 104, 72),
)
EYES: tuple[Colour, ...] = ((82, 56, 36), (60, 96, 130), (74, 108, 72), (96, 104, 112))


@dataclass(frozen=True)
class Person:
    """One synthetic actor; lengths are in face half-heights unless said otherwise.

    Attributes
    ----------
    female : bool
        Even actor numbers are female, as in RAVDESS.
    skin, hair, shirt, iris : Colour
        What they look like.
    backdrop : int
        Gray level of the plain background.
    light : float
        Where the light comes from: -1 left, 1 right.
    face_width, jaw_width, eye_gap, eye_size, brow_height, brow_weight, nose, mouth_width : float
        Shape of the face; 1 is average for all but ``face_width``.
    hair_volume, fringe, parting : float
        Shape of the hair.
    head_size : float
        1 is average.
    offset : (float, float)
        Where the head stands in the picture, in frame heights from the average place.
    f0 : float
        Mean fundamental frequency of the neutral voice, hertz.
    formant_scale : float
        Formants relative to an average adult male's.
    pace : float
        Duration of this person's speech relative to the average.
    loudness : float
        Recording level in decibels relative to the average.
    breath, tilt : float
        Breathiness (0-1) and spectral tilt (decibels an octave) at rest.
    face_strength, voice_strength : float
        How much of an emotion shows in the face and sounds in the voice; 1 is average.
    manner : int
        Seed of the personal ways in which this actor plays each emotion.
    """

    female: bool
    skin: Colour
    hair: Colour
    shirt: Colour
    iris: Colour
    backdrop: int
    light: float
    face_width: float
    jaw_width: float
    eye_gap: float
    eye_size: float
    brow_height: float
    brow_weight: float
    nose: float
    mouth_width: float
    hair_volume: float
    fringe: float
    parting: float
    head_size: float
    offset: tuple[float, float]
    f0: float
    formant_scale: float
    pace: float
    loudness: float
    breath: float
    tilt: float
    face_strength: float
    voice_strength: float
    manner: int


def cast(actor: int, seed: int) -> Person:
    """Draw the person who plays an actor number; the same numbers give the same person.

    Parameters
    ----------
    actor : int
        From 1 on; even numbers are female.
    seed : int
        Seed of the corpus, not negative.

    Examples
    --------
    >>> cast(2, seed=0).female, cast(2, seed=0) == cast(2, seed=0)
    (True, True)
    >>> 100 <= cast(1, seed=0).f0 <= 130
    True
    """
    rng = np.random.default_rng([seed, actor, 0])
    female = actor % 2 == 0

    def near(mean: float, spread: float) -> float:
        return float(mean + spread * rng.uniform(-1.0, 1.0))

    def one_of(colours: tuple[Colour, ...]) -> Colour:
        red, green, blue = colours[int(rng.integers(len(colours)))]
        shift = rng.integers(-6, 7, size=3)
        return int(red + shift[0]), int(green + shift[1]), int(blue + shift[2])

    return Person(
        female=female,
        skin=one_of(SKINS),
        hair=one_of(HAIRS),
        shirt=one_of(SHIRTS),
        iris=one_of(EYES),
        backdrop=int(rng.integers(236, 249)),
        light=near(0.0, 1.0),
        face_width=near(0.74 if female else 0.77, 0.035),
        jaw_width=near(0.93 if female else 1.04, 0.06),
        eye_gap=near(1.0, 0.06),
        eye_size=near(1.08 if female else 0.98, 0.07),
        brow_height=near(1.0, 0.06),
        brow_weight=near(0.75 if female else 1.15, 0.15),
        nose=near(0.92 if female else 1.06, 0.1),
        mouth_width=near(1.0, 0.08),
        hair_volume=near(0.16, 0.05),
        fringe=near(0.0, 0.06),
        parting=near(0.0, 0.6),
        head_size=near(1.0, 0.03),
        offset=(near(0.0, 0.010), near(0.0, 0.008)),
        f0=near(205.0, 25.0) if female else near(115.0, 15.0),
        formant_scale=near(1.16, 0.04) if female else near(1.0, 0.04),
        pace=near(1.0, 0.08),
        loudness=near(0.0, 2.5),
        breath=near(0.12 if female else 0.07, 0.05),
        tilt=near(0.0, 1.0),
        face_strength=near(1.0, 0.2),
        voice_strength=near(1.0, 0.25),
        manner=int(rng.integers(2**31)),
    )
