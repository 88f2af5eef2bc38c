"""Filter banks over the bins of the spectrum: mel triangles, pitch classes, octave bands."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emodask.features.audio import kernels
from emodask.features.audio.stft import BINS, N_FFT

# The same banks as librosa.filters, whose import would cost each worker three seconds.

N_CHROMA = 12
N_MELS = 128


class FilterBank(NamedTuple):
    """Weights of filters over bins, and where each filter lies.

    Attributes
    ----------
    weights : float32 array, (filters, bins)
    first, last : int64 arrays, (filters,)
        Filter m is zero outside ``weights[m, first[m]:last[m]]``.
    """

    weights: npt.NDArray[np.float32]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]

    @classmethod
    def of(cls, weights: npt.NDArray[np.floating]) -> FilterBank:
        """Bank of the given weights, read-only.

        Examples
        --------
        >>> bank = FilterBank.of(np.array([[0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]]))
        >>> bank.first.tolist(), bank.last.tolist()
        ([1, 3], [3, 4])
        """
        bank = np.ascontiguousarray(weights, dtype=np.float32)
        used = bank != 0
        first = np.where(used.any(axis=1), used.argmax(axis=1), 0)
        last = np.where(used.any(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1), 0)
        for array in (bank, first, last):
            array.flags.writeable = False
        return cls(bank, first, last)

    def apply(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Outputs of all filters, float32 (filters, n), for float32 rows (n, bins).

        Examples
        --------
        >>> FilterBank.of(np.array([[0.0, 2.0]])).apply(np.ones((3, 2), np.float32))
        array([[2., 2., 2.]], dtype=float32)
        """
        return kernels.banded_product(self.weights, self.first, self.last, rows)


def bin_frequencies(rate: int) -> npt.NDArray[np.float64]:
    """Centre frequencies of the spectrum's bins in Hz, float64 (1025,).

    Examples
    --------
    >>> float(bin_frequencies(20480)[1])
    10.0
    """
    return np.fft.rfftfreq(N_FFT, 1 / rate).astype(np.float64)


def _mel_edges(rate: int) -> npt.NDArray[np.float64]:
    """Edges in Hz, equally spaced on Slaney's mel scale from 0 to half the rate."""
    hz_per_mel = 200 / 3  # linear up to 1 kHz, then 27 steps to each factor of 6.4
    knee, growth = 1000 / hz_per_mel, math.log(6.4) / 27
    top = knee + math.log(rate / 2 / 1000) / growth
    mels = np.linspace(0, top, N_MELS + 2)
    return np.where(mels < knee, mels * hz_per_mel, 1000 * np.exp(growth * (mels - knee)))


@lru_cache(maxsize=8)
def mel_filters(rate: int) -> FilterBank:
    """128 triangular filters of equal area on Slaney's mel scale (Auditory Toolbox, 1998).

    Parameters
    ----------
    rate : int
        Samples per second, above 2000.

    Returns
    -------
    FilterBank
        128 filters over 1025 bins.

    Examples
    --------
    >>> bank = mel_filters(22050)
    >>> bank.weights.shape, int(bank.weights[10].argmax())
    ((128, 1025), 26)
    """
    low, centre, high = (_mel_edges(rate)[i : i + N_MELS, None] for i in range(3))
    frequencies = bin_frequencies(rate)
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return FilterBank.of(triangles * (2 / (high - low)))


@lru_cache(maxsize=128)
def chroma_filters(rate: int, tuning: float) -> FilterBank:
    """Weights of each bin in the 12 pitch classes from C (Ellis 2007, chroma analysis).

    Around each pitch class a Gaussian whose width is two semitones or the bin's, whichever is
    larger; over frequency a Gaussian of two octaves around the fifth octave above 27.5 Hz.

    Parameters
    ----------
    rate : int
        Samples per second.
    tuning : float
        Deviation from A4 = 440 Hz in semitones.

    Returns
    -------
    FilterBank
        12 filters over 1025 bins.

    Examples
    --------
    >>> bank = chroma_filters(20480, 0.0)  # bin 44 is 440 Hz, an A
    >>> int(bank.weights[:, 44].argmax())
    9
    """
    reference = 440 * 2.0 ** (tuning / N_CHROMA) / 16
    hertz = np.arange(1, N_FFT) * rate / N_FFT
    octave = np.log2(hertz / reference)
    octave = np.concatenate(([octave[0] - 1.5], octave))
    semitone = N_CHROMA * octave
    width = np.append(np.maximum(np.diff(semitone), 1.0), 1.0)[:BINS]
    octave, semitone = octave[:BINS], semitone[:BINS]
    distance = semitone - np.arange(N_CHROMA)[:, None]
    distance = np.mod(distance + N_CHROMA / 2, N_CHROMA) - N_CHROMA / 2
    bumps = np.exp(-0.5 * (2 * distance / width) ** 2)
    bumps /= np.linalg.norm(bumps, axis=0)
    bumps *= np.exp(-0.5 * ((octave - 5) / 2) ** 2)
    return FilterBank.of(np.roll(bumps, -3, axis=0))


@lru_cache(maxsize=8)
def octave_bands(
    rate: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Seven bands for spectral contrast: up to 200 Hz, then octaves, the last to the top.

    Parameters
    ----------
    rate : int
        Samples per second, above 12800, so that the last octave exists.

    Returns
    -------
    first, last, count : int64 arrays, (7,)
        Band b holds the bins ``first[b]:last[b]``; ``count`` of them, the nearest whole number
        to 2 % and at least one, stand for its valley and as many for its peak.

    Examples
    --------
    >>> first, last, count = octave_bands(22050)
    >>> first.tolist(), last.tolist(), count.tolist()
    ([0, 18, 37, 74, 148, 297, 594], [18, 37, 74, 148, 297, 594, 1025], [1, 1, 1, 2, 3, 6, 9])
    """
    frequencies = bin_frequencies(rate)
    edges = [0.0, *(200 * 2.0**k for k in range(7))]
    first, last, count = [], [], []
    for b in range(7):
        # As librosa draws them: each band begins one bin early and, its quantile once taken,
        # gives up its last bin; the top band keeps all that is left.
        inside = np.flatnonzero((frequencies >= edges[b]) & (frequencies <= edges[b + 1]))
        begin = int(inside[0]) - (b > 0)
        end = BINS if b == 6 else int(inside[-1]) + 1
        count.append(max(round(0.02 * (end - begin)), 1))
        first.append(begin)
        last.append(end - (b < 6))
    bands = np.array([first, last, count], dtype=np.int64)
    bands.flags.writeable = False
    return bands[0], bands[1], bands[2]
