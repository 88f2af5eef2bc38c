"""Cycles of a voice one by one: where each begins, and how much neighbours differ.

Marks are set as Praat's "To PointProcess (cc)" sets them: from the middle of a voiced stretch to
both sides, each where a cycle resembles its neighbour most (Boersma & Weenink, "Praat: doing
phonetics by computer"). Jitter and shimmer are those of its manual's pages "Voice 2" and "Voice 3",
with the formulas of Farrús, Hernando & Ejarque, "Jitter and shimmer measurements for speaker
recognition", Interspeech 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from emodask.features.voice.pitch import HIGHEST, LOWEST
from emodask.features.voice.short_time import HOP_LENGTH, RATE, Doubles

PERTURBATIONS = (
    *("jitter_local", "jitter_rap", "jitter_ppq5"),
    *("shimmer_local", "shimmer_apq3", "shimmer_apq5", "shimmer_local_db"),
)

# Praat's defaults: neighbours that differ by more are taken for marks gone astray.
_PERIOD_FACTOR = 1.3
_AMPLITUDE_FACTOR = 1.6
_NEAREST, _FARTHEST = 0.8, 1.25
_ALIKE = 0.3


@dataclass(frozen=True, eq=False)
class Cycles:
    """The cycles of all voiced stretches in a row, with a NaN after those of each.

    Attributes
    ----------
    period : float64 array, (n,)
        Seconds from a cycle's mark to the next.
    amplitude : float64 array, (n,)
        Root mean square under a Hann window of two periods around the mark.
    """

    period: Doubles
    amplitude: Doubles


def cycles(samples: Doubles, frequency: Doubles, voiced: npt.NDArray[np.bool_]) -> Cycles:
    """Mark the cycles of a voice whose pitch is known.

    Parameters
    ----------
    samples : float64 array, (n,)
        At 16 kHz.
    frequency : float64 array, (frames,)
        Hz, every 10 ms; :func:`emodask.features.voice.pitch.track` finds it.
    voiced : bool array, (frames,)
        Where it holds.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 200 / RATE * np.arange(RATE)) ** 9
    >>> found = cycles(tone, np.full(101, 200.0), np.ones(101, bool))
    >>> round(float(np.nanmean(found.period)), 6)
    0.005
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(np.int8), [0]])))
    gap = np.array([np.nan])
    period, amplitude = [np.zeros(0)], [np.zeros(0)]
    for first, last in edges.reshape(-1, 2):
        at = _marks(samples, frequency, int(first), int(last))
        if len(at) > 2:
            period += [np.diff(at) / RATE, gap]
            amplitude += [_amplitudes(samples, at), gap]
    return Cycles(np.concatenate(period), np.concatenate(amplitude))


def perturbation(found: Cycles) -> Doubles:
    """Jitter and shimmer, (7,), in the order of `PERTURBATIONS`; 0 where cycles are too few.

    ``jitter_local`` is the mean difference of neighbouring periods by the mean period;
    ``jitter_rap`` and ``jitter_ppq5`` that of a period from the mean of three or five around it.
    Shimmer is the same of amplitudes, ``shimmer_local_db`` the mean ratio of neighbours in dB.

    Examples
    --------
    >>> period = np.tile([0.0099, 0.0101], 50)
    >>> perturbation(Cycles(period, np.ones(100))).round(4)[:2]
    array([0.02  , 0.0133])
    """
    period, amplitude = found.period.copy(), found.amplitude
    period[(period < 1 / (_FARTHEST * HIGHEST)) | (period > _FARTHEST / LOWEST)] = np.nan
    steady = np.diff(amplitude)
    ratio = np.abs(np.diff(np.log(np.maximum(amplitude, 1e-12))))
    steady[ratio > np.log(_AMPLITUDE_FACTOR)] = np.nan
    ratio[ratio > np.log(_AMPLITUDE_FACTOR)] = np.nan
    return np.array(
        [
            _relative(_neighbours(period, _PERIOD_FACTOR), period),
            *(_relative(_around(period, n, _PERIOD_FACTOR), period) for n in (3, 5)),
            _relative(steady, amplitude),
            *(_relative(_around(amplitude, n, _AMPLITUDE_FACTOR), amplitude) for n in (3, 5)),
            20 / np.log(10) * _mean(ratio),
        ]
    )


def _neighbours(values: Doubles, factor: float) -> Doubles:
    """Differences of neighbours; NaN where one is more than `factor` times the other."""
    steps = np.diff(values)
    steps[np.maximum(values[1:], values[:-1]) > factor * np.minimum(values[1:], values[:-1])] = (
        np.nan
    )
    return steps


def _around(values: Doubles, points: int, factor: float) -> Doubles:
    """Differences from the mean of as many `points` around; NaN where neighbours jump."""
    if len(values) < points:
        return np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(values, points)
    off = windows[:, points // 2] - windows.mean(axis=1)
    jumps = np.isnan(_neighbours(values, factor))
    off[np.lib.stride_tricks.sliding_window_view(jumps, points - 1).any(axis=1)] = np.nan
    return off


def _relative(differences: Doubles, values: Doubles) -> float:
    level = _mean(values)
    return _mean(np.abs(differences)) / level if level > 0 else 0.0


def _mean(values: Doubles) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


@numba.njit(cache=True, nogil=True)
def _marks(samples: Doubles, frequency: Doubles, first: int, last: int) -> Doubles:
    """Marks, in samples and ascending, of the voiced stretch of frames ``[first, last)``."""
    start = max(0.0, (first - 0.5) * HOP_LENGTH)
    stop = min(len(samples) - 1.0, (last - 0.5) * HOP_LENGTH)
    middle = (start + stop) / 2
    reach = _period(frequency, middle, first, last) / 2
    peak = int(middle)
    for at in range(max(0, int(middle - reach)), min(len(samples), int(middle + reach) + 1)):
        if abs(samples[at]) > abs(samples[peak]):
            peak = at
    most = int((stop - start) * HIGHEST / RATE / _NEAREST) + 4
    marks = np.empty(2 * most + 1)
    low = high = most
    marks[most] = peak
    for direction in (-1, 1):
        mark = float(peak)
        for _ in range(most):
            period = _period(frequency, mark, first, last)
            step = _most_alike(samples, mark, period, direction)
            mark += direction * step
            if step == 0.0 or mark < start or mark > stop:
                break
            if direction < 0:
                low -= 1
                marks[low] = mark
            else:
                high += 1
                marks[high] = mark
    return marks[low : high + 1].copy()


@numba.njit(cache=True, nogil=True)
def _period(frequency: Doubles, at: float, first: int, last: int) -> float:
    """Samples of a period at a place, interpolated between the frames of one stretch."""
    place = min(max(at / HOP_LENGTH, float(first)), last - 1.0)
    left = int(place)
    right = min(left + 1, last - 1)
    share = place - left
    return RATE / ((1 - share) * frequency[left] + share * frequency[right])


@numba.njit(cache=True, nogil=True)
def _most_alike(samples: Doubles, mark: float, period: float, direction: int) -> float:
    """How far the neighbouring cycle lies, to parts of a sample; 0 where none resembles this one.

    Cycles are compared by the normalised correlation of windows of one period, whose peak is taken
    from a parabola through three lags.
    """
    half = int(period / 2)
    centre = round(mark)
    lags = int(_FARTHEST * period) + 2 - int(_NEAREST * period)
    nearest = int(_NEAREST * period) - 1
    scores = np.full(lags + 2, -2.0)
    if centre - half < 0 or centre + half >= len(samples):
        return 0.0
    own = 0.0
    for i in range(-half, half + 1):
        own += samples[centre + i] ** 2
    best = 0
    for number in range(lags + 2):
        other = centre + direction * (nearest + number)
        if other - half < 0 or other + half >= len(samples):
            continue
        product = energy = 0.0
        for i in range(-half, half + 1):
            value = samples[other + i]
            product += samples[centre + i] * value
            energy += value * value
        scores[number] = product / np.sqrt(max(own * energy, 1e-30))
        if scores[number] > scores[best]:
            best = number
    if scores[best] < _ALIKE or best == 0 or best == lags + 1 or scores[best + 1] == -2.0:
        return 0.0
    before, here, after = scores[best - 1], scores[best], scores[best + 1]
    bend = before - 2 * here + after
    offset = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return nearest + best + offset


@numba.njit(cache=True, nogil=True)
def _amplitudes(samples: Doubles, marks: Doubles) -> Doubles:
    """Of each mark but the last, the root mean square under a Hann window around it."""
    found = np.empty(len(marks) - 1)
    for number in range(len(found)):
        width = marks[number + 1] - marks[number]
        total = weights = 0.0
        low = max(0, int(marks[number] - width) + 1)
        for at in range(low, min(len(samples), int(marks[number] + width) + 1)):
            weight = 0.5 + 0.5 * np.cos(np.pi * (at - marks[number]) / width)
            total += weight * samples[at] ** 2
            weights += weight
        found[number] = np.sqrt(total / weights)
    return found
