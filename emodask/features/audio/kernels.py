"""Compiled inner loops of the audio features: plain functions of arrays, one formula each."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@numba.njit(cache=True, nogil=True)
def phase_advance(angle: Array, expected: Array) -> Array:
    """Advance of each bin's phase per frame: the nearest to `expected` of those that fit.

    Parameters
    ----------
    angle : float32 array, (frames + 1, bins)
        Phases in radians.
    expected : float64 array, (bins,)
        The advance of a sinusoid at the bin's centre, in radians.

    Returns
    -------
    float64 array, (frames, bins)
        In radians, within pi of `expected`.
    """
    advance = np.empty((angle.shape[0] - 1, angle.shape[1]))
    for t in range(advance.shape[0]):
        here, after, row = angle[t], angle[t + 1], advance[t]
        for k in range(row.size):
            deviation = np.float32(after[k] - here[k]) - expected[k]
            deviation -= 2 * np.pi * np.rint(deviation / (2 * np.pi))
            row[k] = expected[k] + deviation
    return advance


@numba.njit(cache=True, nogil=True)
def phase_vocoder(magnitude: Array, advance: Array, phase: Array, steps: Array) -> Array:
    r"""Resample a spectrum in time: magnitudes interpolated, phases accumulated bin by bin.

    Output frame t at input time s, with :math:`c = \lfloor s \rfloor` and
    :math:`\alpha = s - c`, is
    :math:`((1 - \alpha) |X_c| + \alpha |X_{c+1}|) e^{i \varphi_t}`, where
    :math:`\varphi_{t+1} = \varphi_t + \Delta_c`.

    The accumulator is single precision, as in librosa, and cosine and sine are the C library's:
    rounding reaches 0.016 rad in the highest bins after a hundred frames, and where a variant
    is empty (above the band of a pitch shift) the rounding noise alone is what spectral contrast
    measures. Only the very same bits give the same features.

    Parameters
    ----------
    magnitude : float32 array, (frames + 1, bins)
        The last row is zero: silence follows the signal.
    advance : float64 array, (frames, bins)
        The phase advance from each frame to the next, in radians.
    phase : float32 array, (bins,)
        The phases of the first frame, in radians.
    steps : float64 array, (n,)
        Where the output frames lie, in input frames, ascending.

    Returns
    -------
    complex64 array, (n, bins)
    """
    bins = magnitude.shape[1]
    stretched = np.empty((steps.size, bins), np.complex64)
    accumulated = phase.copy()
    for t in range(steps.size):
        column = int(steps[t])
        right = steps[t] - column
        left = 1.0 - right
        here, after, step = magnitude[column], magnitude[column + 1], advance[column]
        row = stretched[t]
        for k in range(bins):
            angle = accumulated[k]
            size = left * here[k] + right * after[k]
            row[k] = complex(np.float32(np.cos(angle) * size), np.float32(np.sin(angle) * size))
            accumulated[k] = np.float32(angle + step[k])
    return stretched


@numba.njit(cache=True, nogil=True)
def overlap_add(frames: Array, window: Array, hop: int, start: int, length: int) -> Array:
    """Weighted overlap-add, divided by the sum of squared windows (Griffin & Lim 1984, eq. 6).

    Parameters
    ----------
    frames : float32 array, (n, width)
    window : float64 array, (width,)
    hop : int
        Samples between the starts of successive frames.
    start, length : int
        The first sample to return, counted from the start of frame 0, and how many; silence
        follows the last frame.

    Returns
    -------
    float32 array, (length,)
    """
    n, width = frames.shape
    total = max(width + hop * (n - 1), start + length)
    signal = np.zeros(total, np.float32)
    weight = np.zeros(total, np.float32)
    square = window * window
    for t in range(n):
        here, sums, frame = (
            signal[t * hop : t * hop + width],
            weight[t * hop : t * hop + width],
            frames[t],
        )
        for j in range(width):
            here[j] += window[j] * frame[j]
            sums[j] += square[j]
    signal = signal[start : start + length].copy()
    weight = weight[start : start + length]
    tiny = np.finfo(np.float32).tiny
    for i in range(length):
        if weight[i] > tiny:
            signal[i] /= weight[i]
    return signal


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def banded_product(weights: Array, first: Array, last: Array, rows: Array) -> Array:
    """Apply filters, each zero outside its band, to every row: ``weights @ rows.T``.

    Not a BLAS call: those give other bytes with another number of threads.

    Parameters
    ----------
    weights : float32 array, (filters, bins)
    first, last : int64 arrays, (filters,)
        Filter m is zero outside ``weights[m, first[m]:last[m]]``.
    rows : float32 array, (n, bins)

    Returns
    -------
    float32 array, (filters, n)
    """
    product = np.empty((weights.shape[0], rows.shape[0]), np.float32)
    for t in range(rows.shape[0]):
        row = rows[t]
        for m in range(weights.shape[0]):
            # Slices, because indices that may be negative would keep the sum from vectorising.
            band = row[first[m] : last[m]]
            weight = weights[m, first[m] : last[m]]
            total = np.float32(0)
            for k in range(weight.size):
                total += band[k] * weight[k]
            product[m, t] = total
    return product


@numba.njit(cache=True, nogil=True)
def band_extremes(rows: Array, first: Array, last: Array, count: Array) -> tuple[Array, Array]:
    """Means of the smallest and of the largest values within bands of each row.

    Parameters
    ----------
    rows : float32 array, (n, bins)
    first, last : int64 arrays, (bands,)
        Band b is ``rows[:, first[b]:last[b]]``.
    count : int64 array, (bands,)
        How many values of each band to average, at most ``last - first``.

    Returns
    -------
    lowest, highest : float64 arrays, (bands, n)
    """
    bands = first.size
    lowest = np.empty((bands, rows.shape[0]))
    highest = np.empty((bands, rows.shape[0]))
    small = np.empty(count.max(), np.float32)
    large = np.empty(count.max(), np.float32)
    for t in range(rows.shape[0]):
        for b in range(bands):
            q = count[b]
            band = rows[t, first[b] : last[b]]
            small[:q] = np.inf
            large[:q] = -np.inf
            # Insertion into two short sorted lists: nearly every value fails both comparisons.
            for value in band:
                if value < small[q - 1]:
                    i = q - 1
                    while i > 0 and small[i - 1] > value:
                        small[i] = small[i - 1]
                        i -= 1
                    small[i] = value
                if value > large[q - 1]:
                    i = q - 1
                    while i > 0 and large[i - 1] < value:
                        large[i] = large[i - 1]
                        i -= 1
                    large[i] = value
            low = 0.0
            high = 0.0
            for i in range(q):
                low += small[i]
                high += large[i]
            lowest[b, t] = low / q
            highest[b, t] = high / q
    return lowest, highest


@numba.njit(cache=True, nogil=True)
def spectral_peaks(rows: Array, first: int, last: int, threshold: float) -> tuple[Array, Array]:
    """Local maxima of each row, refined by a parabola through three points.

    A peak is larger than the value below it, not smaller than the one above, and larger than
    ``threshold`` times the row's maximum (Smith & Serra 1987, the interpolation).

    Parameters
    ----------
    rows : float32 array, (n, bins)
    first, last : int
        Peaks are sought at bins ``first <= k < last``, which must exclude the outermost bins.
    threshold : float

    Returns
    -------
    position : float64 array, (peaks,)
        In bins.
    height : float32 array, (peaks,)
    """
    position = np.empty(rows.shape[0] * (last - first), np.float64)
    height = np.empty(rows.shape[0] * (last - first), np.float32)
    found = 0
    for t in range(rows.shape[0]):
        row = rows[t]
        floor = np.float32(np.float32(threshold) * row.max())
        for k in range(first, last):
            before, here, after = row[k - 1], row[k], row[k + 1]
            # Values under the floor count as zero, hence never as a higher neighbour.
            if here <= floor or here <= before or here < after:
                continue
            curvature = np.float64(after + before) - 2.0 * here
            slope = np.float64(after - before) / 2.0
            shift = np.float32(0)
            if abs(slope) < abs(curvature):
                shift = np.float32(-slope / curvature)
            position[found] = k + np.float64(shift)
            gradient = np.float32((after - before) / np.float32(2))
            height[found] = here + np.float32(np.float32(0.5) * gradient) * shift
            found += 1
    return position[:found].copy(), height[:found].copy()
