"""Formants: resonances of the vocal tract, from the roots of a linear predictor.

Makhoul, "Linear Prediction: A Tutorial Review", Proceedings of the IEEE 63 (1975): the predictor
that leaves least of a frame solves the normal equations of its autocorrelation; where its
polynomial has roots near the unit circle, the vocal tract resonates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from emodask.features.voice.short_time import RATE, WINDOW_LENGTH, Doubles, frames

ORDER = 16
COUNT = 3
_EMPHASIS = 0.97
_WITHIN = (150.0, 5500.0)
_WIDEST = 600.0
_FRAMES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Formants:
    """Resonances of each frame.

    Attributes
    ----------
    frequency, bandwidth : float64 array, (frames, 3)
        Hz, lowest first; NaN where there are fewer.
    residual : float64 array, (frames,)
        Energy that the predictor leaves.
    """

    frequency: Doubles
    bandwidth: Doubles
    residual: Doubles


def formants(samples: Doubles) -> Formants:
    """The three lowest resonances of each frame of 25 ms.

    Parameters
    ----------
    samples : float64 array, (n,)
        At 16 kHz.

    Returns
    -------
    Formants
    """
    emphasised = np.append(samples[:1], samples[1:] - _EMPHASIS * samples[:-1])
    segments = frames(emphasised, WINDOW_LENGTH)
    blocks = [
        _of_frames(segments[start : start + _FRAMES_AT_ONCE])
        for start in range(0, len(segments), _FRAMES_AT_ONCE)
    ]
    return Formants(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _of_frames(segments: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    predictor, residual = linear_predictor(segments * np.hamming(WINDOW_LENGTH), ORDER)
    companion = np.zeros((len(segments), ORDER, ORDER))
    companion[:, 0] = -predictor[:, 1:]
    companion[:, np.arange(1, ORDER), np.arange(ORDER - 1)] = 1
    roots = np.linalg.eigvals(companion)
    frequency = np.angle(roots) * RATE / (2 * np.pi)
    bandwidth = -np.log(np.maximum(np.abs(roots), 1e-12)) * RATE / np.pi
    resonates = (frequency > _WITHIN[0]) & (frequency < _WITHIN[1]) & (bandwidth < _WIDEST)
    frequency = np.where(resonates, frequency, np.inf)
    lowest = np.argsort(frequency, axis=1, kind="stable")[:, :COUNT]
    frequency = np.take_along_axis(frequency, lowest, 1)
    found = np.isfinite(frequency)
    return (
        np.where(found, frequency, np.nan),
        np.where(found, np.take_along_axis(bandwidth, lowest, 1), np.nan),
        residual,
    )


def linear_predictor(segments: Doubles, order: int) -> tuple[Doubles, Doubles]:
    """Coefficients of the best linear predictor of each frame, by Levinson's recursion.

    Parameters
    ----------
    segments : float64 array, (frames, n)
        Windowed.
    order : int

    Returns
    -------
    coefficients : float64 array, (frames, order + 1)
        Of the error filter: the first is 1.
    residual : float64 array, (frames,)
        Energy that is left.

    Examples
    --------
    >>> decaying = 0.5 ** np.arange(64.0)[None]
    >>> linear_predictor(decaying, 1)[0].round(3)
    array([[ 1. , -0.5]])
    """
    n_fft = 2 * scipy.fft.next_fast_len(segments.shape[1], real=True)
    power = np.abs(scipy.fft.rfft(segments, n_fft, axis=1)) ** 2
    products = scipy.fft.irfft(power, n_fft, axis=1)[:, : order + 1]
    products[:, 0] = products[:, 0] * 1.0001 + 1e-9  # a white floor keeps the recursion stable
    coefficients = np.zeros_like(products)
    coefficients[:, 0] = 1
    residual = products[:, 0].copy()
    for i in range(1, order + 1):
        overlap = np.einsum("ti,ti->t", coefficients[:, :i], products[:, i:0:-1])
        reflection = -overlap / residual
        coefficients[:, 1 : i + 1] += reflection[:, None] * coefficients[:, i - 1 :: -1][:, :i]
        residual *= 1 - reflection**2
    return coefficients, residual
