"""Catalogue -> batches -> bag -> store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import emodask
from emodask.batches import Batch, BatchOutcome, plan_batches, process_batch
from emodask.clip_rows import identical_clips, missing_of
from emodask.clip_tables import Tables, check_sources, clips_named, join, read_tables
from emodask.cluster import Tasks, current_client, killed_its_workers
from emodask.errors import SourceError
from emodask.isolation import CLIP_MEMORY, CLIP_TIMEOUT
from emodask.job import Job, digest, load_job
from emodask.job_detectors import check_detectors
from emodask.job_weights import Weights, read_weights
from emodask.ledger import Ledger
from emodask.ledger import Progress as Progress
from emodask.memory import (
    LOOKED_AT,
    MemoryPlan,
    Workers,
    clip_memory,
    largest_clip,
    plan_memory,
    refuse,
    workers_of,
)
from emodask.sources.addresses import is_url
from emodask.sources.catalogue import Catalogue, Clip, scan
from emodask.sources.location import StorageOptions
from emodask.sources.names import CHANNELS
from emodask.store import (
    Status,
    StoreAddress,
    existing,
    failures,
    prepare,
    read_status,
    refresh_status,
    sweep,
)

if TYPE_CHECKING:
    from distributed import Client


_FRUITLESS = 3
"""Batches in a row that commit nothing, after which an extraction gives up; more on clusters."""


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction ended with.

    Attributes
    ----------
    store : str
        Its address, without credentials.
    total, done, failed, incomplete, pending : int
        Rows of the store, by status. Pending rows are those whose task died or whose media could
        not be fetched: running again computes them.
    computed : int
        Clips that this run worked on.
    seconds : float
        Wall time of this run.
    failures : tuple of (clip_id, reason)
    missing : dict
        Modality, or table, to number of clips that lack it.
    errors : tuple of str
        What left rows pending.
    stopped : str
        Why the extraction gave up before its last batch; empty if it did not.
    extra : dict
        Table to number of its rows that are of no clip of the sources.
    digest : str
        Of the settings of extraction, with what the tables hold.
    steps : dict
        What the clips that this run computed took, by step, in seconds of wall time of the threads
        that computed them: reading, decoding, each feature.
    """

    store: str
    total: int
    done: int
    failed: int
    incomplete: int
    pending: int
    computed: int
    seconds: float
    failures: tuple[tuple[str, str], ...]
    missing: dict[str, int]
    errors: tuple[str, ...] = ()
    stopped: str = ""
    extra: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    steps: dict[str, float] = field(default_factory=dict)


def select(job: Job, catalogue: Catalogue) -> tuple[Clip, ...]:
    """The clips of a catalogue that take part in a job, in row order.

    Raises
    ------
    SourceError
        If there is none.
    """
    chosen = catalogue.select(job.data.emotion_codes, [CHANNELS[c] for c in job.data.channels])
    if not chosen.clips:
        where = ", ".join(catalogue.sources)
        left_out = ""
        if catalogue.problems:
            first = catalogue.problems[0]
            left_out = f"; {len(catalogue.problems)} file(s) left out, first {first.where}: "
            left_out += first.reason
        raise SourceError(
            f"{where}: no clip for job {job.name} among {len(catalogue)} clip(s) found{left_out}. "
            "'emodask scan' lists all"
        )
    return chosen.clips


def extract(
    job: str | Path | Job,
    sources: str | Sequence[str],
    store: str | Path | StoreAddress,
    client: Client | None = None,
    *,
    tables: Tables | None = None,
    weights: Weights | None = None,
    storage_options: StorageOptions | None = None,
    retry_failed: bool = False,
    clip_timeout: float = CLIP_TIMEOUT,
    on_clips: Callable[[Sequence[Clip]], None] | None = None,
    on_plan: Callable[[MemoryPlan, Workers], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> ExtractSummary:
    """Compute the features of every clip, batch by batch, into a store.

    Run it again to go on after a stop: rows that are committed are not computed again. Workers
    decode in a process of their own, so that a file that crashes a codec, takes all memory or never
    ends costs its clip alone. A batch whose workers die all the same is halved until the clip that
    kills them is found; that clip is marked as failed, the others are kept.

    Parameters
    ----------
    job : str, Path or Job
    sources : str or sequence of str
        Zips, folders, globs, URLs, manifests. None of them for a job of tables alone: its rows are
        the clips that the tables name.
    store : str, Path or StoreAddress
        Local path or fsspec URL of the Zarr group.
    client : distributed.Client, optional
        Where tasks run; by default on the client that is connected, or else in this process.
    tables : mapping of str to str or Path, optional
        Where the tables of the job lie, by feature; fills or overrides their ``path``.
    weights : mapping of str to str or Path, optional
        Where the weights of the job's networks lie, by feature; fills or overrides its ``weights``.
    storage_options : mapping, optional
        For fsspec, sources, tables, weights and store alike.
    retry_failed : bool
        Compute failed rows again, and incomplete ones whose media has come since.
    clip_timeout : float
        Seconds that decoding and computing one clip may take on a worker.
    on_clips : callable, optional
        Called with the clips that take part; what it raises ends the extraction before its start.
    on_plan : callable, optional
        Called with the plan of a worker's memory and the workers that it is for, before the start.
    on_progress : callable, optional
        Called with a :class:`Progress` before the start and after every batch.

    Returns
    -------
    ExtractSummary

    Raises
    ------
    SourceError, JobError, StoreError, UsageError
        Before any work starts; JobError also if batches need more memory than a worker has,
        UsageError if the detector of a job's faces cannot be loaded.
    ClusterError
        If a worker has not enough memory for batches of one clip or lacks the detector, or the
        scheduler goes away; what was committed is kept.
    """
    began = time.monotonic()
    job = load_job(job)
    check_sources(job, sources)
    job = read_weights(job, weights, storage_options)
    read = read_tables(job, tables, storage_options)
    catalogue = scan(sources, storage_options) if sources or not read else clips_named(read)
    joined = join(job, select(job, catalogue), read, catalogue)
    if on_clips:
        on_clips(joined.clips)
    summary = extract_clips(
        joined.job,
        joined.clips,
        StoreAddress.of(store, storage_options),
        client,
        retry_failed=retry_failed,
        clip_timeout=clip_timeout,
        on_plan=on_plan,
        on_progress=on_progress,
    )
    return replace(summary, seconds=time.monotonic() - began, extra=joined.extra)


def extract_clips(
    job: Job,
    clips: Sequence[Clip],
    address: StoreAddress,
    client: Client | None = None,
    *,
    retry_failed: bool = False,
    clip_timeout: float = CLIP_TIMEOUT,
    on_plan: Callable[[MemoryPlan, Workers], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> ExtractSummary:
    """What :func:`extract` does once it knows the clips, in row order."""
    began = time.monotonic()
    client = client or current_client()
    workers = workers_of(client)
    # Refused before there is a store, whose batch size cannot be changed any more.
    there = str(address) if existing(address) is not None else None
    plan = None if there else _plan(job, address, clips, workers, len(clips))
    if plan:
        refuse(plan, workers)
        check_detectors(job, client)
    group = prepare(address, job, clips, () if there else identical_clips(job, clips))
    status = read_status(group)
    has_media = [not missing_of(job, clip) for clip in clips] if retry_failed else ()
    redo = rows_to_compute(status, has_media, retry_failed)
    chunks = set((np.flatnonzero(redo) // job.data.batch).tolist())
    sweep(address, chunks)
    batches = plan_batches(clips, redo, job.data.batch, retry_failed)
    if redo.any():
        if plan is None:
            rows = np.flatnonzero(redo)
            some = [clips[row] for row in rows[:: 1 + len(rows) // LOOKED_AT].tolist()]
            plan = _plan(job, address, some, workers, len(clips))
            refuse(plan, workers, there)
            check_detectors(job, client)
        if on_plan:
            on_plan(plan, workers)
    work = partial(
        process_batch,
        job,
        address,
        isolated=client is not None,
        clip_timeout=clip_timeout,
        clip_memory=clip_memory(plan, workers) if plan else CLIP_MEMORY,
        version=emodask.__version__,
    )
    ledger = Ledger(status, int(redo.sum()), len(chunks))
    report = on_progress or (lambda progress: None)
    report(ledger.progress())
    for news in _results(work, batches, client, ledger):
        report(news)

    # What this run has left to others may have been committed by them.
    ledger.update(*refresh_status(group, ledger.status))
    counts = ledger.counts
    return ExtractSummary(
        store=str(address),
        total=len(clips),
        done=counts["done"],
        failed=counts["failed"],
        incomplete=counts["incomplete"],
        pending=counts["pending"],
        computed=ledger.computed,
        seconds=time.monotonic() - began,
        failures=tuple(failures(group, ledger.status)),
        missing=_missing(job, clips),
        errors=tuple(ledger.errors),
        stopped=ledger.stopped,
        digest=digest(job.extraction()),
        steps={name: round(seconds, 3) for name, seconds in ledger.steps.items()},
    )


def _plan(
    job: Job, address: StoreAddress, clips: Sequence[Clip], workers: Workers, rows: int
) -> MemoryPlan:
    """The memory of a worker that computes these clips of a store with some rows."""
    places = [address.url, *(media.folder for media in clips[0].media)]
    return plan_memory(
        job,
        largest_clip(job, clips),
        min(job.data.batch, rows),
        threads=workers.threads,
        isolated=workers.isolated,
        nanny=workers.nanny,
        remote=any(is_url(place) for place in places),
    )


def _results(
    work: Callable[[Batch], BatchOutcome],
    batches: Iterable[Batch],
    client: Client | None,
    ledger: Ledger,
) -> Iterator[Progress]:
    """Run all batches; halve those whose workers die; give up where nothing can be committed."""
    tasks: Tasks[Batch, BatchOutcome] = Tasks(work, client, batches)
    patience = max(_FRUITLESS, 2 * len(client.nthreads()) if client is not None else 0)
    parts: dict[int, list[Batch]] = {}
    for batch, outcome in tasks:
        rest = parts.pop(batch.start, [])
        if isinstance(outcome, BatchOutcome):
            news = ledger.committed(batch, outcome)
        elif killed_its_workers(outcome) and not batch.quarantine:
            then, again = _narrowed(batch)
            rest[:0] = again
            news = ledger.progress(trouble=[f"{batch}: workers died of it; {then}"])
        else:
            news = ledger.lost(batch, outcome)
        if rest:
            # One part after another: all parts of a batch write the same chunks.
            tasks.add(rest[0], alone=rest[0].alone)
            parts[batch.start] = rest[1:]
        else:
            ledger.batches += 1
            news = replace(news, batches=ledger.batches)
        if ledger.fruitless >= patience:
            ledger.stopped = (
                f"gave up after {ledger.fruitless} batches in a row of which nothing could be "
                f"committed, at last {ledger.errors[-1]}"
            )
            tasks.cancel()
        yield news


def _narrowed(batch: Batch) -> tuple[str, Sequence[Batch]]:
    """What to do with a batch whose workers died, in words and as batches."""
    if batch.size > 1:
        return "trying its halves", batch.halves()
    if not batch.alone:  # the workers may have died of what they computed before or beside it
        return "trying it alone", [replace(batch, alone=True)]
    why = "quarantined: every worker that computed this clip died"
    return "putting the clip in quarantine", [replace(batch, alone=False, quarantine=why)]


def rows_to_compute(
    status: npt.NDArray[np.uint8], has_media: Sequence[bool], retry_failed: bool = False
) -> npt.NDArray[np.bool_]:
    """Which rows of a store are to be computed.

    Parameters
    ----------
    status : ndarray of uint8, shape (n,)
    has_media : sequence of bool
        Per row: whether the sources now hold all its media.
    retry_failed : bool
        Compute failed rows again, and incomplete ones whose media has come since.

    Examples
    --------
    >>> import numpy as np
    >>> rows_to_compute(np.array([0, 1, 2, 3, 3], np.uint8), [True] * 4 + [False], True).tolist()
    [True, False, True, True, False]
    """
    redo = status == Status.PENDING
    if retry_failed:
        redo |= status == Status.FAILED
        redo |= (status == Status.INCOMPLETE) & np.asarray(has_media, bool)
    return np.asarray(redo, bool)


def _missing(job: Job, clips: Iterable[Clip]) -> dict[str, int]:
    absent: Counter[str] = Counter()
    for clip in clips:
        absent.update(missing_of(job, clip))
    return {what: absent[what] for what in job.needs(job.features) if absent[what]}
