"""Variants of a clip's sound, by name: with noise, shifted in pitch, stretched, resampled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import soxr

from emodask.features.audio.variants import Stretcher, shift_pitch

ORIGINAL = "original"

_NAME = re.compile(r"(noise|pitch|speed|resample)([+-]?\d+(?:\.\d+)?)")
_RANGES = {
    "noise": (-10.0, 60.0, "noise20 is white noise 20 dB below the voice; -10 to 60 dB"),
    "pitch": (-12.0, 12.0, "pitch+2 is two semitones up; -12 to +12"),
    "speed": (0.5, 2.0, "speed1.25 is as much faster at the same pitch; 0.5 to 2"),
    "resample": (0.5, 2.0, "resample1.1 is a tape played as much faster; 0.5 to 2"),
}


def parsed(name: str) -> tuple[str, float]:
    """What a variant's name says: the kind, and how much of it.

    Raises
    ------
    ValueError
        If there is no such variant.

    Examples
    --------
    >>> parsed("pitch-2"), parsed("noise20")
    (('pitch', -2.0), ('noise', 20.0))
    """
    found = _NAME.fullmatch(name)
    if found is None:
        known = "; ".join(meaning for *_, meaning in _RANGES.values())
        raise ValueError(f"no variant {name!r}; {known}")
    kind, amount = found[1], float(found[2])
    low, high, meaning = _RANGES[kind]
    if not low <= amount <= high:
        raise ValueError(f"variant {name!r} is out of range; {meaning}")
    return kind, amount


def longest(names: Sequence[str]) -> float:
    """How many times as long as the clip the longest of some variants is.

    Examples
    --------
    >>> longest(["noise20", "speed0.5", "resample2"])
    2.0
    """
    slowed = (amount for kind, amount in map(parsed, names) if kind in ("speed", "resample"))
    return max((1.0, *(1 / amount for amount in slowed)))


def augmented(
    samples: npt.NDArray[np.float32], rate: int, names: Sequence[str], seed: int
) -> Iterator[npt.NDArray[np.float32]]:
    """The variants of a sound, one at a time.

    Pitch and speed are those of a phase vocoder; a pitch shift moves the formants along. What is
    resampled is faster and higher at once, as if spoken by somebody smaller.

    Parameters
    ----------
    samples : float32 array, (n,)
        Mono.
    rate : int
        Samples per second.
    names : sequence of str
        See :func:`parsed`.
    seed : int
        Of the noise: the same samples, names and seed give the same bytes.

    Yields
    ------
    float32 array
        Of n samples, or n divided by the speed.

    Examples
    --------
    >>> tone = np.sin(np.arange(8000) / 5).astype(np.float32)
    >>> [len(made) for made in augmented(tone, 8000, ["noise20", "speed2", "resample0.8"], 0)]
    [8000, 4000, 10000]
    """
    vocoder = None
    for place, name in enumerate(names):
        kind, amount = parsed(name)
        if kind == "noise":
            white = np.random.default_rng((seed, place)).standard_normal(len(samples))
            level = np.sqrt(np.square(samples, dtype=np.float64).mean()) * 10 ** (-amount / 20)
            yield (samples + level * white).astype(np.float32)
            continue
        if kind == "resample":
            resampled = soxr.resample(samples, rate * amount, rate, quality="soxr_hq")
            yield np.ascontiguousarray(resampled, np.float32)
            continue
        vocoder = vocoder or Stretcher(samples)
        yield (
            vocoder.stretch(amount)
            if kind == "speed"
            else shift_pitch(vocoder, len(samples), rate, amount)
        )
