"""The runs at some places: found anew on each visit, read again only where files have changed."""

from __future__ import annotations

import functools
import hashlib
import math
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from emodask.errors import EmodaskError
from emodask.evaluation.results import Row, headline_row, job_name, rows
from emodask.evaluation.run_files import METRICS, PREDICTIONS, REPORT, RunFiles, open_run
from emodask.evaluation.run_places import distinct_names, run_addresses
from emodask.page.results.reading import (
    Remembered,
    Stamp,
    entries,
    read_bounded,
    stamp_of,
)
from emodask.page.results.record import STATES, Counts, Record, parse_record
from emodask.run_record import NAME as RECORD
from emodask.scrubbing import without_folders
from emodask.sources.addresses import is_url, redact
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.store import StoreAddress

PAGE, STORE = "index.html", "store.zarr"
MOST_RECORD, MOST_METRICS = 4 << 20, 64 << 20
_AT_ONCE = 8
"""Runs looked at at a time."""
_REMEMBERED = 2000


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
    trouble : str
        Why there is none of this.
    """

    job: str = ""
    created: str = ""
    rows: tuple[Row, ...] = ()
    best: Row | None = None
    leaky: Row | None = None
    counts: Counts | None = None
    trouble: str = ""

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

    def evaluation(self) -> RunFiles:
        """Its ``metrics.json``, read.

        Raises
        ------
        EmodaskError
        """
        stamp = self.stamps.get(METRICS)
        if stamp is not None and stamp.size > MOST_METRICS:
            raise EmodaskError(f"{METRICS}: {stamp.size / 1e6:.0f} MB, too much for a page")
        return open_run(address_of(self.report), self.options)


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
    """

    def __init__(
        self,
        places: Sequence[str],
        storage_options: StorageOptions | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        self.places = tuple(places)
        self.sources = tuple(sources)
        self.options = storage_options
        self._known: dict[str, Run] = {}
        self._lock = threading.Lock()
        self._records: Remembered[Record | str] = Remembered(_REMEMBERED)
        self._summaries: Remembered[Summary] = Remembered(_REMEMBERED)

    def listing(self) -> Listing:
        """Look at all places. It never raises: what cannot be read is among the troubles."""
        found: dict[str, Folder] = {}
        troubles = []
        for place in self.places:
            try:
                top = Folder.at(place, self.options)
                top.fs.invalidate_cache()
                is_run = functools.partial(_is_run, top=top.path)
                for address in run_addresses(place, self.options, is_run):
                    folder = _own_folder(Folder.at(address, self.options))
                    found.setdefault(address_of(folder), folder)
            except EmodaskError as error:
                troubles.append(without_folders(str(error)))
        folders = list(found.values())
        names = distinct_names([folder.path for folder in folders])
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            runs = list(pool.map(self._look, folders, names))
        with self._lock:
            self._known = {run.slug: run for run in runs}
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
            there = entries(folder)
            report, files = folder, there
            if METRICS not in there and REPORT in there:
                report = Folder(folder.fs, f"{folder.path}/{REPORT}", f"{folder.address}/{REPORT}")
                files = entries(report)
        except Exception as error:  # each protocol has errors of its own
            why = f"{folder.address}: cannot be read: {reason(error)}"
            return replace(run, troubles=(without_folders(why),))
        stamps = {n: stamp_of(files[n]) for n in (METRICS, PREDICTIONS, PAGE) if n in files}
        if RECORD in there:
            stamps[RECORD] = stamp_of(there[RECORD])
        run = replace(run, report=report, stamps=stamps, has_store=STORE in there)
        return self._read(run)

    def _read(self, run: Run) -> Run:
        troubles = []
        record, summary = None, None
        if RECORD in run.stamps:
            found = self._records.get(run.url, run.stamps[RECORD], lambda: _record(run.folder))
            if isinstance(found, Record):
                record = found
            else:
                troubles.append(found)
        if METRICS in run.stamps:
            summary = self._summaries.get(run.url, run.stamps[METRICS], lambda: _summary(run))
            if summary.trouble:
                troubles.append(summary.trouble)
                summary = None
        return replace(run, record=record, summary=summary, troubles=tuple(troubles))


DAMAGES = (KeyError, IndexError, TypeError, ValueError, AttributeError)
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


def address_of(folder: Folder) -> str:
    """A folder as fsspec opens it: a plain path on this machine's disks, else a URL."""
    full = str(folder.fs.unstrip_protocol(folder.path))
    return full.removeprefix("file://") if full.startswith("file://") else full


def slug_of(folder: Folder) -> str:
    """What a run is called in addresses of pages: its name, and what is its address's alone."""
    address = redact(address_of(folder))
    name = PurePosixPath(folder.path).name.lower()
    stem = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:40] or "run"
    return f"{stem}-{hashlib.blake2b(address.encode(), digest_size=4).hexdigest()}"


def _is_run(folder: Folder, top: str) -> bool:
    """Whether a folder is a run; one that cannot be looked into is, for its reason to be listed."""
    try:
        there = entries(folder)
    except Exception:
        if folder.path == top:
            raise
        return True
    if not {METRICS, RECORD, STORE}.isdisjoint(there):
        return True
    below = Folder(folder.fs, f"{folder.path}/{REPORT}", folder.address)
    return REPORT in there and METRICS in entries(below)


def _own_folder(folder: Folder) -> Folder:
    """The folder of the run whose report a place is."""
    if PurePosixPath(folder.path).name != REPORT:
        return folder
    return Folder(
        folder.fs, folder.path.rpartition("/")[0], folder.address.removesuffix(f"/{REPORT}")
    )


def _record(folder: Folder) -> Record | str:
    try:
        data = read_bounded(folder, RECORD, MOST_RECORD)
        return parse_record(data, f"{folder.address}/{RECORD}")
    except EmodaskError as error:
        return without_folders(str(error))


def _summary(run: Run) -> Summary:
    try:
        metrics: dict[str, Any] = run.evaluation().metrics
        data = metrics.get("data") or {}
        best = headline_row(metrics)
        every = [_checked(row) for row in rows(metrics)]
        leaky = [row for row in every if not row.speaker_independent and row.uar is not None]
        same = [row for row in leaky if best and row.model == best.model]
        return Summary(
            job_name(metrics),
            str(metrics.get("created", "")),
            tuple(every),
            best,
            next(iter(same or leaky), None),
            Counts.model_validate(data) if "done" in data else None,
        )
    except EmodaskError as error:
        return Summary(trouble=without_folders(str(error)))
    except (*DAMAGES, RecursionError) as error:
        return Summary(trouble=f"{METRICS}: damaged: {type(error).__name__} {error}")
