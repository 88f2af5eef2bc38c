"""How long a run took, and what took it: extraction by step, reductions, models, the whole."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emodask.evaluation.folds import Prediction, ReducedFolds
from emodask.store import Status, StoreAddress, open_group, stored_array

if TYPE_CHECKING:
    from emodask.extraction import ExtractSummary

STEPS = {"reading": "fetching", "other": "handing over, waiting"}
"""What steps of an extraction are called on the page, where not by their names."""
_DIGITS = 3


@dataclass(frozen=True)
class Timing:
    """One line of the table: what, how many of it, wall and task time, and what a piece took.

    Attributes
    ----------
    what, extent : str
    wall, task : float or None
        Seconds: from its start to its end; and summed over the tasks that ran side by side.
    piece : str
        Task time of a clip on average, or of the median fold, in words.
    inner : bool
        Whether it is a part of a line above.
    """

    what: str
    extent: str = ""
    wall: float | None = None
    task: float | None = None
    piece: str = ""
    inner: bool = False


def extraction_times(
    address: StoreAddress, summary: ExtractSummary | None = None
) -> dict[str, Any]:
    """What the clips of a store took, and the run that has just computed some of them.

    Parameters
    ----------
    address : StoreAddress
    summary : ExtractSummary, optional
        Of that run; the steps are known of it alone.

    Returns
    -------
    dict
        ``clips`` and ``task_seconds``, the wall time of each in the thread that computed it, from
        the store, whatever runs have computed them; and, of the run, ``computed``,
        ``wall_seconds`` and ``steps``.
    """
    group = open_group(address)
    tried = np.asarray(stored_array(group, "status")[:]) != Status.PENDING
    seconds = np.asarray(stored_array(group, "seconds")[:], np.float64)[tried]
    found: dict[str, Any] = {
        "clips": int(tried.sum()),
        "task_seconds": round(float(seconds.sum()), _DIGITS),
    }
    if summary is not None and summary.computed:
        found["computed"] = summary.computed
        found["wall_seconds"] = round(summary.seconds, _DIGITS)
        found["steps"] = dict(summary.steps)
    return found


def evaluation_times(
    reduced: Sequence[ReducedFolds],
    predictions: Sequence[Prediction],
    threads: int,
    fold_seconds: float,
) -> dict[str, Any]:
    """What reductions and models took.

    Parameters
    ----------
    reduced : sequence of ReducedFolds
    predictions : sequence of Prediction
    threads : int
        How many tasks can run at once.
    fold_seconds : float
        Wall time of all folds together, their reductions' fits included.

    Returns
    -------
    dict
        ``threads``; ``folds``: ``wall_seconds``; ``reductions``: by feature ``fits``, ``passes``
        and ``wall_seconds``; ``models``: by protocol and model ``folds``, ``task_seconds`` and
        ``median_seconds``.
    """
    reductions: dict[str, dict[str, Any]] = {}
    for one in reduced:
        sums = reductions.setdefault(one.feature, {"fits": 0, "passes": 0, "wall_seconds": 0.0})
        sums["fits"] += len(one.tasks)
        sums["passes"] += one.passes
        sums["wall_seconds"] = round(sums["wall_seconds"] + one.seconds, _DIGITS)
    by_model: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for prediction in predictions:
        by_model[prediction.protocol][prediction.model].append(prediction.seconds)
    return {
        "threads": threads,
        "folds": {"wall_seconds": round(fold_seconds, _DIGITS)},
        "reductions": reductions,
        "models": {
            protocol: {
                model: {
                    "folds": len(seconds),
                    "task_seconds": round(sum(seconds), _DIGITS),
                    "median_seconds": round(statistics.median(seconds), _DIGITS),
                }
                for model, seconds in models.items()
            }
            for protocol, models in by_model.items()
        },
    }


def timing_lines(metrics: Mapping[str, Any]) -> list[Timing]:
    """The lines of the report's table; none of a run that has no ``timings``.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.

    Examples
    --------
    >>> models = {"loso": {"svc": {"folds": 2, "task_seconds": 3.0, "median_seconds": 1.5}}}
    >>> [(line.what, line.extent) for line in timing_lines({"timings": {"models": models}})]
    [('Fitting and testing svc, loso', '2 folds')]
    """
    timings = metrics.get("timings") or {}
    lines = []
    if extraction := timings.get("extraction"):
        lines += _extraction_lines(extraction)
    for feature, one in (timings.get("reductions") or {}).items():
        passes, fits = one["passes"], one["fits"]
        extent = f"{_counted(fits, 'fit')}, {_counted(passes, 'pass', 'es')} over the store"
        lines.append(Timing(f"Fitting the reduction of {feature}", extent, one["wall_seconds"]))
    if folds := timings.get("folds"):
        lines.append(Timing("All folds, reductions included", "", folds["wall_seconds"]))
    for protocol, models in (timings.get("models") or {}).items():
        for model, one in models.items():
            entry = (metrics.get("protocols") or {}).get(protocol) or {}
            searched = ((entry.get("models") or {}).get(model) or {}).get("search")
            lines.append(
                Timing(
                    f"Fitting and testing {model}, {protocol}",
                    _counted(one["folds"], "fold") + (", trials left out" if searched else ""),
                    None,
                    one["task_seconds"],
                    f"{duration(one['median_seconds'])} a fold",
                    inner=bool(folds),
                )
            )
    if (whole := timings.get("wall_seconds")) is not None:
        lines.append(Timing("The evaluation, without this page", "", whole))
    return lines


def charged_trainings(metrics: Mapping[str, Any]) -> list[str]:
    """Which lines of the table hold the training of models below theirs, in sentences.

    A model is trained when the first one needs it that reads it, and charged to that one's time.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.

    Examples
    --------
    >>> models = {"late": {"embeddings": ["voice"]}, "linear": {"embeddings": ["voice"]}}
    >>> charged_trainings({"job": {"models": {**models, "voice": {}}}})
    ['The time of late holds the training of voice.']
    """
    models = (metrics.get("job") or {}).get("models") or {}
    trained: dict[str, None] = {}

    def train(name: str) -> None:
        for below in (*models[name].get("members", ()), *models[name].get("embeddings", ())):
            if below not in trained:
                train(below)
        trained[name] = None

    sentences = []
    for name in models:
        if name in trained:
            continue
        before = len(trained)
        train(name)
        below = list(trained)[before:-1]
        if below:
            listed = " and ".join([", ".join(below[:-1]), below[-1]] if below[1:] else below)
            sentences.append(f"The time of {name} holds the training of {listed}.")
    return sentences


def _extraction_lines(extraction: Mapping[str, Any]) -> list[Timing]:
    clips, task = extraction["clips"], extraction["task_seconds"]
    each = f"{duration(task / clips)} a clip" if clips else ""
    lines = [Timing("Computing the features", _counted(clips, "clip"), None, task, each)]
    if computed := extraction.get("computed"):
        if computed == clips:
            lines = [Timing(lines[0].what, lines[0].extent, extraction["wall_seconds"], task, each)]
        else:
            extent = f"{_counted(computed, 'clip')} of them"
            lines.append(Timing("The last run", extent, extraction["wall_seconds"]))
        steps = extraction.get("steps") or {}
        whole = sum(steps.values())
        for step, seconds in sorted(steps.items(), key=lambda item: -item[1]):
            share = f"{100 * seconds / whole:.0f} % of task time" if whole else ""
            each = f"{duration(seconds / computed)} a clip"
            lines.append(Timing(STEPS.get(step, step), share, None, seconds, each, inner=True))
    return lines


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def duration(seconds: float | None) -> str:
    """Seconds in words short enough for a table.

    Examples
    --------
    >>> [duration(s) for s in (None, 0.0004, 0.25, 7.53, 75.2, 4000.0)]
    ['–', '< 1 ms', '250 ms', '7.5 s', '1 min 15 s', '1 h 6 min']
    """
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
