"""``metrics.json`` read for people: rows in the honest order, and the headline sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emodask.evaluation.adaptation import ADAPTED
from emodask.evaluation.controls import CONTROL
from emodask.evaluation.protocols import PROTOCOLS

Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One model under one protocol, or a protocol that did not run.

    Attributes
    ----------
    protocol, model : str
        Their names; ``model`` is empty where the protocol did not run.
    speaker_independent : bool
        Whether no tested actor was trained on.
    n_clips, n_actors : int or None
        What was tested.
    uar, accuracy, macro_f1 : float or None
        In [0, 1].
    uar_ci95 : (float, float) or None
        95 % interval of the UAR.
    features : tuple of str
        The feature families that the model hears and sees.
    chance : float or None
        UAR of guessing: one by the number of emotions that were tested.
    not_run : str
        Why the protocol did not run; else empty.
    """

    protocol: str
    speaker_independent: bool
    model: str = ""
    n_clips: int | None = None
    n_actors: int | None = None
    uar: float | None = None
    uar_ci95: Interval | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    features: tuple[str, ...] = ()
    chance: float | None = None
    not_run: str = ""

    @property
    def kind(self) -> str:
        """What sets the model apart: ``speaker-adapted``, ``control``, or nothing."""
        if self.model.endswith(ADAPTED):
            return "speaker-adapted"
        return "control" if self.model.endswith(CONTROL) else ""


def percent(value: float | None, unit: str = "") -> str:
    """Write a share as a percentage with one decimal; an undefined one as a dash.

    Examples
    --------
    >>> percent(0.494, " %"), percent(None)
    ('49.4 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}{unit}"


def interval_text(interval: Interval | None) -> str:
    """Write an interval as percentages without a unit; nothing for None.

    Examples
    --------
    >>> interval_text((0.451, 0.536))
    '45.1–53.6'
    """
    return "" if interval is None else "–".join(percent(v) for v in interval)


def ordered_protocols(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Protocols in the order reports show them: speaker-independent first, leaky last."""
    known = list(PROTOCOLS)

    def rank(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, int]:
        name, entry = item
        place = known.index(name) if name in known else len(known)
        return not entry["speaker_independent"], place

    return sorted(metrics["protocols"].items(), key=rank)


def _row(protocol: str, entry: Mapping[str, Any], model: str, summary: Mapping[str, Any]) -> Row:
    tested = sum(1 for scores in summary["per_emotion"].values() if scores["support"])
    interval = summary.get("uar_ci95")
    return Row(
        protocol=protocol,
        speaker_independent=bool(entry["speaker_independent"]),
        model=model,
        n_clips=entry.get("n_clips"),
        n_actors=entry.get("n_actors"),
        uar=summary["uar"],
        uar_ci95=None if interval is None else (interval[0], interval[1]),
        accuracy=summary["accuracy"],
        macro_f1=summary["macro_f1"],
        features=tuple(summary.get("features", ())),
        chance=1 / tested if tested else None,
    )


def rows(metrics: Mapping[str, Any]) -> list[Row]:
    """Every row of a report, best model first within a protocol.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.

    Returns
    -------
    list of Row
        Speaker-independent protocols before leaky ones; models before the speaker-adapted ones
        before controls, each by falling UAR.
    """
    found = []
    for name, entry in ordered_protocols(metrics):
        models = entry.get("models") or {}
        if not models:
            reason = entry.get("not_run", "no model was evaluated")
            found.append(Row(name, bool(entry["speaker_independent"]), not_run=reason))
            continue
        found += sorted(
            (_row(name, entry, model, summary) for model, summary in models.items()),
            key=lambda row: (
                row.model.endswith(CONTROL),
                row.model.endswith(ADAPTED),
                -(row.uar or 0),
            ),
        )
    return found


def headline_row(metrics: Mapping[str, Any]) -> Row | None:
    """Pick the row that stands for the system.

    That is the best model that never met the tested speakers, under ``loso`` or else the next
    speaker-independent protocol that ran; failing that, a speaker-adapted model's row. None
    where no speaker-independent protocol ran.
    """
    candidates = [
        row
        for row in rows(metrics)
        if row.speaker_independent and row.uar is not None and not row.model.endswith(CONTROL)
    ]
    return min(candidates, key=lambda row: row.model.endswith(ADAPTED), default=None)


def headline(metrics: Mapping[str, Any]) -> str:
    """State in one plain sentence what the system reaches on people it has never met.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.

    Returns
    -------
    str
        The speaker-independent UAR with its interval and chance, or that there is none.

    Examples
    --------
    >>> scores = {name: {"support": 4} for name in ("happy", "angry")}
    >>> summary = {"uar": 0.75, "uar_ci95": [0.6, 0.9], "accuracy": 0.75, "macro_f1": 0.7}
    >>> loso = {
    ...     "speaker_independent": True, "models": {"mlp": {**summary, "per_emotion": scores}}
    ... }
    >>> headline({"protocols": {"loso": loso}, "job": {"name": "demo"}})[:60]
    'On people it has never heard or seen, demo recognises 75.0 %'
    """
    name = job_name(metrics)
    row = headline_row(metrics)
    if row is None:
        return (
            f"How well {name} recognises emotions of people it has never heard or seen is not "
            "known: no speaker-independent protocol ran."
        )
    interval = f"; 95 % interval {interval_text(row.uar_ci95)}" if row.uar_ci95 else ""
    if row.model.endswith(ADAPTED):
        people = "On people whose labels it has never seen, after adapting to each,"
    else:
        people = "On people it has never heard or seen,"
    sentence = (
        f"{people} {name} recognises {percent(row.uar, ' %')} of emotions "
        f"(UAR, unweighted average recall{interval}); chance is {percent(row.chance, ' %')}."
    )
    if row.uar_ci95 and row.chance is not None and row.uar_ci95[0] <= row.chance:
        sentence += " That is not distinguishable from guessing."
    return sentence


def job_name(metrics: Mapping[str, Any]) -> str:
    """Name of the evaluated job."""
    return str((metrics.get("job") or {}).get("name") or "this system")


def leaky_reason(name: str, entry: Mapping[str, Any]) -> str:
    """Why a protocol's figures flatter; nothing for a speaker-independent one."""
    if entry["speaker_independent"]:
        return ""
    if reason := entry.get("leaky_reason"):
        return str(reason)
    if name in PROTOCOLS and PROTOCOLS[name].leaky_reason:
        return PROTOCOLS[name].leaky_reason
    return "the same people are on both sides"
