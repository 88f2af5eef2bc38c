"""Metrics of predicted emotions: UAR, accuracy, macro F1, their intervals over actors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import CODES
from emodask.errors import EvaluationError

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

N_DRAWS = 2000
CONFIDENCE = 0.95


def _positions(codes: npt.ArrayLike, emotions: Sequence[str], what: str) -> npt.NDArray[np.intp]:
    """Where each code stands in the list of emotions."""
    if unknown := [name for name in emotions if name not in CODES]:
        raise EvaluationError(f"unknown emotions {unknown}; there are {', '.join(CODES)}")
    given = np.asarray(codes, dtype=np.int64)
    listed = np.array([CODES[name] for name in emotions], dtype=np.int64)
    order = np.argsort(listed)
    place = np.minimum(np.searchsorted(listed[order], given), len(listed) - 1)
    found: npt.NDArray[np.intp] = order[place]
    strange = np.unique(given[listed[found] != given])
    if len(strange):
        raise EvaluationError(
            f"{what} codes {strange.tolist()} are none of the evaluated emotions "
            + ", ".join(f"{CODES[name]} {name}" for name in emotions)
        )
    return found


def actor_confusions(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    actors: npt.ArrayLike,
    emotions: Sequence[str],
) -> tuple[npt.NDArray[Any], Counts]:
    """Count clips by actor, true emotion and predicted emotion.

    Parameters
    ----------
    true, predicted : (n,) int arrays
        RAVDESS emotion codes.
    actors : (n,) int array
        Actor code of each clip.
    emotions : sequence of k str
        Names of the emotions evaluated; they order rows and columns.

    Returns
    -------
    actors : (n_actors,) array
        Those who are present, ascending.
    counts : (n_actors, k, k) int64 array
        The confusion matrix of each.

    Raises
    ------
    EvaluationError
        For no clips, arrays of different lengths, or a code that is none of ``emotions``.

    Examples
    --------
    >>> people, counts = actor_confusions([3, 5, 3], [3, 3, 3], [7, 7, 9], ["happy", "angry"])
    >>> people.tolist(), counts.tolist()
    ([7, 9], [[[1, 0], [1, 0]], [[1, 0], [0, 0]]])
    """
    shapes = [np.shape(a) for a in (true, predicted, actors)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise EvaluationError(
            "true codes, predicted codes and actors must be one per clip; their shapes are "
            + ", ".join(map(str, shapes))
        )
    if not shapes[0][0] or not len(emotions):
        raise EvaluationError(
            f"metrics need at least one clip and one emotion; there are {shapes[0][0]} clips "
            f"and {len(emotions)} emotions"
        )
    rows = _positions(true, emotions, "true")
    columns = _positions(predicted, emotions, "predicted")
    present, actor = np.unique(np.asarray(actors), return_inverse=True)
    counts = np.zeros((len(present), len(emotions), len(emotions)), dtype=np.int64)
    np.add.at(counts, (actor, rows, columns), 1)
    return present, counts


def confusion_matrix(
    true: npt.ArrayLike, predicted: npt.ArrayLike, emotions: Sequence[str]
) -> Counts:
    """Count clips by true emotion (row) and predicted emotion (column).

    Parameters
    ----------
    true, predicted : (n,) int arrays
        RAVDESS emotion codes.
    emotions : sequence of str
        Names of the emotions evaluated; they order rows and columns.

    Returns
    -------
    (k, k) int64 array

    Raises
    ------
    EvaluationError
        For a code that is none of ``emotions``, or no clips.

    Examples
    --------
    >>> confusion_matrix([3, 3, 5], [3, 5, 5], ["happy", "angry"]).tolist()
    [[1, 1], [0, 1]]
    """
    return actor_confusions(true, predicted, np.zeros(np.shape(true)), emotions)[1].sum(axis=0)


def _ratio(numerator: Any, denominator: Any) -> Scores:
    """Quotient with NaN where there is nothing to divide by."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _diagonal(confusion: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def recall(confusion: npt.NDArray[Any]) -> Scores:
    """Share of each true emotion that was recognised: (..., k, k) to (..., k), NaN without clips.

    Examples
    --------
    >>> recall(np.array([[1, 1], [0, 1]])).tolist()
    [0.5, 1.0]
    """
    return _ratio(_diagonal(confusion), confusion.sum(axis=-1))


def precision(confusion: npt.NDArray[Any]) -> Scores:
    """Share of each predicted emotion that was true: (..., k, k) to (..., k), NaN if unpredicted.

    Examples
    --------
    >>> precision(np.array([[1, 1], [0, 1]])).tolist()
    [1.0, 0.5]
    """
    return _ratio(_diagonal(confusion), confusion.sum(axis=-2))


def f1(confusion: npt.NDArray[Any]) -> Scores:
    """Harmonic mean of precision and recall, 2 TP / (true + predicted): (..., k, k) to (..., k).

    Examples
    --------
    >>> f1(np.array([[1, 1], [0, 2]])).round(3).tolist()
    [0.667, 0.8]
    """
    return _ratio(2 * _diagonal(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def _mean_of_defined(scores: Scores) -> Scores:
    defined = ~np.isnan(scores)
    return _ratio(np.where(defined, scores, 0).sum(axis=-1), defined.sum(axis=-1))


def uar(confusion: npt.NDArray[Any]) -> Scores:
    """Unweighted average recall: the mean recall of the emotions that occur in truth.

    Parameters
    ----------
    confusion : (..., k, k) array
        Counts, rows true.

    Returns
    -------
    (...) float64 array
        In [0, 1]; the value of scikit-learn's ``balanced_accuracy_score``.

    Examples
    --------
    >>> float(uar(np.array([[8, 0], [1, 1]])))
    0.75
    """
    return _mean_of_defined(recall(confusion))


def accuracy(confusion: npt.NDArray[Any]) -> Scores:
    """Share of clips recognised: (..., k, k) to (...).

    Examples
    --------
    >>> float(accuracy(np.array([[8, 0], [1, 1]])))
    0.9
    """
    return _ratio(_diagonal(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def macro_f1(confusion: npt.NDArray[Any]) -> Scores:
    """Mean F1 of the emotions that occur in truth or prediction: (..., k, k) to (...).

    Examples
    --------
    >>> round(float(macro_f1(np.array([[1, 1], [0, 2]]))), 3)
    0.733
    """
    return _mean_of_defined(f1(confusion))


METRICS: dict[str, Callable[[npt.NDArray[Any]], Scores]] = {
    "uar": uar,
    "accuracy": accuracy,
    "macro_f1": macro_f1,
}


def resampled(
    actor_counts: npt.NDArray[Any], seed: int = 0, n_draws: int = N_DRAWS
) -> npt.NDArray[Any]:
    """Pool the counts of actors drawn with replacement: (n_actors, ...) to (n_draws, ...).

    Each draw takes as many actors as there are. Drawing actors is a multinomial weighting of
    them, hence one matrix product for all draws. The same seed and number of actors give the same
    draws: two systems on the same actors are compared draw by draw.
    """
    n_actors = len(actor_counts)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_actors, np.full(n_actors, 1 / n_actors), size=n_draws)
    return np.tensordot(weights, actor_counts, axes=1)


def interval_of(draws: npt.NDArray[Any]) -> tuple[float, float] | None:
    """Percentile 95 % interval of draws, ignoring undefined ones; None if all are.

    Examples
    --------
    >>> interval_of(np.array([0.5, np.nan, 0.5]))
    (0.5, 0.5)
    """
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_intervals(
    actor_counts: npt.NDArray[Any], seed: int = 0, n_draws: int = N_DRAWS
) -> dict[str, tuple[float, float] | None]:
    """Percentile 95 % intervals by bootstrap over actors (Efron, Ann. Statist. 7:1, 1979).

    Clips of one actor are not independent, so actors are drawn, not clips: each draw takes as
    many actors as there are, with replacement, and pools their confusion counts.

    Parameters
    ----------
    actor_counts : (n_actors, k, k) array
        Confusion counts of each actor.
    seed : int
        Fixes the draws.
    n_draws : int
        Number of draws.

    Returns
    -------
    dict
        ``(low, high)`` per name of :data:`METRICS`; None with fewer than two actors, from which
        nothing about other people can be said.

    Examples
    --------
    >>> same = np.array([[[3, 1], [1, 3]]] * 4)
    >>> bootstrap_intervals(same)["uar"]
    (0.75, 0.75)
    >>> bootstrap_intervals(same[:1])["uar"] is None
    True
    """
    if len(actor_counts) < 2:
        return dict.fromkeys(METRICS)
    pooled = resampled(actor_counts, seed, n_draws)
    return {name: interval_of(metric(pooled)) for name, metric in METRICS.items()}


def _json_float(value: Any) -> float | None:
    """Plain float, with None for NaN: JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def summarise(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    actors: npt.ArrayLike,
    emotions: Sequence[str],
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that ``metrics.json`` says of one model under one protocol.

    Parameters
    ----------
    true, predicted : (n,) int arrays
        RAVDESS emotion codes of the tested clips, pooled over folds.
    actors : (n,) int array
        Actor code of each clip.
    emotions : sequence of str
        Names of the emotions evaluated; they order the confusion matrix.
    seed : int
        Fixes the bootstrap's draws.

    Returns
    -------
    dict
        ``uar``, ``accuracy``, ``macro_f1``, each with ``..._ci95`` (``[low, high]`` or None),
        ``per_emotion``, ``per_actor`` and ``confusion``, of plain Python numbers. A precision,
        recall or F1 that nothing defines is None.

    Raises
    ------
    EvaluationError
        For no clips, arrays of different lengths, or a code that is none of ``emotions``.

    Examples
    --------
    >>> found = summarise([3, 5, 3, 5], [3, 5, 3, 3], [1, 1, 2, 2], ["happy", "angry"])
    >>> found["uar"], found["per_emotion"]["angry"]["recall"], found["confusion"]
    (0.75, 0.5, [[2, 0], [1, 1]])
    """
    people, counts = actor_confusions(true, predicted, actors, emotions)
    confusion = counts.sum(axis=0)
    intervals = bootstrap_intervals(counts, seed)
    summary: dict[str, Any] = {}
    for name, metric in METRICS.items():
        interval = intervals[name]
        summary[name] = float(metric(confusion))
        summary[f"{name}_ci95"] = None if interval is None else list(interval)
    columns = zip(
        emotions,
        precision(confusion),
        recall(confusion),
        f1(confusion),
        confusion.sum(axis=1),
        strict=True,
    )
    summary["per_emotion"] = {
        name: {
            "precision": _json_float(p),
            "recall": _json_float(r),
            "f1": _json_float(f),
            "support": int(support),
        }
        for name, p, r, f, support in columns
    }
    summary["per_actor"] = {
        str(actor): {"uar": float(u), "accuracy": float(a), "clips": int(clips)}
        for actor, u, a, clips in zip(
            people, uar(counts), accuracy(counts), counts.sum(axis=(1, 2)), strict=True
        )
    }
    summary["confusion"] = confusion.tolist()
    return summary
