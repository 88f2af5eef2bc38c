"""Batches: consecutive clips that one task computes and commits, and how a batch is halved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import zarr

import emodask
from emodask.clip_features import add_steps
from emodask.clip_rows import compute_clip
from emodask.errors import ClusterError, StoreError
from emodask.isolation import CLIP_MEMORY, CLIP_TIMEOUT, Decoder, decoder_of_this_thread
from emodask.job import Job, digest
from emodask.sources.catalogue import Clip
from emodask.store import (
    Row,
    Status,
    StoreAddress,
    attributes,
    open_group,
    read_rows,
    read_status,
    write_batch,
)

_GIVE_UP_AFTER = 3
"""Clips in a row whose media is unreachable, after which a batch leaves its others pending."""


@dataclass(frozen=True)
class Batch:
    """Consecutive clips that one task computes: one chunk of every array.

    Attributes
    ----------
    start : int
        Row of the first clip.
    clips : tuple of Clip
        All clips of the chunk.
    compute : tuple of bool
        Which of them this task has to compute.
    retry : bool
        Compute them even if another run has committed them since.
    alone : bool
        Whether no other batch of this run is under way beside it.
    quarantine : str
        Reason for which the clips to compute are marked as failed, uncomputed.
    """

    start: int
    clips: tuple[Clip, ...]
    compute: tuple[bool, ...]
    retry: bool = False
    alone: bool = False
    quarantine: str = ""

    def __str__(self) -> str:
        rows = zip(self.clips, self.compute, strict=True)
        names = [clip.clip_id for clip, wanted in rows if wanted]
        if len(names) < 2:
            return f"clip {''.join(names)}"
        return f"{len(names)} clips {names[0]} to {names[-1]}"

    @property
    def size(self) -> int:
        """How many clips there are to compute."""
        return sum(self.compute)

    def halves(self) -> tuple[Batch, Batch]:
        """The same chunk twice, each with half of the clips to compute.

        Both write the same chunks: the second must not start before the first has ended. A half
        of a single clip is for computing alone: what then dies has died of that clip.

        Examples
        --------
        >>> whole = Batch(0, tuple(Clip(c, 1, 1) for c in "abc"), (True, False, True))
        >>> [half.compute for half in whole.halves()]
        [(True, False, False), (False, False, True)]
        """
        rows = [i for i, wanted in enumerate(self.compute) if wanted]
        first = set(rows[: (len(rows) + 1) // 2])
        parts = (first, set(rows) - first)
        one, other = (
            replace(
                self,
                compute=tuple(i in part for i in range(len(self.clips))),
                alone=len(part) == 1,
            )
            for part in parts
        )
        return one, other


def plan_batches(
    clips: Sequence[Clip], redo: npt.NDArray[np.bool_], size: int, retry: bool = False
) -> Iterator[Batch]:
    """Batches that hold at least one row to compute, one at a time.

    Parameters
    ----------
    clips : sequence of Clip
        All rows.
    redo : ndarray of bool, shape (n,)
        Which rows to compute.
    size : int
        Clips a batch.
    retry : bool
        See :class:`Batch`.
    """
    for number in np.unique(np.flatnonzero(redo) // size).tolist():
        rows = slice(number * size, (number + 1) * size)
        yield Batch(rows.start, tuple(clips[rows]), tuple(redo[rows].tolist()), retry)


@dataclass(frozen=True)
class BatchOutcome:
    """What a task found out about the rows of its chunk.

    Attributes
    ----------
    status : tuple of int
        As stored, whoever computed it.
    errors : tuple of str
        Why a row failed or is incomplete.
    unreachable : tuple of str
        Why the media of a row could not be fetched this time; empty for all others.
    computed : int
        How many rows this task has committed.
    steps : mapping of str to float
        Seconds of wall time that computing them took, by step.
    """

    status: tuple[int, ...]
    errors: tuple[str, ...]
    unreachable: tuple[str, ...]
    computed: int
    steps: Mapping[str, float] = field(default_factory=dict)


def process_batch(
    job: Job,
    address: StoreAddress,
    batch: Batch,
    *,
    isolated: bool = False,
    clip_timeout: float = CLIP_TIMEOUT,
    clip_memory: int = CLIP_MEMORY,
    version: str = emodask.__version__,
) -> BatchOutcome:
    """Compute and commit one batch; what a task runs.

    Rows that another run of the same job has committed in the meantime are left as they are.

    Parameters
    ----------
    job : Job
    address : StoreAddress
    batch : Batch
    isolated : bool
        Decode in a process of its own, with limits on time and memory.
    clip_timeout : float
        Seconds that a clip may take, where it is isolated.
    clip_memory : int
        Bytes that its decoder may allocate beyond what its libraries need.
    version : str
        The emodask that hands out the batches: another one may compute other bytes.

    Raises
    ------
    ClusterError
        If another version runs here.
    StoreError
        If the store cannot be written, or is not the one that the job was started on.
    """
    if version != emodask.__version__:
        raise ClusterError(f"this worker has emodask {emodask.__version__}, not {version}")
    group = open_group(address, "r+")
    _check_same_store(group, address, job)
    stop = batch.start + len(batch.clips)
    wanted = np.array(batch.compute)
    if not batch.retry:
        wanted &= read_status(group, batch.start, stop) == Status.PENDING
    decoder = partial(decoder_of_this_thread, job, clip_memory) if isolated else None
    rows = _compute(job, batch, wanted, decoder, clip_timeout)
    # Media that could not be fetched says nothing new about a row: what is stored of it stays.
    fresh = [row if row is not None and row.status != Status.PENDING else None for row in rows]
    # Read as late as can be: what another run has committed in this chunk stays.
    kept = fresh if all(fresh) else read_rows(group, batch.start, stop)
    merged = [row for new, old in zip(fresh, kept, strict=True) if (row := new or old)]
    if any(fresh):
        write_batch(group, batch.start, merged)
    return BatchOutcome(
        status=tuple(int(row.status) for row in merged),
        errors=tuple(row.error for row in merged),
        unreachable=tuple(
            new.error if new and new.status == Status.PENDING and row.status != Status.DONE else ""
            for new, row in zip(rows, merged, strict=True)
        ),
        computed=sum(row is not None for row in fresh),
        steps=_steps(fresh),
    )


def _steps(rows: Sequence[Row | None]) -> dict[str, float]:
    """What rows that have just been computed took, by step; ``other`` is what no step covers."""
    total: dict[str, float] = {}
    for row in rows:
        if row is not None and row.steps:
            rest = max(0.0, row.seconds - sum(row.steps.values()))
            add_steps(total, {**row.steps, "other": rest})
    return total


def _check_same_store(group: zarr.Group, address: StoreAddress, job: Job) -> None:
    if attributes(group)["digest"] != digest(job.extraction()):
        raise StoreError(f"{address}: another job has made a store there since this one started")


def _compute(
    job: Job,
    batch: Batch,
    wanted: npt.NDArray[np.bool_],
    decoder: Callable[[], Decoder] | None,
    clip_timeout: float,
) -> list[Row | None]:
    rows: list[Row | None] = []
    unreachable = 0
    for clip, compute in zip(batch.clips, wanted, strict=True):
        if not compute:
            rows.append(None)
        elif batch.quarantine:
            rows.append(Row(Status.FAILED, {}, batch.quarantine))
        elif unreachable >= _GIVE_UP_AFTER:
            previous = rows[-1]
            rows.append(Row(Status.PENDING, {}, previous.error if previous else ""))
        else:
            decode = decoder().for_clip(clip_timeout) if decoder else None
            row = compute_clip(job, clip, decode)
            unreachable = unreachable + 1 if row.status == Status.PENDING else 0
            rows.append(row)
    return rows
