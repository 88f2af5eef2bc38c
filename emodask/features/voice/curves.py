"""Curves of a voice: energy, spectral shape, pitch, voice quality, formants, mel bands, cepstrum.

The choice is that of the sets in use: Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set
(GeMAPS) for Voice Research and Affective Computing", IEEE Transactions on Affective Computing 7
(2016), with the spectral shape of ComParE (Weninger et al., Frontiers in Psychology 4, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from emodask.features.voice.formants import formants
from emodask.features.voice.pitch import track
from emodask.features.voice.short_time import (
    FREQUENCIES,
    N_FFT,
    RATE,
    WINDOW_LENGTH,
    Doubles,
    frames,
    mel_filters,
    power_spectra,
)

N_MFCC = 20
ROLL_OFFS = (0.25, 0.5, 0.85, 0.95)

SPECTRAL = (
    *("energy", "harmonicity", "centroid", "spread"),
    *(f"roll_off_{round(100 * share)}" for share in ROLL_OFFS),
    *("flatness", "entropy", "slope_0_500", "slope_500_1500", "slope_1500_5000"),
    *("alpha_ratio", "hammarberg", "flux", "zero_crossings", "residual"),
)
VOICED = (
    *("pitch", "h1_h2", "h1_a3", "h1_a1"),
    *("formant_1", "formant_2", "formant_3", "bandwidth_1", "bandwidth_2", "bandwidth_3"),
)

_FLOOR = 1e-10
_LOWEST_NOTE = 27.5


@dataclass(frozen=True, eq=False)
class Curves:
    """Every 10 ms of a clip in numbers.

    Attributes
    ----------
    spectral : float64 array, (frames, 18)
        In the order of `SPECTRAL`: logarithmic energy, harmonicity in dB, frequencies in Hz, slopes
        in dB a kHz, ratios of bands in dB.
    vocal : float64 array, (frames, 10)
        In the order of `VOICED`: pitch in semitones above 27.5 Hz, differences of harmonics and
        formants in dB, formants and bandwidths in Hz. Between voiced frames, interpolated.
    mel : float64 array, (frames, 40)
        Logarithms of mel bands.
    mfcc : float64 array, (frames, 20)
        Their cosine transform.
    voiced : bool array, (frames,)
    """

    spectral: Doubles
    vocal: Doubles
    mel: Doubles
    mfcc: Doubles
    voiced: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.voiced)

    @property
    def frequency(self) -> Doubles:
        """Pitch in Hz; between voiced frames, interpolated."""
        frequency: Doubles = _LOWEST_NOTE * 2 ** (self.vocal[:, 0] / 12)
        return frequency

    def between(self, first: int, last: int) -> Curves:
        """The frames of one stretch."""
        part = slice(first, last)
        return Curves(
            self.spectral[part],
            self.vocal[part],
            self.mel[part],
            self.mfcc[part],
            self.voiced[part],
        )


def curves(samples: npt.NDArray[np.floating]) -> Curves:
    """Describe a voice every 10 ms.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, at 16 kHz, full scale 1.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 / RATE * np.arange(RATE))
    >>> found = curves(tone)
    >>> found.spectral.shape, found.vocal.shape, found.mfcc.shape
    ((101, 18), (101, 10), (101, 20))
    >>> round(float(np.median(found.vocal[:, VOICED.index("pitch")])))
    36
    """
    signal: Doubles = np.asarray(samples, np.float64)
    power = power_spectra(signal)
    pitch = track(signal)
    resonances = formants(signal)
    segments = frames(signal, WINDOW_LENGTH)
    rms = np.sqrt(np.square(segments).mean(axis=1))
    mel = np.log(np.einsum("tf,mf->tm", power, mel_filters(), optimize=False) + 1e-7)
    decibels = 10 * np.log10(power + _FLOOR)
    crossings = np.diff(np.signbit(segments), axis=1).mean(axis=1)
    energy = np.log(rms + 1e-5)
    left_over = np.log(resonances.residual + 1e-9) - 2 * energy
    spectral = [
        energy,
        pitch.harmonicity,
        *_shape(power, decibels),
        crossings,
        left_over,
    ]
    vocal = [
        12 * np.log2(np.where(pitch.voiced, pitch.frequency, _LOWEST_NOTE) / _LOWEST_NOTE),
        *_tilt(decibels, np.where(pitch.voiced, pitch.frequency, 200.0), resonances.frequency),
        *resonances.frequency.T,
        *resonances.bandwidth.T,
    ]
    return Curves(
        np.stack(spectral, axis=1),
        np.stack([_interpolated(curve, pitch.voiced) for curve in vocal], axis=1),
        mel,
        scipy.fft.dct(mel, norm="ortho", axis=1)[:, :N_MFCC],
        pitch.voiced,
    )


def _shape(power: Doubles, decibels: Doubles) -> list[Doubles]:
    """How the energy of each frame is spread over frequencies, from ``centroid`` to ``flux``."""
    total = power.sum(axis=1) + 1e-12
    share = power / total[:, None]
    centroid = share @ FREQUENCIES
    spread = np.sqrt(np.maximum(0, share @ FREQUENCIES**2 - centroid**2))
    below = np.cumsum(share, axis=1)
    last = len(FREQUENCIES) - 1
    roll_offs = [FREQUENCIES[np.minimum((below < q).sum(axis=1), last)] for q in ROLL_OFFS]
    flatness = np.log(power + 1e-12).mean(axis=1) - np.log(power.mean(axis=1) + 1e-12)
    entropy = -(share * np.log(share + 1e-12)).sum(axis=1)
    slopes = [_slope(decibels, *span) for span in ((0, 500), (500, 1500), (1500, 5000))]
    alpha = _band(power, 1000, 5000) - _band(power, 50, 1000)
    hammarberg = _highest(decibels, 0, 2000) - _highest(decibels, 2000, 5000)
    magnitudes = np.sqrt(power)
    magnitudes /= np.linalg.norm(magnitudes, axis=1, keepdims=True) + 1e-9
    flux = np.linalg.norm(np.diff(magnitudes, axis=0, prepend=magnitudes[:1]), axis=1)
    return [centroid, spread, *roll_offs, flatness, entropy, *slopes, alpha, hammarberg, flux]


def _slope(decibels: Doubles, low: float, high: float) -> Doubles:
    """Slope of the least-squares line through a band, dB a kHz."""
    inside = (low <= FREQUENCIES) & (high >= FREQUENCIES)
    along = FREQUENCIES[inside] - FREQUENCIES[inside].mean()
    return 1000 * (decibels[:, inside] @ along) / float(along @ along)


def _band(power: Doubles, low: float, high: float) -> Doubles:
    inside = (low <= FREQUENCIES) & (high > FREQUENCIES)
    return 10 * np.log10(power[:, inside].sum(axis=1) + _FLOOR)


def _highest(decibels: Doubles, low: float, high: float) -> Doubles:
    highest: Doubles = decibels[:, (low <= FREQUENCIES) & (high > FREQUENCIES)].max(axis=1)
    return highest


def _tilt(decibels: Doubles, pitch: Doubles, resonances: Doubles) -> list[Doubles]:
    """Level of the first harmonic above those of the second, the third formant and the first."""

    def level(frequency: Doubles) -> Doubles:
        at = np.clip(np.round(frequency * N_FFT / RATE).astype(int), 1, len(FREQUENCIES) - 2)
        rows = np.arange(len(at))
        near = [decibels[rows, at + step] for step in (-1, 0, 1)]
        highest: Doubles = np.maximum.reduce(near)
        return highest

    first = level(pitch)
    third = np.nan_to_num(resonances[:, 2], nan=2500.0)
    lowest = np.nan_to_num(resonances[:, 0], nan=500.0)
    return [first - level(2 * pitch), first - level(third), first - level(lowest)]


def _interpolated(curve: Doubles, voiced: npt.NDArray[np.bool_]) -> Doubles:
    """Fill frames without voice or value from their neighbours; 0 where no frame has any."""
    known = voiced & np.isfinite(curve)
    if not known.any():
        return np.zeros_like(curve)
    places = np.arange(len(curve))
    return np.interp(places, places[known], curve[known])
