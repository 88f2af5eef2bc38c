"""Functionals: statistics that turn curves of any length into as many numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from emodask.features.voice.short_time import Doubles

PERCENTILES = (5, 25, 50, 75, 95)
FUNCTIONALS = (
    *("mean", "deviation", *(f"percentile_{q}" for q in PERCENTILES)),
    *("range_5_95", "range_25_75", "skewness", "kurtosis", "slope", "curvature"),
    *("mean_step", "deviation_step"),
)
RUNS = ("count", "mean", "deviation", "longest", "median")


def functionals(curves: Doubles) -> Doubles:
    """Fifteen statistics of each curve over its frames.

    Parameters
    ----------
    curves : float64 array, (frames, curves)
        Fewer than three frames are repeated, so that every statistic exists.

    Returns
    -------
    float64 array, (15, curves)
        In the order of `FUNCTIONALS`. Slope and curvature are coefficients of the least-squares
        line and parabola over time from -1 to 1; those of steps are of differences between frames.

    Examples
    --------
    >>> found = dict(zip(FUNCTIONALS, functionals(np.arange(101.0)[:, None])[:, 0].round(6)))
    >>> found["mean"], found["range_5_95"], found["slope"], found["mean_step"]
    (np.float64(50.0), np.float64(90.0), np.float64(50.0), np.float64(1.0))
    """
    if len(curves) < 3:
        curves = np.repeat(curves, 3, axis=0)
    percentiles = np.percentile(curves, PERCENTILES, axis=0)
    mean, deviation = curves.mean(axis=0), curves.std(axis=0)
    centred = curves - mean
    time = np.linspace(-1, 1, len(curves))
    bend = time**2 - (time**2).mean()
    steps = np.diff(curves, axis=0)
    # Of a curve that does not vary, shape would be a ratio of rounding errors.
    varies = deviation > 1e-9 * (np.abs(mean) + 1e-9)
    scores = np.divide(centred, deviation, out=np.zeros_like(centred), where=varies)
    rows = [
        mean,
        deviation,
        *percentiles,
        percentiles[4] - percentiles[0],
        percentiles[3] - percentiles[1],
        (scores**3).mean(axis=0),
        np.where(varies, (scores**4).mean(axis=0) - 3, 0.0),
        np.einsum("t,tc->c", time, centred) / (time**2).sum(),
        np.einsum("t,tc->c", bend, centred) / (bend**2).sum(),
        np.abs(steps).mean(axis=0),
        steps.std(axis=0),
    ]
    return np.stack(rows)


def runs(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Lengths of the unbroken runs of True.

    Examples
    --------
    >>> runs(np.array([True, True, False, True])).tolist()
    [2, 1]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return edges[1::2] - edges[::2]


def of_runs(lengths: npt.NDArray[np.intp]) -> list[float]:
    """How many runs, and their lengths' mean, deviation, largest and median; zeros for none."""
    if not len(lengths):
        return [0.0] * len(RUNS)
    return [
        float(len(lengths)),
        float(lengths.mean()),
        float(lengths.std()),
        float(lengths.max()),
        float(np.median(lengths)),
    ]


def log_covariance(curves: Doubles, floor: float = 1e-3) -> Doubles:
    """Matrix logarithm of the covariance of curves: its upper triangle, row by row.

    Covariances do not form a linear space, their logarithms do: Arsigny et al., "Log-Euclidean
    metrics for fast and simple calculus on diffusion tensors", Magnetic Resonance in Medicine 56
    (2006).

    Parameters
    ----------
    curves : float64 array, (frames, curves)
    floor : float
        Added to the variances, so that the logarithm exists.

    Returns
    -------
    float64 array, (curves * (curves + 1) / 2,)

    Examples
    --------
    >>> log_covariance(np.array([[1.0, 0.0], [-1.0, 0.0]]), floor=1.0).round(3)
    array([0.693, 0.   , 0.   ])
    """
    centred = curves - curves.mean(axis=0)
    covariance = np.einsum("ti,tj->ij", centred, centred) / len(curves)
    values, vectors = np.linalg.eigh(covariance + floor * np.eye(len(covariance)))
    logarithm = (vectors * np.log(values)) @ vectors.T
    triangle: Doubles = logarithm[np.triu_indices(len(logarithm))]
    return triangle


def contour(curves: Doubles, points: int) -> Doubles:
    """Curves at equally spaced points from the first frame to the last, smoothed before.

    Parameters
    ----------
    curves : float64 array, (frames, curves)
    points : int

    Returns
    -------
    float64 array, (points, curves)

    Examples
    --------
    >>> contour(np.linspace(0, 8, 9)[:, None], 3)[1]
    array([4.])
    """
    smooth = gaussian_filter1d(curves, len(curves) / points / 2, axis=0)
    at = np.linspace(0, len(curves) - 1, points)
    frames = np.arange(len(curves))
    return np.stack([np.interp(at, frames, curve) for curve in smooth.T], axis=1)
