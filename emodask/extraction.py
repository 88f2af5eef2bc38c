"""Catalogue -> batches -> bag -> store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emodask.clip_features import compute_clip, has_all_media, media_of
from emodask.cluster import current_client, run_bag
from emodask.errors import SourceError
from emodask.job import Job, load_job
from emodask.sources.catalogue import Catalogue, Clip, scan
from emodask.sources.location import StorageOptions
from emodask.sources.names import CHANNELS
from emodask.store import (
    Row,
    Status,
    StoreAddress,
    failures,
    open_group,
    prepare,
    read_rows,
    read_status,
    write_batch,
)

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Batch:
    """Consecutive clips that one task computes, and which of them it has to."""

    start: int
    clips: tuple[Clip, ...]
    compute: tuple[bool, ...]


@dataclass(frozen=True)
class Progress:
    """How far an extraction is, after each batch.

    ``counts`` has the rows of the whole store by status; ``computed`` those of this run alone.
    """

    total: int
    counts: Mapping[str, int]
    computed: int
    to_compute: int
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction ended with.

    Attributes
    ----------
    store : str
        Its address, without credentials.
    total, done, failed, incomplete, pending : int
        Rows of the store, by status. Pending rows are those whose task died.
    computed : int
        Clips that this run worked on.
    seconds : float
        Wall time of this run.
    failures : tuple of (clip_id, reason)
    missing : dict
        Modality to number of clips whose media lacks it.
    errors : tuple of str
        Tasks that died as a whole.
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
    storage_options: StorageOptions | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> ExtractSummary:
    """Compute the features of every clip, batch by batch, into a store.

    Run it again to go on after a stop: rows that are committed are not computed again.

    Parameters
    ----------
    job : str, Path or Job
    sources : str or sequence of str
        Zips, folders, globs, URLs, manifests.
    store : str, Path or StoreAddress
        Local path or fsspec URL of the Zarr group.
    client : distributed.Client, optional
        Where tasks run; by default on the client that is connected, or else in this process.
    storage_options : mapping, optional
        For fsspec, sources and store alike.
    retry_failed : bool
        Compute failed rows again, and incomplete ones whose media has come since.
    on_progress : callable, optional
        Called with a :class:`Progress` before the start and after every batch.

    Returns
    -------
    ExtractSummary

    Raises
    ------
    SourceError, JobError, StoreError
        Before any work starts.
    """
    began = time.monotonic()
    job = load_job(job)
    catalogue = scan(sources, storage_options)
    clips = select(job, catalogue)
    address = StoreAddress.of(store, storage_options)
    group = prepare(address, job, clips)
    status = read_status(group)
    redo = rows_to_compute(status, [has_all_media(job, clip) for clip in clips], retry_failed)
    batches = plan_batches(clips, redo, job.data.batch)
    to_compute = sum(sum(batch.compute) for batch in batches)
    report = on_progress or (lambda progress: None)
    report(Progress(len(clips), _count(status), 0, to_compute))

    client = client or current_client()
    work = partial(process_batch, job, address)
    computed = 0
    errors: list[str] = []
    for batch, outcome in run_bag(work, batches, client):
        span = slice(batch.start, batch.start + len(batch.clips))
        failed: tuple[tuple[str, str], ...] = ()
        if isinstance(outcome, Exception):
            names = f"{batch.clips[0].clip_id} to {batch.clips[-1].clip_id}"
            errors.append(f"batch of {names}: {type(outcome).__name__}: {outcome}")
        else:
            status[span] = [code for code, _ in outcome]
            failed = tuple(
                (clip.clip_id, error)
                for clip, redo, (code, error) in zip(
                    batch.clips, batch.compute, outcome, strict=True
                )
                if redo and code == Status.FAILED
            )
            computed += sum(batch.compute)
        report(Progress(len(clips), _count(status), computed, to_compute, failed))

    counts = _count(read_status(group))
    return ExtractSummary(
        store=str(address),
        total=len(clips),
        done=counts["done"],
        failed=counts["failed"],
        incomplete=counts["incomplete"],
        pending=counts["pending"],
        computed=computed,
        seconds=time.monotonic() - began,
        failures=tuple(failures(group)),
        missing=_missing(job, clips),
        errors=tuple(errors),
    )


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


def plan_batches(clips: Sequence[Clip], redo: npt.NDArray[np.bool_], size: int) -> list[Batch]:
    """Batches that hold at least one row to compute.

    Parameters
    ----------
    clips : sequence of Clip
        All rows.
    redo : ndarray of bool, shape (n,)
        Which rows to compute.
    size : int
        Clips a batch.
    """
    return [
        Batch(start, tuple(clips[start : start + size]), tuple(redo[start : start + size].tolist()))
        for start in range(0, len(clips), size)
        if redo[start : start + size].any()
    ]


def process_batch(job: Job, address: StoreAddress, batch: Batch) -> list[tuple[int, str]]:
    """Compute and commit one batch; what a task runs. Gives each row's status and error."""
    group = open_group(address, "r+")
    kept: Sequence[Row | None] = (
        [None] * len(batch.clips)
        if all(batch.compute)
        else read_rows(group, batch.start, batch.start + len(batch.clips))
    )
    rows = [
        row if row is not None and not compute else compute_clip(job, clip)
        for clip, row, compute in zip(batch.clips, kept, batch.compute, strict=True)
    ]
    write_batch(group, batch.start, rows)
    return [(int(row.status), row.error) for row in rows]


def _count(status: npt.NDArray[np.uint8]) -> dict[str, int]:
    return {s.name.lower(): int((status == s).sum()) for s in Status}


def _missing(job: Job, clips: Sequence[Clip]) -> dict[str, int]:
    absent = {
        modality: sum(media_of(job, clip, modality) is None for clip in clips)
        for modality in job.modalities
    }
    return {modality: count for modality, count in absent.items() if count}
