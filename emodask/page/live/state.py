"""What is known of a job that runs, as its events tell it: each event gives the next state."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from emodask.sources.addresses import is_url

KEPT = 50
"""Failures, and notes, that are kept; the last ones. All are counted."""

_STAGES = {
    "demo": ("synthesise", "extract", "evaluate", "fit"),
    "run": ("extract", "evaluate", "fit"),
    "extract": ("extract",),
    "evaluate": ("evaluate",),
}


@dataclass(frozen=True)
class Last:
    """The last few of many things that happened, and how many there were."""

    count: int = 0
    last: tuple[tuple[str, str], ...] = ()

    def and_then(self, what: str, text: str) -> Last:
        """With one more."""
        return Last(self.count + 1, (*self.last, (what, text))[-KEPT:])


@dataclass(frozen=True)
class Step:
    """How far something of a stage is.

    Attributes
    ----------
    what : str
        What is counted.
    done, total : int
    told : float
        When, on the clock of the state's events.
    left : float or None
        Seconds that were left then; None if that cannot be said.
    whole : bool
        Whether the whole stage is counted, not a part of it that others follow.
    """

    what: str
    done: int
    total: int
    told: float
    left: float | None = None
    whole: bool = True

    def left_at(self, now: float) -> float | None:
        """Seconds that are left at a later moment."""
        return None if self.left is None else max(0.0, self.left - (now - self.told))


@dataclass(frozen=True)
class LiveState:
    """A job at one moment.

    Attributes
    ----------
    began, ended : float
        Seconds on a clock that does not jump; ``ended`` is None while the job runs.
    outcome : {"running", "finished", "failed", "interrupted"}
    reason : str
        Why it failed.
    command, job : str
    stages : tuple of str
        What the command goes through, in order.
    stage : str
        The one that it is in; empty before the first.
    step : Step or None
    batches : tuple of int
        Of the extraction: ended, and all.
    rate : float or None
        Clips a second.
    counts : mapping of str to int
        Rows of the store by status.
    failures, troubles, notes : Last
        Clips that failed with file, stage and reason; batches that could not be computed; lines.
    plan : str
        The plan of a worker's memory.
    cluster : str
    dashboard : str
        Address of Dask's; empty if there is none.
    headline : str
    protocols : mapping
        Figures, as in ``run.json``.
    places : mapping of str to str
        Where the outputs are.
    """

    began: float
    ended: float | None = None
    outcome: str = "running"
    reason: str = ""
    command: str = ""
    job: str = ""
    stages: tuple[str, ...] = ()
    stage: str = ""
    step: Step | None = None
    batches: tuple[int, int] = (0, 0)
    rate: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Last = Last()
    troubles: Last = Last()
    notes: Last = Last()
    plan: str = ""
    cluster: str = ""
    dashboard: str = ""
    headline: str = ""
    protocols: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def seconds(self, now: float) -> float:
        """How long the job runs, or ran."""
        return (now if self.ended is None else self.ended) - self.began

    def as_dict(self, now: float) -> dict[str, Any]:
        """For programs: times as seconds up to now, as this clock says nothing to others."""
        facts = {"seconds": round(self.seconds(now), 1), **asdict(self)}
        del facts["began"], facts["ended"]
        if self.step is not None:
            del facts["step"]["told"]
            facts["step"]["left"] = self.step.left_at(now)
        return facts

    def at_stage(self, stage: str) -> LiveState:
        """In a stage of the command; at its beginning, if it was in another."""
        if stage not in self.stages or stage == self.stage:
            return self
        return replace(self, stage=stage, step=None)

    def with_place(self, name: str, address: object) -> LiveState:
        """With an output; paths are whole, for a page that outlives the working directory."""
        place = str(address)
        place = place if is_url(place) else os.path.abspath(place)
        return replace(self, places={**self.places, name: place})


Facts = Mapping[str, Any]


def after(state: LiveState, event: str, message: str, facts: Facts, now: float) -> LiveState:
    """The state after an event.

    Parameters
    ----------
    state : LiveState
    event : str
        As :class:`emodask.display.EventReporter` names it; others change nothing.
    message : str
    facts : mapping
        Without credentials.
    now : float
        On the clock of ``state.began``.
    """
    command, _, what = event.partition(".")
    if what == "started" and command in _STAGES:
        stages = _STAGES[command]
        job = str(facts.get("job") or "")
        return replace(state, command=command, job=job, stages=stages, stage=stages[0])
    if event in _COUNTED:
        return _counted(state, event, facts, now)
    change = _CHANGES.get(event)
    return change(state, message, facts) if change else state


_COUNTED = {
    "synthesise.progress": ("synthesise", "clips", True),
    "extract.progress": ("extract", "clips", True),
    "evaluate.reduction": ("evaluate", "blocks of a pass over {feature}", False),
    "evaluate.fold": ("evaluate", "folds", True),
    "search.progress": ("", "trials of a search for parameters", False),  # the fit searches too
}
"""Stage of what an event counts, what that is, and whether it is all of the stage."""


def _counted(state: LiveState, event: str, facts: Facts, now: float) -> LiveState:
    stage, what, whole = _COUNTED[event]
    step = Step(
        what.format(feature=facts.get("feature")),
        facts["done"],
        facts["total"],
        now,
        facts.get("seconds_left"),
        whole,
    )
    state = replace(state.at_stage(stage), step=step)
    if event == "extract.progress":
        state = replace(
            state,
            batches=(facts["batches"], facts["all_batches"]),
            rate=facts["clips_per_second"],
            counts=facts["store"],
        )
    return state


def _connected(state: LiveState, message: str, facts: Facts) -> LiveState:
    if state.stage == "synthesise":
        state = state.at_stage("extract")
    workers = facts["workers"]
    plural = "" if workers == 1 else "s"
    where = f"on {workers} worker{plural} of {facts['scheduler']}" if workers else "in this process"
    return replace(state, cluster=where, dashboard=facts.get("dashboard") or "")


def _extracted(state: LiveState, message: str, facts: Facts) -> LiveState:
    names = ("done", "failed", "incomplete", "pending")
    state = replace(
        state, counts={name: facts[name] for name in names}, reason=message or state.reason
    )
    state = state.with_place("store", facts["store"])
    return state if message else state.at_stage("evaluate")


def _evaluated(state: LiveState, message: str, facts: Facts) -> LiveState:
    state = replace(state, headline=message, protocols=facts["protocols"])
    return state.with_place("report", facts["report"])


def _run_ended(state: LiveState, message: str, facts: Facts) -> LiveState:
    return replace(state, reason=message).with_place("record", facts["record"])


_CHANGES: dict[str, Callable[[LiveState, str, Facts], LiveState]] = {
    "note": lambda state, text, facts: replace(state, notes=state.notes.and_then("", text)),
    "cluster.connected": _connected,
    "memory.planned": lambda state, text, facts: replace(state, plan=text),
    "clip.failed": lambda state, text, facts: replace(
        state, failures=state.failures.and_then(facts["clip"], text)
    ),
    "batch.failed": lambda state, text, facts: replace(
        state, troubles=state.troubles.and_then("", text)
    ),
    "extract.finished": _extracted,
    "evaluate.finished": _evaluated,
    "fit.started": lambda state, text, facts: state.at_stage("fit"),
    "fit.finished": lambda state, text, facts: state.with_place("bundle", facts["bundle"]),
    "run.finished": _run_ended,
}
