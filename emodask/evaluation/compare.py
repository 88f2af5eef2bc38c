"""Two runs on the same clips: whether one is better, and by how much, actor by actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import CODES, emotion_name
from emodask.errors import EvaluationError, UsageError
from emodask.evaluation.metrics import accuracy, recall, uar
from emodask.evaluation.outcome import HONEST, Outcome
from emodask.evaluation.paired import Difference, paired_differences
from emodask.evaluation.results import Interval
from emodask.evaluation.run_files import RunFiles, open_run
from emodask.sources.location import StorageOptions

COMMON_HINT = "--common compares on those"
"""How a refusal of other clips ends: what the command line can do about it."""


@dataclass(frozen=True)
class Change:
    """One score of both runs, in [0, 1], and what the second has more.

    Attributes
    ----------
    a, b : float or None
        Of the first and the second run; None where nothing defines it.
    difference : float or None
        ``b - a``.
    ci95 : (float, float) or None
        Its interval, by a paired bootstrap over actors.
    """

    a: float | None
    b: float | None
    difference: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class McNemar:
    """Clips by who is right, and the exact test of the discordant ones.

    Attributes
    ----------
    both, only_a, only_b, neither : int
        Clips that both, one or none recognised.
    p_value : float
        Two-sided, of ``only_b`` among the discordant clips under a fair coin; 1 without any.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same clips.

    Attributes
    ----------
    run_a, run_b, model_a, model_b, protocol : str
        What is compared.
    speaker_independent : bool
        Whether the protocol never tests people it trained on, in both runs.
    n_clips, n_actors : int
        Clips and actors that both were tested on.
    uar, accuracy : Change
    mcnemar : McNemar
    recall : dict of str to Change
        By true emotion.
    notes : tuple of str
        What to know before believing it: clips left out, other choices of models.
    """

    run_a: str
    run_b: str
    model_a: str
    model_b: str
    protocol: str
    speaker_independent: bool
    n_clips: int
    n_actors: int
    uar: Change
    accuracy: Change
    mcnemar: McNemar
    recall: dict[str, Change]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def compare(
    run_a: str | Path,
    run_b: str | Path,
    *,
    protocol: str = HONEST,
    model: str | None = None,
    common: bool = False,
    seed: int = 0,
    storage_options: StorageOptions | None = None,
) -> Comparison:
    """Compare two runs on the same clips.

    Differences are second minus first. Their intervals draw whole actors with replacement, the
    same ones for both runs. McNemar's test (Psychometrika 12:2, 1947) is the exact one: binomial,
    on the clips that one of the two alone recognised. It takes clips for independent, which those
    of one actor are not: where the two disagree, believe the interval.

    Parameters
    ----------
    run_a, run_b : str or Path
        What :func:`emodask.run` had as ``out``, or :func:`emodask.evaluate` as ``report``: folders
        or fsspec URLs. The same run twice compares two of its models.
    protocol : str
        One that both ran.
    model : str, optional
        ``"A:B"``, the model of each run, or one name for both; by default the first of each.
    common : bool
        Compare on the clips that both tested with the same label; else other clips are refused.
    seed : int
        Fixes the bootstrap's draws.
    storage_options : mapping, optional
        For fsspec.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If a folder holds no run, or a protocol or model is not in it, or the clips or labels
        differ.
    EvaluationError
        If a file of a run cannot be read, or the two have no clip in common.
    """
    runs = open_run(run_a, storage_options), open_run(run_b, storage_options)
    _check_protocol(runs, protocol)
    by_model = [run.outcomes(protocol) for run in runs]
    names = _models(runs, by_model, protocol, model)
    first, second = (found[name] for found, name in zip(by_model, names, strict=True))
    notes = []
    if model is None:
        for run, found, name in zip(runs, by_model, names, strict=True):
            if len(found) > 1:
                notes.append(f"{name} is the first model of {run.name}; it has {', '.join(found)}")
    first, second, left_out = _aligned(first, second, runs, common)
    notes += left_out
    if first.emotions != second.emotions:
        notes.append(
            f"the models chose among other emotions: {', '.join(first.emotions)}; and "
            f"{', '.join(second.emotions)}"
        )
    people = np.unique(first.actor)
    if len(people) < 2:
        notes.append("one actor says nothing of other people: there are no intervals")
    return Comparison(
        run_a=runs[0].name,
        run_b=runs[1].name,
        model_a=names[0],
        model_b=names[1],
        protocol=protocol,
        speaker_independent=all(
            run.metrics["protocols"][protocol]["speaker_independent"] for run in runs
        ),
        n_clips=len(first),
        n_actors=len(people),
        **_changes(first, second, seed),
        mcnemar=mcnemar(first.right, second.right),
        notes=tuple(notes),
    )


def mcnemar(right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> McNemar:
    """Exact McNemar test of two systems on the same clips.

    Parameters
    ----------
    right_a, right_b : (n,) bool arrays
        Whether each recognised each clip.

    Examples
    --------
    >>> mcnemar([True, True, False, False, False], [True, False, True, True, True]).p_value
    0.625
    """
    from scipy.stats import binomtest

    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    p_value = float(binomtest(only_b, discordant).pvalue) if discordant else 1.0
    return McNemar(int((a & b).sum()), only_a, only_b, int((~a & ~b).sum()), p_value)


def _check_protocol(runs: tuple[RunFiles, RunFiles], protocol: str) -> None:
    ran = [
        [name for name, entry in run.metrics["protocols"].items() if entry.get("models")]
        for run in runs
    ]
    both = [name for name in ran[0] if name in ran[1]]
    for run, names in zip(runs, ran, strict=True):
        if protocol not in names:
            raise UsageError(
                f"{run.folder.address}: did not run protocol {protocol!r}, but "
                f"{', '.join(names) or 'none'}; both ran {', '.join(both) or 'none'}"
            )


def _models(
    runs: tuple[RunFiles, RunFiles],
    by_model: list[dict[str, Outcome]],
    protocol: str,
    model: str | None,
) -> tuple[str, str]:
    for run, found in zip(runs, by_model, strict=True):
        if not found:
            raise EvaluationError(
                f"{run.folder.address}/predictions.csv: no predictions under {protocol}"
            )
    if model is None:
        first, second = (
            next((m for m in run.metrics["protocols"][protocol]["models"] if m in found), "")
            or next(iter(found))
            for run, found in zip(runs, by_model, strict=True)
        )
    else:
        first, colon, second = model.partition(":")
        second = second if colon else first
    for run, found, name in zip(runs, by_model, (first, second), strict=True):
        if name not in found:
            raise UsageError(
                f"{run.folder.address}: no model {name!r} under {protocol}; it has "
                f"{', '.join(found)}. --model A:B names one of each run"
            )
    return first, second


def _aligned(
    first: Outcome, second: Outcome, runs: tuple[RunFiles, RunFiles], common: bool
) -> tuple[Outcome, Outcome, list[str]]:
    """Both on the same clips in the same order, and what was left out for that."""
    _, at_a, at_b = np.intersect1d(
        first.clip_id, second.clip_id, assume_unique=True, return_indices=True
    )
    same = (first.true[at_a] == second.true[at_b]) & (first.actor[at_a] == second.actor[at_b])
    differ = []
    for run, outcome in zip(runs, (first, second), strict=True):
        if alone := len(outcome) - len(at_a):
            differ.append(f"{_clips(alone)} of {run.name} {_are(alone)} not in the other")
    if unlike := int((~same).sum()):
        example = at_a[np.flatnonzero(~same)[0]]
        differ.append(
            f"{_clips(unlike)} {_have(unlike)} another emotion or actor in the other "
            f"(such as {first.clip_id[example]})"
        )
    if differ and not common:
        raise UsageError(
            f"the runs were not tested on the same clips: {'; '.join(differ)}; "
            f"{_clips(int(same.sum()))} {_are(int(same.sum()))} the same; "
            f"{COMMON_HINT}"
        )
    if not same.any():
        raise EvaluationError(f"the runs have no clip in common: {'; '.join(differ)}")
    kept = first.take(at_a[same]), second.take(at_b[same])
    return *kept, [f"left out: {part}" for part in differ]


def _changes(first: Outcome, second: Outcome, seed: int) -> dict[str, Any]:
    named = {*first.emotions, *second.emotions}
    emotions = [name for name in CODES if name in named]
    (_, a), (_, b) = first.counts(emotions), second.counts(emotions)
    totals = a.sum(axis=0), b.sum(axis=0)

    def changes(score: Any) -> list[Change]:
        scores = (np.atleast_1d(score(total)) for total in totals)
        found = paired_differences(a, b, score, seed)
        return [_change(x, y, one) for x, y, one in zip(*scores, found, strict=True)]

    tested = {emotion_name(int(code)) for code in np.unique(first.true)}
    by_emotion: Mapping[str, Change] = dict(zip(emotions, changes(recall), strict=True))
    return {
        "uar": changes(uar)[0],
        "accuracy": changes(accuracy)[0],
        "recall": {name: change for name, change in by_emotion.items() if name in tested},
    }


def _change(a: Any, b: Any, difference: Difference) -> Change:
    def plain(value: Any) -> float | None:
        return None if np.isnan(value) else float(value)

    return Change(plain(a), plain(b), *difference)


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
