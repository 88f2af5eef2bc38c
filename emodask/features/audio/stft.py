"""Short-time Fourier transform and its inverse: 2048 samples under a Hann window, hop 512."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.fft

from emodask.features.audio import kernels

N_FFT = 2048
HOP_LENGTH = 512
BINS = N_FFT // 2 + 1

WINDOW = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, N_FFT + 1)[:-1])
WINDOW.flags.writeable = False


def frame_count(n_samples: int) -> int:
    """How many centred frames cover `n_samples` samples.

    Examples
    --------
    >>> frame_count(22050)
    44
    """
    return 1 + n_samples // HOP_LENGTH


def frames(padded: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """View a signal that was padded by half a frame at both ends as overlapping frames.

    Parameters
    ----------
    padded : float32 array, (n + 2048,)

    Returns
    -------
    float32 array, (1 + n // 512, 2048)
        A read-only view.

    Examples
    --------
    >>> frames(np.zeros(1000 + 2048, np.float32)).shape
    (2, 2048)
    """
    return np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]


def stft(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.complex64]:
    """Short-time Fourier transform, frames centred and the signal padded with zeros.

    The transposed equal of ``librosa.stft(samples)`` with its defaults: transformed in double
    precision, then rounded.

    Parameters
    ----------
    samples : float32 array, (n,)

    Returns
    -------
    complex64 array, (1 + n // 512, 1025)

    Examples
    --------
    >>> tone = np.cos(2 * np.pi * 64 / 2048 * np.arange(8192)).astype(np.float32)
    >>> int(np.abs(stft(tone)[8]).argmax())
    64
    """
    segments = frames(np.pad(samples, N_FFT // 2))
    spectrum = np.empty((len(segments), BINS), np.complex64)
    for block in _blocks(len(segments)):
        spectrum[block] = _transform(segments[block])
    return spectrum


def magnitudes(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Magnitudes of :func:`stft`, which is not kept.

    Parameters
    ----------
    samples : float32 array, (n,)

    Returns
    -------
    float32 array, (1 + n // 512, 1025)

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(8192).astype(np.float32)
    >>> bool(np.array_equal(magnitudes(noise), np.abs(stft(noise))))
    True
    """
    segments = frames(np.pad(samples, N_FFT // 2))
    magnitude = np.empty((len(segments), BINS), np.float32)
    for block in _blocks(len(segments)):
        np.abs(_transform(segments[block]), out=magnitude[block])
    return magnitude


def _blocks(n_frames: int) -> Iterator[slice]:
    """Frames to transform together: so few that they stay in the processor's cache."""
    return (slice(i, i + 16) for i in range(0, n_frames, 16))


def _transform(segments: npt.NDArray[np.float32]) -> npt.NDArray[np.complex64]:
    return scipy.fft.rfft(WINDOW * segments, axis=1, workers=1).astype(np.complex64)


def istft(spectrum: npt.NDArray[np.complex64], length: int) -> npt.NDArray[np.float32]:
    """Signal whose short-time Fourier transform is nearest to `spectrum` (Griffin & Lim 1984).

    Parameters
    ----------
    spectrum : complex64 array, (frames, 1025)
    length : int
        How many samples to return.

    Returns
    -------
    float32 array, (length,)

    Examples
    --------
    >>> signal = np.sin(np.arange(5000) / 9).astype(np.float32)
    >>> bool(np.allclose(istft(stft(signal), 4800), signal[:4800], atol=1e-6))
    True
    """
    used = min(len(spectrum), -(-(length + N_FFT) // HOP_LENGTH))
    segments = scipy.fft.irfft(spectrum[:used], n=N_FFT, axis=1, workers=1)
    return kernels.overlap_add(segments, WINDOW, HOP_LENGTH, N_FFT // 2, length)
