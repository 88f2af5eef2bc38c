"""The runs at some places: found anew on each visit, read again only where files have changed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from emodask.errors import EmodaskError, UsageError
from emodask.evaluation.results import Row, headline_row, job_name, rows
from emodask.evaluation.run_files import METRICS, PREDICTIONS, REPORT, parse_metrics
from emodask.evaluation.run_places import distinct_names
from emodask.page.results.folders import (
    RECORD,
    STORE,
    address_of,
    folders_at,
    refuse_web,
    report_of,
    slug_of,
)
from emodask.page.results.reading import Remembered, Stamp, entries, read_bounded, stamp_of
from emodask.page.results.record import STATES, Counts, Record, parse_record
from emodask.scrubbing import without_folders
from emodask.sources.addresses import is_url, redact
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.store import StoreAddress

PAGE = "index.html"
MOST_RECORD, MOST_METRICS = 4 << 20, 64 << 20
_AT_ONCE = 8
"""Runs looked at at a time."""
_REMEMBERED = 2000

Value = TypeVar("Value")


@dataclass(frozen=True)
class Summary:
    """What the list shows of an evaluation.

    Attributes
    ----------
    job, created : str
    rows : tuple of Row
    best : Row or None
        The one that stands for the run: of people never met.
    leaky : Row or None
        What a leaky protocol claims of the same model.
    counts : Counts or None
        Clips by what had become of them.
    """

    job: str
    created: str
    rows: tuple[Row, ...]
    best: Row | None
    leaky: Row | None
    counts: Counts | None

    @property
    def systems(self) -> list[tuple[str, str]]:
        """Protocols and models that have verdicts on clips."""
        return [(row.protocol, row.model) for row in self.rows if row.model]


@dataclass(frozen=True, eq=False)
class Run:
    """One run as it was found.

    Attributes
    ----------
    slug : str
        What it is called in addresses of pages: it stays, whatever other runs there are.
    name : str
        For people, unlike that of every other run.
    folder, report : Folder
    options : mapping or None
        For fsspec.
    stamps : mapping of str to Stamp
        The versions of its files by name: ``run.json``, and those of the report.
    has_store : bool
    record : Record or None
    summary : Summary or None
        Of its evaluation; None if there is none yet.
    troubles : tuple of str
        What cannot be read, and why.
    """

    slug: str
    name: str
    folder: Folder
    report: Folder
    options: StorageOptions | None = field(repr=False)
    stamps: Mapping[str, Stamp]
    has_store: bool
    record: Record | None = None
    summary: Summary | None = None
    troubles: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        """Whether anything of it is, even if that cannot be read."""
        return bool(self.stamps or self.has_store or self.troubles)

    @property
    def url(self) -> str:
        """Where it lies, as fsspec opens it."""
        return address_of(self.folder)

    @property
    def remote(self) -> bool:
        """Whether it lies on a server."""
        return is_url(self.url)

    @property
    def store(self) -> StoreAddress:
        """Where its store is, if it has one."""
        return StoreAddress.of(f"{self.url}/{STORE}", self.options)

    @property
    def job(self) -> str:
        """Name of its job."""
        named = self.record.job.name if self.record else ""
        return named or (self.summary.job if self.summary else "")

    @property
    def state(self) -> str:
        """``running``, ``finished``, ``failed`` or ``stopped``; empty if nothing says so."""
        return STATES.get(self.record.state, "") if self.record else ""

    @property
    def when(self) -> str:
        """When it began, or was evaluated."""
        began = self.record.started if self.record else None
        return began or (self.summary.created if self.summary else "")

    @property
    def counts(self) -> Counts | None:
        """Clips by what has become of them, as far as the record or the report says."""
        told = self.record.clips if self.record else None
        return told or (self.summary.counts if self.summary else None)

    def metrics(self) -> dict[str, Any]:
        """Its ``metrics.json``, read.

        Raises
        ------
        EmodaskError
        """
        return parse_metrics(read_bounded(self.report, METRICS, MOST_METRICS), self.report)


@dataclass(frozen=True)
class Listing:
    """What was found on a visit: runs, newest first, and what is wrong with some places."""

    runs: tuple[Run, ...]
    troubles: tuple[str, ...] = ()

    def ranked(self) -> tuple[Run, ...]:
        """The runs by what holds for new people: ``loso`` first, best first."""

        def rank(run: Run) -> tuple[bool, bool, float]:
            best = run.summary.best if run.summary else None
            if best is None:
                return True, True, 0.0
            return bool(best.kind), best.protocol != "loso", -(best.uar or 0.0)

        return tuple(sorted(self.runs, key=rank))


class Runs:
    """What is to be found at the places that a server was given.

    Parameters
    ----------
    places : sequence of str
        Runs, folders of runs, or globs of them: local or fsspec URLs.
    storage_options : mapping, optional
        For fsspec.
    sources : sequence of str
        Where clips' media lie; by default where each ``run.json`` says.

    Raises
    ------
    UsageError
        If a place is on a web server, which tells neither what is new nor what has changed.
    """

    def __init__(
        self,
        places: Sequence[str],
        storage_options: StorageOptions | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        for place in places:
            refuse_web(place)
        self.places = tuple(places)
        self.sources = tuple(sources)
        self.options = storage_options
        self._known: dict[str, Run] = {}
        self._at: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._records: Remembered[Record | str] = Remembered(_REMEMBERED)
        self._summaries: Remembered[Summary | str] = Remembered(_REMEMBERED)

    def listing(self) -> Listing:
        """Look at all places. It never raises: what cannot be read is among the troubles."""
        found: dict[str, Folder] = {}
        at: dict[str, set[str]] = {}
        troubles = []
        for place in self.places:
            try:
                here = {address_of(folder): folder for folder in folders_at(place, self.options)}
                at[place] = {slug_of(folder) for folder in here.values()}
                found = here | found
            except Exception as error:  # each protocol has errors of its own
                troubles.append(_in_words(redact(place), error))
                # Where a place cannot be read for once, its runs are still asked for by name.
                gone = isinstance(error, UsageError)
                at[place] = set() if gone else self._at.get(place, set())
        folders = list(found.values())
        # Those of their reports, whose names are those of the runs.
        names = distinct_names([f"{folder.path}/{REPORT}" for folder in folders])
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            runs = list(pool.map(self._look, folders, names))
        with self._lock:
            kept = set().union(*at.values())
            former = {slug: run for slug, run in self._known.items() if slug in kept}
            self._known, self._at = former | {run.slug: run for run in runs}, at
        newest = sorted(runs, key=lambda run: (run.when, run.name), reverse=True)
        return Listing(tuple(newest), tuple(troubles))

    def run(self, slug: str) -> Run | None:
        """One run as it is now, by what it is called in addresses; None if there is none."""
        with self._lock:
            known = self._known.get(slug)
        if known is not None:
            found = self._look(known.folder, known.name)
            return found if found.there else None
        self.listing()
        with self._lock:
            return self._known.get(slug)

    def _look(self, folder: Folder, name: str) -> Run:
        run = Run(slug_of(folder), name, folder, folder, self.options, {}, False)
        try:
            return self._read(self._listed(run))
        except Exception as error:  # each protocol has errors of its own
            return replace(run, troubles=(_in_words(folder.address, error),))

    def _listed(self, run: Run) -> Run:
        """A run with what lies in its folder."""
        there = entries(run.folder)
        report, files = run.folder, there
        if REPORT in there:
            below = report_of(run.folder)
            inside = entries(below)
            if METRICS in inside or METRICS not in there:
                report, files = below, inside
        stamps = {n: stamp_of(files[n]) for n in (METRICS, PREDICTIONS, PAGE) if n in files}
        if RECORD in there:
            stamps[RECORD] = stamp_of(there[RECORD])
        return replace(run, report=report, stamps=stamps, has_store=STORE in there)

    def _read(self, run: Run) -> Run:
        record = _told(self._records, run, RECORD, _record)
        summary = _told(self._summaries, run, METRICS, _summary)
        return replace(
            run,
            record=record if isinstance(record, Record) else None,
            summary=summary if isinstance(summary, Summary) else None,
            troubles=tuple(one for one in (record, summary) if isinstance(one, str)),
        )


DAMAGES = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What comes of files that are not what they should be."""


def _checked(row: Row) -> Row:
    """A row whose figures are figures: it is shown among those of other runs.

    Raises
    ------
    TypeError
    """
    figures = (row.uar, row.accuracy, row.macro_f1, row.chance, *(row.uar_ci95 or ()))
    for figure in figures:
        if figure is None:
            continue
        if not isinstance(figure, int | float) or not math.isfinite(figure):
            raise TypeError(f"{figure!r} is no figure")
    return row


def _in_words(where: str, error: Exception) -> str:
    known = isinstance(error, EmodaskError)
    return without_folders(str(error) if known else f"{where}: cannot be read: {reason(error)}")


def _told(
    kept: Remembered[Value | str], run: Run, name: str, make: Callable[[Run], Value | str]
) -> Value | str | None:
    """What a file of a run says, or what is wrong with it; None where there is no such file."""
    if name not in run.stamps:
        return None
    try:
        return kept.get(run.url, run.stamps[name], lambda: make(run))
    except EmodaskError as error:  # it is not remembered: the next visit may read the file
        return without_folders(str(error))


def _record(run: Run) -> Record | str:
    data = read_bounded(run.folder, RECORD, MOST_RECORD)
    try:
        return parse_record(data, f"{run.folder.address}/{RECORD}")
    except EmodaskError as error:
        return without_folders(str(error))


def _summary(run: Run) -> Summary | str:
    content = read_bounded(run.report, METRICS, MOST_METRICS)
    try:
        metrics = parse_metrics(content, run.report)
        data = metrics.get("data") or {}
        best = headline_row(metrics)
        every = [_checked(row) for row in rows(metrics)]
        leaky = [row for row in every if not row.speaker_independent and row.uar is not None]
        same = (row for row in leaky if best and row.model == best.model)
        return Summary(
            job_name(metrics),
            str(metrics.get("created", "")),
            tuple(every),
            best,
            next(same, None),
            Counts.model_validate(data) if "done" in data else None,
        )
    except EmodaskError as error:
        return without_folders(str(error))
    except (*DAMAGES, RecursionError) as error:
        return f"{METRICS}: damaged: {type(error).__name__} {reason(error)}"
