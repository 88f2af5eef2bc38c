"""Eight variants of a signal: with noise, shifted in pitch, stretched in time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import soxr

from emodask.features.audio import kernels
from emodask.features.audio.stft import BINS, HOP_LENGTH, N_FFT, istft, stft

PITCHES = {"pitch+4": 4, "pitch-6": -6, "pitch+3": 3}
SPEEDS = {"speed1.5": 1.5, "speed2.0": 2.0, "speed0.8": 0.8, "speed0.5": 0.5}
VARIANTS = ("noise", *PITCHES, *SPEEDS)


class Stretcher:
    """A signal analysed once, to be stretched in time by any rate (a phase vocoder).

    Phases advance as in Laroche & Dolson (1999), section II; the equal of
    ``librosa.effects.time_stretch`` with its defaults.

    Parameters
    ----------
    samples : float32 array, (n,)

    Examples
    --------
    >>> vocoder = Stretcher(np.sin(np.arange(8000) / 5).astype(np.float32))
    >>> len(vocoder.stretch(2.0)), len(vocoder.stretch(0.5))
    (4000, 16000)
    """

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        spectrum = np.pad(stft(samples), ((0, 1), (0, 0)))
        angle = np.angle(spectrum)
        expected = 2 * np.pi * HOP_LENGTH / N_FFT * np.arange(BINS)
        self._length = len(samples)
        self._magnitude = np.abs(spectrum)
        self._phase = angle[0].copy()
        self._advance = kernels.phase_advance(angle, expected)

    def stretch(self, rate: float) -> npt.NDArray[np.float32]:
        """Play the signal `rate` times as fast at the same pitch.

        Parameters
        ----------
        rate : float
            Above 1 shortens.

        Returns
        -------
        float32 array, (round(n / rate),)
        """
        steps = np.arange(0, len(self._advance), rate, dtype=np.float64)
        stretched = kernels.phase_vocoder(self._magnitude, self._advance, self._phase, steps)
        return istft(stretched, round(self._length / rate))


def shift_pitch(
    vocoder: Stretcher, length: int, rate: int, semitones: float
) -> npt.NDArray[np.float32]:
    """Shift the pitch by `semitones`: stretch, then resample to the `length` there was.

    The equal of ``librosa.effects.pitch_shift`` with its defaults.

    Parameters
    ----------
    vocoder : Stretcher
        Of the signal.
    length : int
        Samples of the signal, and of the result.
    rate : int
        Samples per second.
    semitones : float

    Returns
    -------
    float32 array, (length,)
    """
    speed = 2.0 ** (-semitones / 12)
    stretched = vocoder.stretch(speed)
    played_at = rate / speed
    resampled = soxr.resample(stretched, played_at, rate, quality="soxr_hq")
    kept = min(len(resampled), math.ceil(len(stretched) * (rate / played_at)), length)
    shifted = np.zeros(length, np.float32)
    shifted[:kept] = resampled[:kept]
    return shifted


def with_noise(
    samples: npt.NDArray[np.float32], noise: float = 0.005, seed: int = 0
) -> npt.NDArray[np.float32]:
    """The signal under white Gaussian noise: the variant that is nearest to what was said.

    Parameters
    ----------
    samples : float32 array, (n,)
    noise : float
        Standard deviation; full scale is 1.
    seed : int

    Returns
    -------
    float32 array, (n,)
    """
    white = np.random.default_rng(seed).standard_normal(len(samples))
    return (samples + noise * white).astype(np.float32)


def variants(
    samples: npt.NDArray[np.float32], rate: int, noise: float = 0.005, seed: int = 0
) -> dict[str, npt.NDArray[np.float32]]:
    """All variants by name, in the order of `VARIANTS`.

    Parameters
    ----------
    samples : float32 array, (n,)
        Mono, full scale 1.
    rate : int
        Samples per second.
    noise : float
        Standard deviation of the white Gaussian noise in the variant ``noise``.
    seed : int
        Of the noise.

    Returns
    -------
    dict of str to float32 array
        ``noise`` and the pitch shifts have n samples, a speed r has round(n / r).

    Examples
    --------
    >>> made = variants(np.sin(np.arange(8000) / 5).astype(np.float32), 22050)
    >>> [(name, len(samples)) for name, samples in made.items()][3:6]
    [('pitch+3', 8000), ('speed1.5', 5333), ('speed2.0', 4000)]
    """
    made = {"noise": with_noise(samples, noise, seed)}
    vocoder = Stretcher(samples)
    for name, semitones in PITCHES.items():
        made[name] = shift_pitch(vocoder, len(samples), rate, semitones)
    for name, speed in SPEEDS.items():
        made[name] = vocoder.stretch(speed)
    return made
