"""Two results on the same actors, compared draw by draw of a bootstrap over those actors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.metrics import N_DRAWS, Scores, interval_of, resampled, uar

Difference = tuple[float | None, tuple[float, float] | None]
"""A difference and its 95 % interval, each None where nothing defines it."""


def paired_differences(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    score: Callable[[npt.NDArray[Any]], Scores],
    seed: int = 0,
    n_draws: int = N_DRAWS,
) -> list[Difference]:
    """Second minus first, with percentile 95 % intervals from the same draws of actors for both.

    What makes an actor easy or hard for both results falls out of the difference, so its interval
    is narrower than the two of the results themselves (Efron & Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 8).

    Parameters
    ----------
    first, second : (n_actors, k, k) arrays
        Confusion counts of the same actors, in the same order.
    score : callable
        Takes (..., k, k) counts to (...) or (..., m) scores.
    seed : int
        Fixes the draws.
    n_draws : int
        Number of draws.

    Returns
    -------
    list of (difference, interval)
        One for each score. No interval with fewer than two actors.

    Examples
    --------
    >>> worse, better = np.array([[[2, 2], [1, 3]]] * 4), np.array([[[3, 1], [1, 3]]] * 4)
    >>> paired_differences(worse, better, uar)
    [(0.125, (0.125, 0.125))]
    """
    both = np.stack([first, second], axis=1)
    total = np.atleast_2d(score(both.sum(axis=0)).T).T
    found = total[1] - total[0]
    if len(both) < 2:
        return [(_defined(value), None) for value in found]
    drawn = score(resampled(both, seed, n_draws)).reshape(n_draws, 2, -1)
    changes = drawn[:, 1] - drawn[:, 0]
    return [
        (_defined(value), None if np.isnan(value) else interval_of(change))
        for value, change in zip(found, changes.T, strict=True)
    ]


def leakage(
    honest: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    leaky: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    seed: int = 0,
) -> dict[str, Any]:
    """How much a leaky protocol flatters: its UAR minus that of a speaker-independent one.

    Parameters
    ----------
    honest, leaky : (actors, counts)
        What :func:`emodask.evaluation.metrics.actor_confusions` gives for each protocol.
    seed : int
        Fixes the bootstrap's draws.

    Returns
    -------
    dict
        ``difference`` in [-1, 1] and ``ci95`` (``[low, high]``, or None with fewer than two
        actors).

    Examples
    --------
    >>> people = np.array([1, 2])
    >>> counts = np.array([[[2, 2], [2, 2]]] * 2)
    >>> leakage((people, counts), (people, np.array([[[3, 1], [1, 3]]] * 2)))
    {'difference': 0.25, 'ci95': [0.25, 0.25]}
    """
    people = np.union1d(honest[0], leaky[0])

    def placed(actors: npt.NDArray[Any], counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
        everybody = np.zeros((len(people), *counts.shape[1:]), counts.dtype)
        everybody[np.searchsorted(people, actors)] = counts
        return everybody

    ((difference, interval),) = paired_differences(placed(*honest), placed(*leaky), uar, seed)
    return {"difference": difference, "ci95": None if interval is None else list(interval)}


def _defined(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
