"""Frame-wise descriptors of a signal: MFCC, zero crossings, RMS, chroma, spectral contrast."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import scipy.fft

from emodask.features.audio import kernels
from emodask.features.audio.filters import (
    N_CHROMA,
    N_MELS,
    FilterBank,
    chroma_filters,
    mel_filters,
    octave_bands,
)
from emodask.features.audio.stft import HOP_LENGTH, N_FFT, frame_count, magnitudes

Floats = npt.NDArray[np.float32]

N_MFCC = 13
CURVES = (
    *(f"mfcc_{i}" for i in range(N_MFCC)),
    "zcr",
    "rms",
    *(f"chroma_{i}" for i in range(N_CHROMA)),
    *(f"contrast_{i}" for i in range(7)),
)


@functools.cache
def _cosines(n_mfcc: int) -> FilterBank:
    return FilterBank.of(scipy.fft.dct(np.eye(N_MELS), type=2, norm="ortho", axis=0)[:n_mfcc])


def decibels(power: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """``10 log10(power)``, at least -100 and at most 80 below the largest."""
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(level, level.max() - 80)


def mfcc(power: Floats, rate: int, n_mfcc: int = N_MFCC) -> Floats:
    """Mel-frequency cepstral coefficients, the lowest (Davis & Mermelstein 1980).

    Parameters
    ----------
    power : float32 array, (frames, 1025)
        Squared magnitudes of the spectrum.
    rate : int
        Samples per second.
    n_mfcc : int
        How many, at most 128.

    Returns
    -------
    float32 array, (n_mfcc, frames)

    Examples
    --------
    >>> mfcc(np.ones((5, 1025), np.float32), 22050).shape
    (13, 5)
    """
    levels = decibels(mel_filters(rate).apply(power))
    return _cosines(n_mfcc).apply(np.ascontiguousarray(levels.T))


def zero_crossing_rate(samples: Floats) -> Floats:
    """Sign changes per sample in each frame; values within 1e-10 of zero count as positive.

    Parameters
    ----------
    samples : float32 array, (n,)

    Returns
    -------
    float32 array, (frames,)

    Examples
    --------
    >>> alternating = np.array([1, -1] * 2048, np.float32)
    >>> float(zero_crossing_rate(alternating)[4])
    0.99951171875
    """
    negative = np.pad(samples < np.float32(-1e-10), N_FFT // 2, mode="edge")
    crossings = np.cumsum(np.append(False, negative[1:] != negative[:-1]), dtype=np.int32)
    start = HOP_LENGTH * np.arange(frame_count(len(samples)))
    return ((crossings[start + N_FFT - 1] - crossings[start]) / N_FFT).astype(np.float32)


def rms(samples: Floats) -> Floats:
    """Root of the mean square in each frame.

    Parameters
    ----------
    samples : float32 array, (n,)

    Returns
    -------
    float32 array, (frames,)

    Examples
    --------
    >>> float(rms(np.full(8192, 0.5, np.float32))[8])
    0.5
    """
    per_frame = N_FFT // HOP_LENGTH
    hops = frame_count(len(samples)) + per_frame - 1
    blocks = np.pad(samples, N_FFT // 2)[: hops * HOP_LENGTH].reshape(hops, HOP_LENGTH)
    energy = np.einsum("hi,hi->h", blocks, blocks, dtype=np.float64)
    total = np.lib.stride_tricks.sliding_window_view(energy, per_frame).sum(axis=1)
    return np.sqrt(total / N_FFT).astype(np.float32)


def tuning(power: Floats, rate: int) -> float:
    """Deviation of the peaks between 150 and 4000 Hz from the tempered scale, in semitones.

    The fullest of 100 bins over [-0.5, 0.5), counting the louder half of all peaks that exceed a
    tenth of their frame's maximum; 0 where there is no peak.

    Parameters
    ----------
    power : float32 array, (frames, 1025)
    rate : int
        Samples per second.

    Examples
    --------
    >>> sharp = 440 * 2 ** (0.3 / 12)
    >>> tone = np.sin(2 * np.pi * sharp / 22050 * np.arange(8192)).astype(np.float32)
    >>> round(tuning(magnitudes(tone) ** 2, 22050), 1)
    0.3
    """
    first, last = (int(np.ceil(hertz * N_FFT / rate)) for hertz in (150, 4000))
    position, height = kernels.spectral_peaks(power, first, last, 0.1)
    if not height.size:
        return 0.0
    hertz = (position * rate / N_FFT).astype(np.float32)[height >= np.median(height)]
    residual = np.mod(N_CHROMA * np.log2(hertz / (440 / 16)), 1.0)
    residual[residual >= 0.5] -= 1.0
    counts, edges = np.histogram(residual, np.linspace(-0.5, 0.5, 101))
    return float(edges[counts.argmax()])


def chroma(power: Floats, rate: int) -> Floats:
    """Energy in the 12 pitch classes from C, each frame divided by its maximum.

    Parameters
    ----------
    power : float32 array, (frames, 1025)
    rate : int
        Samples per second.

    Returns
    -------
    float32 array, (12, frames)

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 / 22050 * np.arange(8192)).astype(np.float32)
    >>> int(chroma(magnitudes(tone) ** 2, 22050)[:, 8].argmax())
    9
    """
    energy = chroma_filters(rate, tuning(power, rate)).apply(power)
    largest = energy.max(axis=0)
    energy /= np.where(largest < np.finfo(np.float32).tiny, np.float32(1), largest)
    return energy


def spectral_contrast(magnitude: Floats, rate: int) -> Floats:
    """Decibels between peaks and valleys of seven bands (Jiang et al. 2002).

    Parameters
    ----------
    magnitude : float32 array, (frames, 1025)
    rate : int
        Samples per second, above 12800.

    Returns
    -------
    float32 array, (7, frames)

    Examples
    --------
    >>> float(spectral_contrast(np.ones((3, 1025), np.float32), 22050).max())
    0.0
    """
    valley, peak = kernels.band_extremes(magnitude, *octave_bands(rate))
    return (decibels(peak) - decibels(valley)).astype(np.float32)


def descriptors(samples: Floats, rate: int) -> Floats:
    """All 34 curves of a signal from one spectrum, in the order of `CURVES`.

    Each is the equal of the function of that name in ``librosa.feature`` (chroma: chroma_stft)
    with 2048 samples a frame and a hop of 512.

    Parameters
    ----------
    samples : float32 array, (n,)
    rate : int
        Samples per second, above 12800.

    Returns
    -------
    float32 array, (34, 1 + n // 512)

    Examples
    --------
    >>> descriptors(np.sin(np.arange(8192) / 5).astype(np.float32), 22050).shape
    (34, 17)
    """
    magnitude = magnitudes(samples)
    power = magnitude**2
    return np.concatenate(
        [
            mfcc(power, rate),
            zero_crossing_rate(samples)[None],
            rms(samples)[None],
            chroma(power, rate),
            spectral_contrast(magnitude, rate),
        ]
    )
