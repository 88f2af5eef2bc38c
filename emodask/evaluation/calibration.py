"""Calibration: whether a model that says 80 % is right eight times in ten."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

N_BINS = 10


def calibration(
    right: npt.ArrayLike, confidence: npt.ArrayLike, n_bins: int = N_BINS
) -> dict[str, Any]:
    r"""Expected calibration error and the bins of the reliability diagram.

    Clips are put into bins of equal width by the probability of their verdict, and
    :math:`ECE = \sum_m \frac{|B_m|}{n} |acc(B_m) - conf(B_m)|` (Guo, Pleiss, Sun & Weinberger, On
    Calibration of Modern Neural Networks, ICML 2017, equation 3, with bins
    :math:`(\frac{m-1}{M}, \frac{m}{M}]`).

    Parameters
    ----------
    right : (n,) bool array
        Whether the verdict was the true emotion.
    confidence : (n,) float array
        Probability that the model gave its verdict, in [0, 1].
    n_bins : int
        Number of bins, M.

    Returns
    -------
    dict
        ``ece`` in [0, 1], ``confidence`` and ``accuracy`` (the means of all clips), and ``bins``:
        ``low``, ``high``, ``clips``, and the mean ``confidence`` and ``accuracy`` of its clips,
        None in an empty one.

    Examples
    --------
    >>> found = calibration([True, True, False, True], [0.9, 0.9, 0.9, 0.9])
    >>> round(found["ece"], 3), found["bins"][8]["clips"]
    (0.15, 4)
    """
    hits = np.asarray(right, dtype=np.float64)
    stated = np.asarray(confidence, dtype=np.float64)
    # Probabilities are kept with 6 digits: 0.3 belongs to the bin that ends there, however it
    # is rounded.
    upper = np.ceil(np.round(stated * n_bins, 9)).astype(np.intp)
    bins = np.clip(upper - 1, 0, n_bins - 1)
    clips = np.bincount(bins, minlength=n_bins)
    accuracy = np.bincount(bins, hits, n_bins) / np.maximum(clips, 1)
    mean = np.bincount(bins, stated, n_bins) / np.maximum(clips, 1)
    return {
        "ece": float((clips * np.abs(accuracy - mean)).sum() / len(hits)),
        "confidence": float(stated.mean()),
        "accuracy": float(hits.mean()),
        "bins": [
            {
                "low": m / n_bins,
                "high": (m + 1) / n_bins,
                "clips": int(clips[m]),
                "confidence": float(mean[m]) if clips[m] else None,
                "accuracy": float(accuracy[m]) if clips[m] else None,
            }
            for m in range(n_bins)
        ],
    }
