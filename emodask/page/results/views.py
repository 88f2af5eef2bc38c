"""What the pages of one run show: its evaluation, a part of its clips, its failures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emodask.emotions import CODES
from emodask.errors import EmodaskError
from emodask.evaluation.metrics import N_DRAWS
from emodask.evaluation.pages.report import contrast_sentence, flat_settings, protocol_views
from emodask.evaluation.results import headline, headline_row
from emodask.evaluation.timings import charged_trainings, timing_lines
from emodask.page.results.clip_page import STATUS_NAMES, ClipLine, emotions_of, lines_of
from emodask.page.results.clips import Sheet, StoredRows, Wanted, sheet_of
from emodask.page.results.runs import DAMAGES, Run
from emodask.page.results.verdicts import Predictions, System
from emodask.scrubbing import without_folders
from emodask.sources.location import reason
from emodask.store import Status

PAGE_ROWS = 50
_MOST_ACTORS = 300
"""More are not offered as a list, but asked for by number."""
_FAILURE = re.compile(r"(?P<file>.+?): (?P<stage>reading|computing): (?P<reason>.*)", re.DOTALL)
_NO_EVALUATION: dict[str, Any] = {
    "headline": "",
    "contrast": "",
    "credit": "",
    "views": [],
    "best": None,
    "timings": [],
    "choices": [],
    "charged_trainings": [],
    "n_threads": None,
    "settings": [],
    "versions": [],
    "n_draws": N_DRAWS,
}


def evaluation_view(run: Run) -> dict[str, Any]:
    """What a run's page says of its evaluation; ``troubles`` where that cannot be read."""
    versions = list(run.record.versions.items()) if run.record else []
    nothing = {**_NO_EVALUATION, "versions": versions, "troubles": run.troubles}
    if run.summary is None:
        return nothing
    try:
        metrics = run.metrics()
        job = metrics.get("job") or {}
        return nothing | {
            "headline": headline(metrics),
            "contrast": contrast_sentence(metrics),
            "credit": str((metrics.get("data") or {}).get("credit") or ""),
            "views": list(protocol_views(metrics)),
            "best": headline_row(metrics),
            "timings": timing_lines(metrics),
            "charged_trainings": charged_trainings(metrics),
            "n_threads": (metrics.get("timings") or {}).get("threads"),
            "settings": [(k, v) for k, v in flat_settings(job) if k not in ("name", "description")],
            "versions": list((metrics.get("versions") or {}).items()) or versions,
        }
    except EmodaskError as error:
        trouble = without_folders(str(error))
    except DAMAGES as error:
        trouble = f"metrics.json: damaged: {type(error).__name__} {reason(error)}"
    return {**nothing, "troubles": (*run.troubles, trouble)}


def counts_sentence(run: Run, rows: StoredRows | None) -> str:
    """How many clips a run has, by what has become of them; empty where nothing says so.

    Of a store that can be read it is what the store says, since a record is written at the end.
    """
    if rows is not None:
        found = {STATUS_NAMES[status]: count for status, count in rows.counts().items()}
        total = len(rows)
    elif run.counts is not None:
        found = {name: getattr(run.counts, name) for name in STATUS_NAMES.values()}
        total = run.counts.total or sum(found.values())
    else:
        return ""
    parts = [f"{found[name]} {name}" for name in ("done", "failed", "incomplete")]
    parts += [f"{found['pending']} pending"] if found["pending"] else []
    return f"{total}: {', '.join(parts)}"


@dataclass(frozen=True)
class Filters:
    """What a visitor asked the table of clips for, as it stands in the address."""

    actor: str = ""
    emotion: str = ""
    status: str = ""
    mistaken: str = ""

    @property
    def asked(self) -> dict[str, str]:
        """Those that are not empty."""
        return {name: value for name, value in vars(self).items() if value}

    def wanted(self) -> Wanted | None:
        """What rows are meant; None if no row can be."""
        names = {name: status for status, name in STATUS_NAMES.items()}
        if self.actor and not (self.actor.isascii() and self.actor.isdigit()):
            return None
        if (self.emotion and self.emotion not in CODES) or (
            self.status and self.status not in names
        ):
            return None
        return Wanted(
            int(self.actor[:9]) if self.actor else None,
            CODES.get(self.emotion),
            names.get(self.status),
        )


def clips_view(
    run: Run, rows: StoredRows, predictions: Predictions, filters: Filters, page: int
) -> dict[str, Any]:
    """What the table of clips shows.

    Parameters
    ----------
    run : Run
    rows : StoredRows
    predictions : Predictions
        Read only if a model's mistakes are asked for.
    filters : Filters
    page : int
    """
    trouble, verdicts = "", None
    systems = {f"{model} under {protocol}": (protocol, model) for protocol, model in _systems(run)}
    system: System | None = systems.get(filters.mistaken)
    wanted = filters.wanted()
    mask = wanted.mask(rows) if wanted else np.zeros(len(rows), np.bool_)
    if filters.mistaken and system is None:
        trouble, mask = f"No model {filters.mistaken} was evaluated in this run.", mask & False
    elif system is not None:
        try:
            verdicts = predictions.of(run, rows)
            said = verdicts.by_system.get(system)
            mask &= said.mistaken if said else False
        except EmodaskError as error:
            trouble, mask = without_folders(str(error)), mask & False
    sheet = sheet_of(mask, page, PAGE_ROWS)
    actors = np.unique(rows.actor).tolist()
    return {
        "lines": lines_of(rows, sheet, verdicts, system),
        "sheet": sheet,
        "trouble": trouble,
        "n_rows": len(rows),
        "filtered": bool(filters.asked),
        "actors": actors if len(actors) <= _MOST_ACTORS else [],
        "emotions": emotions_of(rows),
        "statuses": list(STATUS_NAMES.values()),
        "systems": list(systems),
        "wanted": wanted or Wanted(),
        "emotion": filters.emotion,
        "status": filters.status,
        "mistaken": filters.mistaken if system else "",
    }


def _systems(run: Run) -> list[System]:
    return run.summary.systems if run.summary else []


@dataclass(frozen=True)
class FailureLine:
    """One clip that failed or is incomplete: which file, at which stage, and why."""

    clip: str
    status: str
    file: str
    stage: str
    reason: str


def failure_line(line: ClipLine) -> FailureLine:
    """The parts of what a store says of a clip.

    Examples
    --------
    >>> found = failure_line(ClipLine("c", 1, "sad", "failed", None, "a.zip/x.wav: reading: cut"))
    >>> found.file, found.stage, found.reason
    ('a.zip/x.wav', 'reading', 'cut')
    """
    found = _FAILURE.fullmatch(line.error)
    parts = found.groupdict() if found else {"file": "", "stage": "", "reason": line.error}
    return FailureLine(line.clip, line.status, **parts)


def failures_view(run: Run, rows: StoredRows | None, why: str, page: int) -> dict[str, Any]:
    """What the page of failures shows: what the store says, or else what the record lists.

    Parameters
    ----------
    run : Run
    rows : StoredRows or None
    why : str
        Why there is no store to ask.
    page : int
    """
    if rows is not None:
        mask = (rows.status == Status.FAILED) | (rows.status == Status.INCOMPLETE)
        sheet = sheet_of(mask, page, PAGE_ROWS)
        lines: Sequence[ClipLine] = lines_of(rows, sheet, with_errors=True)
        return _failures(sheet, lines, 0, "")
    listed = run.record.failures if run.record else None
    first = listed.first if listed else []
    sheet = sheet_of(np.ones(len(first), np.bool_), page, PAGE_ROWS)
    lines = [
        ClipLine(first[row].clip, 0, "", "failed", None, without_folders(first[row].reason))
        for row in sheet.rows
    ]
    return _failures(sheet, lines, max(listed.count - len(first), 0) if listed else 0, why)


def _failures(
    sheet: Sheet, lines: Sequence[ClipLine], n_unlisted: int, trouble: str
) -> dict[str, Any]:
    return {
        "sheet": sheet,
        "lines": [failure_line(line) for line in lines],
        "n_unlisted": n_unlisted,
        "trouble": trouble,
    }
