"""Fundamental frequency by autocorrelation, and the path through its candidates.

Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound", Proceedings of the Institute of Phonetic Sciences 17 (1993): a frame's
autocorrelation is divided by that of its window; its largest peaks are candidates; a path through
them is cheap where it is periodic and does not jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from emodask.features.voice.short_time import RATE, Doubles, frames

LOWEST, HIGHEST = 60, 700
"""Hz. Acted fear and joy of women reach beyond 600."""

_LENGTH = 800
_N_FFT = 2048
_LAGS = np.arange(RATE // HIGHEST, RATE // LOWEST + 1)
_CANDIDATES = 6
_OCTAVE_COST = 0.02
_JUMP_COST = 0.35
_VOICING_COST = 0.14
_VOICING_THRESHOLD = 0.45
_SILENCE = 0.05
_FRAMES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Pitch:
    """What a signal's frames repeat with.

    Attributes
    ----------
    frequency : float64 array, (frames,)
        Hz; 0 where not voiced.
    voiced : bool array, (frames,)
    periodicity : float64 array, (frames,)
        Normalised autocorrelation at the period, or the largest one where not voiced; in (0, 1).
    """

    frequency: Doubles
    voiced: npt.NDArray[np.bool_]
    periodicity: Doubles

    @property
    def harmonicity(self) -> Doubles:
        """Harmonics-to-noise ratio in dB, ``10 log10(r / (1 - r))``."""
        return 10 * np.log10(self.periodicity / (1 - self.periodicity))


def track(samples: Doubles) -> Pitch:
    """Fundamental frequency of each frame of 50 ms.

    Parameters
    ----------
    samples : float64 array, (n,)
        At 16 kHz.

    Examples
    --------
    >>> tone = sum(np.sin(2 * np.pi * 200 * k / RATE * np.arange(RATE)) / k for k in (1, 2, 3))
    >>> found = track(tone)
    >>> round(float(np.median(found.frequency)), 1), bool(found.voiced[5:-5].all())
    (200.0, True)
    """
    segments = frames(samples, _LENGTH)
    blocks = [
        _candidates(segments[start : start + _FRAMES_AT_ONCE])
        for start in range(0, len(segments), _FRAMES_AT_ONCE)
    ]
    frequency, strength, periodicity, largest, energy = (
        np.concatenate(parts) for parts in zip(*blocks, strict=True)
    )
    loud = energy / max(float(np.percentile(energy, 95)), 1e-12)
    unvoiced = _VOICING_THRESHOLD + np.clip(0.5 * (1 - loud / _SILENCE), 0, 0.5)
    chosen = _path(frequency, strength, unvoiced)
    voiced = chosen < _CANDIDATES
    rows, place = np.arange(len(chosen)), np.minimum(chosen, _CANDIDATES - 1)
    return Pitch(
        np.where(voiced, frequency[rows, place], 0.0),
        voiced,
        np.clip(np.where(voiced, periodicity[rows, place], largest), 1e-3, 0.9999),
    )


def _autocorrelation(power: Doubles) -> Doubles:
    """Of the signals with these power spectra, up to one lag past the longest, 1 at lag 0."""
    products = scipy.fft.irfft(power, axis=-1)[..., : _LAGS[-1] + 2]
    normalised: Doubles = products / np.maximum(products[..., :1], 1e-12)
    return normalised


def _candidates(segments: Doubles) -> tuple[Doubles, Doubles, Doubles, Doubles, Doubles]:
    """Frequencies, strengths and periodicities (frames, 6), largest periodicity, loudness."""
    window = np.hanning(_LENGTH)
    windowed = (segments - segments.mean(axis=1, keepdims=True)) * window
    ratio = _autocorrelation(np.abs(scipy.fft.rfft(windowed, _N_FFT, axis=1)) ** 2)
    ratio /= _autocorrelation(np.abs(scipy.fft.rfft(window, _N_FFT)) ** 2)
    at = ratio[:, _LAGS]
    is_peak = (at >= ratio[:, _LAGS - 1]) & (at > ratio[:, _LAGS + 1])
    # Of a period and its multiples, which are as periodic, the shortest is meant.
    score = np.where(is_peak, at - _OCTAVE_COST * np.log2(_LAGS / _LAGS[0]), -1.0)
    best = np.argsort(-score, axis=1, kind="stable")[:, :_CANDIDATES]
    lags = _LAGS[best]
    before, here, after = (np.take_along_axis(ratio, lags + step, 1) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    offset = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < -1e-9)
    return (
        RATE / (lags + np.clip(offset, -0.5, 0.5)),
        np.take_along_axis(score, best, 1),
        here,
        at.max(axis=1),
        np.sqrt(np.square(windowed).mean(axis=1)),
    )


@numba.njit(cache=True, nogil=True)
def _path(frequency: Doubles, strength: Doubles, unvoiced: Doubles) -> npt.NDArray[np.int64]:
    """Of each frame the candidate on the cheapest path (Viterbi); 6 where it is unvoiced.

    A candidate costs 1 - its strength, unvoiced frames 1 - theirs; going on costs by octaves
    between candidates, and a fixed price between voiced and unvoiced.
    """
    n_frames, n_candidates = frequency.shape
    cost = np.zeros(n_candidates + 1)
    came_from = np.zeros((n_frames, n_candidates + 1), np.int64)
    for frame in range(n_frames):
        total = np.zeros(n_candidates + 1)
        for to in range(n_candidates + 1):
            cheapest, source = np.inf, 0
            for of in range(n_candidates + 1):
                if frame == 0 or (to == n_candidates and of == n_candidates):
                    step = 0.0
                elif to == n_candidates or of == n_candidates:
                    step = _VOICING_COST
                else:
                    jump = np.log2(frequency[frame, to] / frequency[frame - 1, of])
                    step = _JUMP_COST * abs(jump)
                if cost[of] + step < cheapest:
                    cheapest, source = cost[of] + step, of
            own = unvoiced[frame] if to == n_candidates else strength[frame, to]
            total[to] = cheapest + 1 - own
            came_from[frame, to] = source
        cost = total
    chosen = np.zeros(n_frames, np.int64)
    chosen[-1] = np.argmin(cost)
    for frame in range(n_frames - 1, 0, -1):
        chosen[frame - 1] = came_from[frame, chosen[frame]]
    return chosen
