"""Frames of 10 ms steps at 16 kHz, their power spectra, and mel bands of those."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft

Doubles = npt.NDArray[np.float64]

RATE = 16_000
HOP_LENGTH = 160
WINDOW_LENGTH = 400
N_FFT = 512
N_MELS = 40
MEL_RANGE = (50.0, 8000.0)

FREQUENCIES = np.fft.rfftfreq(N_FFT, 1 / RATE)
FREQUENCIES.flags.writeable = False


def frame_count(n_samples: int) -> int:
    """How many centred frames a signal has.

    Examples
    --------
    >>> frame_count(16000)
    101
    """
    return 1 + n_samples // HOP_LENGTH


def frames(samples: Doubles, length: int) -> Doubles:
    """Overlapping frames, each centred on a multiple of 10 ms; beyond the ends is silence.

    Parameters
    ----------
    samples : float64 array, (n,)
    length : int
        Samples of a frame.

    Returns
    -------
    float64 array, (1 + n // 160, length)
        A read-only view.

    Examples
    --------
    >>> frames(np.arange(1.0, 321.0), 4)
    array([[  0.,   0.,   1.,   2.],
           [159., 160., 161., 162.],
           [319., 320.,   0.,   0.]])
    """
    padded = np.pad(samples, (length // 2, length - length // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)
    return windows[::HOP_LENGTH][: frame_count(len(samples))]


def power_spectra(samples: Doubles) -> Doubles:
    """Squared magnitudes under a Hann window of 25 ms.

    Returns
    -------
    float64 array, (frames, 257)
    """
    window = np.hanning(WINDOW_LENGTH)
    spectra = scipy.fft.rfft(frames(samples, WINDOW_LENGTH) * window, N_FFT, axis=1)
    return np.square(spectra.real) + np.square(spectra.imag)


@lru_cache(maxsize=1)
def mel_filters() -> Doubles:
    """Triangular filters on O'Shaughnessy's mel scale, ``2595 log10(1 + f / 700)``, of height 1.

    Returns
    -------
    float64 array, (40, 257)
        The equal of ``librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=50, fmax=8000,
        htk=True, norm=None)``.
    """
    low, high = (2595 * np.log10(1 + f / 700) for f in MEL_RANGE)
    edges = 700 * (10 ** (np.linspace(low, high, N_MELS + 2) / 2595) - 1)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (FREQUENCIES - left) / (centre - left)
    falling = (right - FREQUENCIES) / (right - centre)
    filters: Doubles = np.maximum(0, np.minimum(rising, falling))
    filters.flags.writeable = False
    return filters
