"""What an emotion does to a face and a voice, and how one person plays it in one clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from emodask.emotions import EMOTIONS
from emodask.sources.synth.people import Person

FACE_FIELDS: tuple[str, ...] = (
    "brow_inner",  # raised (+) or lowered (-)
    "brow_outer",
    "brow_knit",  # drawn together
    "lid_open",  # upper lids: wider (+) or drooping (-)
    "squint",  # lower lids raised
    "corner",  # mouth corners up (+) or down (-)
    "widen",  # mouth stretched (+) or puckered (-)
    "jaw",  # dropped, beyond what speech does
    "upper_lip",  # raised, baring teeth
    "sneer",  # nose wrinkled
    "cheek",  # raised
    "pitch",  # head bowed (+) or thrown back (-)
    "lean",  # towards the camera (+) or away (-)
    "tilt",  # head towards one shoulder
    "gaze",  # eyes lowered (+)
)

# The directions are those of the facial action units that the FACS literature names as prototypes.
FACES: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "calm": {"corner": 0.22, "lid_open": -0.15, "cheek": 0.1, "tilt": 0.1, "brow_outer": 0.06},
    "happy": {
        "corner": 0.9,
        "widen": 0.5,
        "cheek": 0.9,
        "squint": 0.5,
        "brow_outer": 0.25,
        "brow_inner": 0.2,
        "jaw": 0.15,
        "upper_lip": 0.25,
        "pitch": -0.15,
    },
    "sad": {
        "brow_inner": 0.85,
        "brow_outer": -0.55,
        "brow_knit": 0.4,
        "lid_open": -0.55,
        "corner": -0.85,
        "widen": -0.1,
        "pitch": 0.75,
        "gaze": 0.6,
        "tilt": 0.25,
        "lean": -0.15,
    },
    "angry": {
        "brow_inner": -0.9,
        "brow_outer": 0.1,
        "brow_knit": 0.9,
        "squint": 0.45,
        "lid_open": 0.2,
        "corner": -0.4,
        "upper_lip": 0.35,
        "lean": 0.6,
        "pitch": 0.25,
        "jaw": 0.12,
    },
    "fearful": {
        "brow_inner": 0.85,
        "brow_outer": 0.4,
        "brow_knit": 0.6,
        "lid_open": 0.8,
        "widen": 0.55,
        "corner": -0.4,
        "jaw": 0.25,
        "lean": -0.5,
    },
    "disgust": {
        "brow_inner": -0.5,
        "brow_outer": -0.25,
        "brow_knit": 0.45,
        "squint": 0.7,
        "lid_open": -0.3,
        "sneer": 0.9,
        "upper_lip": 0.75,
        "corner": -0.5,
        "cheek": 0.4,
        "tilt": -0.3,
        "lean": -0.35,
    },
    "surprised": {
        "brow_inner": 0.9,
        "brow_outer": 0.95,
        "lid_open": 0.95,
        "jaw": 0.8,
        "widen": -0.25,
        "lean": -0.15,
        "pitch": -0.45,
    },
}


@dataclass(frozen=True)
class Gesture:
    """How head and lids move: amplitudes 0-1, rates in hertz, onset as a share of the clip."""

    nod: float = 0.25
    nod_rate: float = 1.2
    shake: float = 0.15
    shake_rate: float = 0.9
    tremor: float = 0.0
    blink_rate: float = 0.35
    onset: float = 0.22


GESTURES: Mapping[str, Gesture] = {
    "neutral": Gesture(),
    "calm": Gesture(nod=0.3, nod_rate=0.7, shake=0.1, blink_rate=0.25, onset=0.3),
    "happy": Gesture(nod=0.5, nod_rate=1.9, shake=0.35, shake_rate=1.3, onset=0.16),
    "sad": Gesture(nod=0.15, nod_rate=0.6, shake=0.25, shake_rate=0.6, blink_rate=0.6, onset=0.4),
    "angry": Gesture(nod=0.85, nod_rate=2.4, shake=0.35, shake_rate=2.2, blink_rate=0.15),
    "fearful": Gesture(nod=0.2, shake=0.45, shake_rate=1.7, tremor=0.8, blink_rate=0.9),
    "disgust": Gesture(nod=0.2, nod_rate=1.0, shake=0.6, shake_rate=1.2, blink_rate=0.5),
    "surprised": Gesture(nod=0.45, nod_rate=1.1, shake=0.15, blink_rate=0.2, onset=0.1),
}


@dataclass(frozen=True)
class Prosody:
    """What a voice does, as differences from the neutral voice of the same person.

    Attributes
    ----------
    pitch : float
        Mean fundamental frequency, semitones.
    accent : float
        Height of the stressed syllables, semitones.
    slope, rise : float
        Change over the whole utterance, and over its last third alone, semitones.
    duration : float
        Factor on the duration.
    level : float
        Decibels.
    tilt : float
        Decibels an octave; positive is brighter.
    jitter, shimmer : float
        Random change from one glottal pulse to the next: share of the period, of the amplitude.
    breath, tremor : float
        0-1.
    """

    pitch: float = 0.0
    accent: float = 1.6
    slope: float = -2.0
    rise: float = 0.0
    duration: float = 1.0
    level: float = 0.0
    tilt: float = 0.0
    jitter: float = 0.006
    shimmer: float = 0.04
    breath: float = 0.0
    tremor: float = 0.0


NEUTRAL_VOICE = Prosody()

PROSODIES: Mapping[str, Prosody] = {
    "neutral": NEUTRAL_VOICE,
    "calm": Prosody(-0.6, 1.4, -1.8, 0.0, 1.07, -2.0, -1.2, 0.005, 0.04, 0.12, 0.0),
    "happy": Prosody(4.2, 3.8, -1.0, 1.5, 0.96, 5.0, 1.6, 0.008, 0.05, 0.0, 0.0),
    "sad": Prosody(0.6, 1.0, -3.2, -0.8, 1.12, -4.0, -2.4, 0.012, 0.07, 0.3, 0.25),
    "angry": Prosody(4.4, 3.2, -3.0, -1.0, 0.98, 10.0, 4.0, 0.014, 0.09, 0.0, 0.0),
    "fearful": Prosody(5.6, 2.0, 0.6, 0.4, 0.88, 4.0, 0.8, 0.016, 0.09, 0.2, 0.8),
    "disgust": Prosody(-0.8, 2.8, -4.0, -1.5, 1.10, 0.5, 0.6, 0.022, 0.12, 0.1, 0.0),
    "surprised": Prosody(5.0, 4.2, 1.5, 5.0, 0.90, 4.0, 1.2, 0.007, 0.05, 0.08, 0.0),
}

MILD = 0.72
"""Strength of an emotion at intensity 01, as a share of that at 02."""


@dataclass(frozen=True)
class Performance:
    """How one clip is played: the person's own version of the emotion, this time.

    Attributes
    ----------
    face : mapping of str to float
        One amount for each of `FACE_FIELDS`, about -1 to 1.
    gesture : Gesture
        Movements of head and lids.
    prosody : Prosody
        What the voice does.
    """

    face: Mapping[str, float]
    gesture: Gesture
    prosody: Prosody


def perform(person: Person, emotion: int, intensity: int, take: np.random.Generator) -> Performance:
    """Play an emotion in a person's manner.

    Three things come together: the emotion's prototype (scaled by intensity and by how expressive
    the person is), the person's own habits (a resting face, and a personal way with each emotion,
    the same in all their clips) and chance, which differs from clip to clip.

    Parameters
    ----------
    person : Person
        Who plays.
    emotion, intensity : int
        RAVDESS codes: 1-8 and 1-2.
    take : numpy.random.Generator
        Chance of this clip.

    Examples
    --------
    >>> from emodask.sources.synth.people import cast
    >>> played = perform(cast(1, seed=0), 5, 2, np.random.default_rng(0))
    >>> played.face["brow_inner"] < -0.3, played.prosody.level > 3
    (True, True)
    """
    name = EMOTIONS[emotion - 1]
    strength = 1.0 if intensity == 2 else MILD
    resting = np.random.default_rng([person.manner, 0])
    habit = np.random.default_rng([person.manner, emotion])

    prototype = np.array([FACES[name].get(field, 0.0) for field in FACE_FIELDS])
    amounts = prototype * strength * person.face_strength
    amounts = amounts * habit.normal(1.0, 0.2, len(amounts)).clip(0.4, 1.6)
    amounts += resting.normal(0.0, 0.07, len(amounts))
    amounts += habit.normal(0.0, 0.08, len(amounts)) + take.normal(0.0, 0.08, len(amounts))
    face = {field: float(a) for field, a in zip(FACE_FIELDS, amounts, strict=True)}

    typical = GESTURES[name]
    liveliness = float(habit.uniform(0.6, 1.4) * take.uniform(0.8, 1.2))
    gesture = Gesture(
        nod=typical.nod * liveliness * strength,
        nod_rate=typical.nod_rate * float(take.uniform(0.85, 1.15)),
        shake=typical.shake * liveliness * strength,
        shake_rate=typical.shake_rate * float(take.uniform(0.85, 1.15)),
        tremor=typical.tremor * strength,
        blink_rate=typical.blink_rate,
        onset=typical.onset * float(take.uniform(0.7, 1.3)),
    )
    return Performance(
        MappingProxyType(face), gesture, _prosody(person, PROSODIES[name], strength, habit, take)
    )


def _prosody(
    person: Person,
    typical: Prosody,
    strength: float,
    habit: np.random.Generator,
    take: np.random.Generator,
) -> Prosody:
    """Move the neutral voice towards the emotion's, with the person's habits and chance."""

    def played(field: str, personal: float, chance: float) -> float:
        rest = getattr(NEUTRAL_VOICE, field)
        change = (getattr(typical, field) - rest) * strength * person.voice_strength
        change *= float(np.clip(habit.normal(1.0, 0.25), 0.3, 1.7))
        return float(rest + change + habit.normal(0.0, personal) + take.normal(0.0, chance))

    return Prosody(
        pitch=played("pitch", 0.5, 0.5),
        accent=max(0.2, played("accent", 0.4, 0.3)),
        slope=played("slope", 0.6, 0.5),
        rise=played("rise", 0.5, 0.4),
        duration=float(np.clip(played("duration", 0.03, 0.03), 0.7, 1.4)),
        level=played("level", 0.8, 0.8),
        tilt=played("tilt", 0.4, 0.3),
        jitter=max(0.002, played("jitter", 0.002, 0.001)),
        shimmer=max(0.01, played("shimmer", 0.01, 0.01)),
        breath=float(np.clip(played("breath", 0.04, 0.03), 0.0, 0.8)),
        tremor=float(np.clip(played("tremor", 0.03, 0.03), 0.0, 1.0)),
    )
