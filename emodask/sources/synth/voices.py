"""Sound: a source-filter voice that speaks RAVDESS's two statements with a given prosody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, resample_poly, sosfilt

from emodask.sources.synth.acting import Prosody
from emodask.sources.synth.people import Person

RATE = 48_000
"""Samples per second of everything that leaves this module."""

_SYNTHESIS_RATE = 24_000
_STEP = 120
"""Samples of one control step: 5 ms."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Phone:
    """One speech sound.

    Attributes
    ----------
    length : float
        Typical duration in milliseconds; only the proportions matter.
    formants : (float, float, float)
        Centres in hertz for an average adult male (textbook values after Peterson & Barney 1952).
    voice : float
        How strong the voiced part is, 0-1.
    hiss : (float, float, float)
        How strong the noise is in the low (1-3 kHz), middle (3-6) and high (5-10) band.
    mouth, rounding : float
        How far the mouth is open, and how round, 0-1.
    stress : float
        How much of the accent falls on it, 0-1.
    """

    length: float
    formants: tuple[float, float, float]
    voice: float = 1.0
    hiss: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mouth: float = 0.2
    rounding: float = 0.0
    stress: float = 0.0


K = (Phone(55, (300, 1900, 2500), 0.0), Phone(35, (350, 1950, 2500), 0.0, (0.5, 0.25, 0.05)))
T = (Phone(50, (300, 1800, 2600), 0.0), Phone(35, (400, 1800, 2600), 0.0, (0.1, 0.5, 0.4)))
D = (Phone(40, (280, 1750, 2600), 0.12), Phone(14, (330, 1750, 2600), 0.4, (0.1, 0.3, 0.1)))
G = (Phone(40, (280, 1600, 2300), 0.12), Phone(16, (320, 1600, 2300), 0.4, (0.3, 0.1, 0.0)))
B = (Phone(50, (250, 900, 2300), 0.15, mouth=0.0), Phone(10, (300, 900, 2300), 0.5, mouth=0.2))
Z = (Phone(85, (300, 1750, 2550), 0.3, (0.0, 0.12, 0.4), mouth=0.15),)
S = (Phone(110, (300, 1750, 2550), 0.0, (0.0, 0.25, 0.8), mouth=0.15),)
DH = (Phone(45, (300, 1400, 2550), 0.4, (0.02, 0.06, 0.04), mouth=0.2),)
NG = (Phone(75, (280, 2100, 2700), 0.45, mouth=0.15),)
R = (Phone(70, (430, 1250, 1600), 0.7, mouth=0.35, rounding=0.5),)


def _vowel(
    length: float,
    formants: tuple[float, float, float],
    mouth: float,
    stress: float = 0.0,
    rounding: float = 0.0,
) -> tuple[Phone]:
    return (Phone(length, formants, 1.0, mouth=mouth, stress=stress, rounding=rounding),)


IH = (390.0, 1990.0, 2550.0)
ING_VOWEL = _vowel(75, IH, 0.4)
BY_THE_DOOR = (
    *B,
    *_vowel(75, (730, 1090, 2440), 0.85, 0.3),
    *_vowel(70, (350, 2150, 2700), 0.4, 0.2),
    *DH,
    *_vowel(60, (600, 1200, 2400), 0.45),
    *D,
    *_vowel(170, (550, 850, 2410), 0.8, 0.8, 0.7),
    *R,
)

STATEMENTS: tuple[tuple[Phone, ...], ...] = (
    (  # Kids are talking by the door
        *K,
        *_vowel(100, IH, 0.45, 1.0),
        *D,
        *Z,
        *_vowel(65, (700, 1100, 2440), 0.65),
        *R,
        *T,
        *_vowel(125, (570, 840, 2410), 0.85, 0.9, 0.4),
        *K,
        *ING_VOWEL,
        *NG,
        *BY_THE_DOOR,
    ),
    (  # Dogs are sitting by the door
        *D,
        *_vowel(130, (580, 850, 2410), 0.85, 1.0, 0.4),
        *G,
        *Z,
        *_vowel(65, (700, 1100, 2440), 0.65),
        *R,
        *S,
        *_vowel(90, IH, 0.45, 0.9),
        *T,
        *ING_VOWEL,
        *NG,
        *BY_THE_DOOR,
    ),
)


@dataclass(frozen=True)
class Utterance:
    """A spoken statement and what the mouth does meanwhile.

    Attributes
    ----------
    samples : ndarray, shape (n,), float32
        Mono, `RATE` samples per second, within -1 to 1.
    mouth, rounding : ndarray, shape (steps,), float64
        Mouth opening and rounding, 0-1, one value for each 5 ms.
    """

    samples: npt.NDArray[np.float32]
    mouth: _Array
    rounding: _Array

    def mouth_at(self, seconds: _Array) -> tuple[_Array, _Array]:
        """Opening and rounding at some times, by linear interpolation."""
        times = np.arange(len(self.mouth)) * (_STEP / _SYNTHESIS_RATE)
        return np.interp(seconds, times, self.mouth), np.interp(seconds, times, self.rounding)


def speak(
    person: Person, prosody: Prosody, statement: int, n_samples: int, rng: np.random.Generator
) -> Utterance:
    """Speak a statement so that it fills a clip of a given length, with silence at both ends.

    A source-filter synthesis as in Klatt (1980): the derivative of the KLGLOTT88 glottal pulse
    (Klatt & Klatt 1990) and noise, through a cascade of four formant resonators that follow the
    phones.

    Parameters
    ----------
    person : Person
        Whose voice.
    prosody : Prosody
        How it is spoken.
    statement : int
        1 or 2.
    n_samples : int
        Length of the result at `RATE`.
    rng : numpy.random.Generator
        Chance.

    Examples
    --------
    >>> from emodask.sources.synth.people import cast
    >>> from emodask.sources.synth.acting import Prosody
    >>> said = speak(cast(1, seed=0), Prosody(), 1, 48_000, np.random.default_rng(0))
    >>> said.samples.shape, bool(np.abs(said.samples).max() < 1)
    ((48000,), True)
    """
    steps = -(-n_samples * _SYNTHESIS_RATE // RATE // _STEP) + 1
    phones = STATEMENTS[statement - 1]
    which = _phone_of_step(phones, steps, rng)
    spoken = which >= 0

    def track(values: list[float], rest: float, smooth: float) -> _Array:
        row = np.where(spoken, np.array(values)[which], rest)
        return np.asarray(gaussian_filter1d(row, smooth, mode="nearest"))

    voicing = track([p.voice for p in phones], 0.0, 1.6)
    stress = track([p.stress for p in phones], 0.0, 8.0)
    formants = np.stack(
        [
            track([p.formants[k] for p in phones], rest, 3.0)
            for k, rest in enumerate((500, 1500, 2500))
        ]
    )
    hiss = np.stack([track([p.hiss[k] for p in phones], 0.0, 1.2) for k in range(3)])
    f0 = _pitch_contour(person, prosody, spoken, stress, rng)
    voiced = _voiced_source(person, prosody, f0, voicing, rng)
    sound = _formant_filter(voiced, formants * person.formant_scale, person.formant_scale)
    sound += _hiss(hiss, len(sound), rng)

    # Speech that is 6 dB louder has a flatter spectrum; the tilt is applied to voice and noise.
    sound = _tilt(sound, prosody.tilt + person.tilt)
    accents = 10 ** (np.repeat(stress, _STEP) * prosody.accent * 0.9 / 20)
    sound *= accents
    power = np.sqrt(np.mean(sound[np.repeat(spoken, _STEP)] ** 2) + 1e-12)
    sound *= 10 ** ((-31.0 + prosody.level + person.loudness) / 20) / power
    out = resample_poly(sound, RATE // _SYNTHESIS_RATE, 1)[:n_samples]
    out = out + rng.standard_normal(n_samples) * 10 ** (-78 / 20)
    out = np.where(
        np.abs(out) > 0.7, np.sign(out) * (0.7 + 0.28 * np.tanh((np.abs(out) - 0.7) / 0.28)), out
    )
    mouth = track([p.mouth for p in phones], 0.0, 5.0)
    rounding = track([p.rounding for p in phones], 0.0, 6.0)
    return Utterance(out.astype(np.float32), mouth, rounding)


def _phone_of_step(phones: tuple[Phone, ...], steps: int, rng: np.random.Generator) -> npt.NDArray:
    """Index of the phone sounding in each step, -1 in silence."""
    lengths = np.array([p.length for p in phones]) * rng.uniform(0.88, 1.12, len(phones))
    start = steps * rng.uniform(0.13, 0.19)
    end = steps * rng.uniform(0.83, 0.88)
    bounds = start + np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum() * (end - start)
    middle = np.arange(steps) + 0.5
    which = np.searchsorted(bounds, middle) - 1
    return np.where(which < len(phones), which, -1)


def _pitch_contour(
    person: Person,
    prosody: Prosody,
    spoken: npt.NDArray[np.bool_],
    stress: _Array,
    rng: np.random.Generator,
) -> _Array:
    """Fundamental frequency in hertz of each step: declination, accents, final rise, tremor."""
    n = len(spoken)
    inside = np.flatnonzero(spoken)
    t = np.clip((np.arange(n) - inside[0]) / max(1, inside[-1] - inside[0]), 0.0, 1.0)
    seconds = np.arange(n) * (_STEP / _SYNTHESIS_RATE)
    wander = gaussian_filter1d(rng.standard_normal(n), 20.0, mode="nearest")
    semitones = (
        prosody.pitch
        + prosody.slope * (t - 0.5)
        + prosody.accent * (stress - 0.25)
        + prosody.rise * np.clip((t - 0.67) / 0.33, 0.0, 1.0) ** 2
        + 2.5 * wander
        + 0.9 * prosody.tremor * np.sin(2 * np.pi * (6.5 * seconds + rng.uniform()))
    )
    return np.clip(person.f0 * 2 ** (semitones / 12), 60.0, 700.0)


def _voiced_source(
    person: Person, prosody: Prosody, f0: _Array, voicing: _Array, rng: np.random.Generator
) -> _Array:
    """Glottal pulses with jitter and shimmer, and the breath that comes with them."""
    n = len(f0) * _STEP
    at = np.arange(n) / _STEP
    steps = np.arange(len(f0)) + 0.5
    cycles = np.cumsum(np.interp(at, steps, f0)) / _SYNTHESIS_RATE
    pulse = cycles.astype(np.int64)
    n_pulses = int(pulse[-1]) + 2
    # Jitter: each pulse starts a little early or late, and the phase runs straight between.
    starts = np.arange(n_pulses) + prosody.jitter * rng.standard_normal(n_pulses)
    phase = np.interp(cycles, np.sort(starts), np.arange(n_pulses))
    pulse, phase = phase.astype(np.int64), phase % 1.0
    strength = np.maximum(0.1, 1.0 + prosody.shimmer * rng.standard_normal(n_pulses))[pulse]

    breath = min(0.9, prosody.breath + person.breath)
    open_quotient = 0.5 + 0.3 * breath
    x = phase / open_quotient
    pulses = np.where(x < 1.0, 2.0 * x - 3.0 * x**2, 0.0) * strength
    air = rng.standard_normal(n) * np.where(x < 1.0, 0.35, 0.1)
    gain = np.interp(at, steps, voicing)
    trembling = 1.0 + 0.25 * prosody.tremor * np.sin(2 * np.pi * 6.5 * at * _STEP / _SYNTHESIS_RATE)
    return (pulses * (1.0 - 0.5 * breath) + 0.45 * breath * air) * gain * trembling


def _formant_filter(source: _Array, formants: _Array, scale: float) -> _Array:
    """Cascade of second-order resonators whose centres change every 10 ms."""
    formants = formants[:, ::2]
    centres = np.vstack([formants, np.full(formants.shape[1], 3500.0 * scale)])
    widths = np.array([70.0, 95.0, 140.0, 220.0])[:, None]
    # Klatt (1980), eq. 1: y[n] = A x[n] + B y[n-1] + C y[n-2], unit gain at 0 Hz.
    c = -np.exp(-2 * np.pi * widths / _SYNTHESIS_RATE) * np.ones_like(centres)
    b = (
        2
        * np.exp(-np.pi * widths / _SYNTHESIS_RATE)
        * np.cos(2 * np.pi * centres / _SYNTHESIS_RATE)
    )
    sections = np.zeros((centres.shape[1], 4, 6))
    sections[:, :, 0] = (1 - b - c).T
    sections[:, :, 3] = 1.0
    sections[:, :, 4] = -b.T
    sections[:, :, 5] = -c.T
    out = np.empty_like(source)
    state = np.zeros((4, 2))
    for step, sos in enumerate(sections):
        block = slice(2 * step * _STEP, 2 * (step + 1) * _STEP)
        out[block], state = sosfilt(sos, source[block], zi=state)
    return out


_HISS_BANDS = tuple(
    butter(2, band, "bandpass", fs=_SYNTHESIS_RATE, output="sos")
    for band in ((1000, 3000), (3000, 6000), (5000, 10_000))
)


def _hiss(levels: _Array, n: int, rng: np.random.Generator) -> _Array:
    """Noise of fricatives and bursts."""
    noise = rng.standard_normal(n)
    at, steps = np.arange(n) / _STEP, np.arange(levels.shape[1]) + 0.5
    bands = (
        sosfilt(sos, noise) * np.interp(at, steps, level)
        for sos, level in zip(_HISS_BANDS, levels, strict=True)
    )
    return np.asarray(0.5 * sum(bands))


def _tilt(sound: _Array, decibels_per_octave: float) -> _Array:
    """Tilt the spectrum about 500 Hz, at most four octaves up and three down."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / _SYNTHESIS_RATE)
    octaves = np.clip(np.log2(np.maximum(frequency, 1.0) / 500.0), -3.0, 4.0)
    return np.fft.irfft(spectrum * 10 ** (decibels_per_octave * octaves / 20), len(sound))
