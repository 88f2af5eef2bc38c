"""What workers may take, and the refusal of what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emodask.errors import ClusterError, JobError
from emodask.isolation import CLIP_MEMORY
from emodask.memory.plan import MemoryPlan, bytes_text

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Workers:
    """What is known of the workers of a job.

    Attributes
    ----------
    limit : int or None
        Bytes that the smallest may take; None if nothing limits them.
    threads : int
        Batches that one computes at a time.
    nanny : bool
        Whether the limit also holds for the process that watches it.
    isolated : bool
        Whether decoding has a process of its own; not where everything runs in this process.
    """

    limit: int | None
    threads: int = 1
    nanny: bool = False
    isolated: bool = True


def workers_of(client: Client | None) -> Workers:
    """Ask a cluster for the limits of its workers, or this machine for its memory."""
    if client is None:
        from distributed.system import memory_limit

        return Workers(int(memory_limit()) or None, isolated=False)
    try:
        found = client.scheduler_info(n_workers=-1)["workers"].values()
    except TypeError:  # a Dask that tells of all workers anyway
        found = client.scheduler_info()["workers"].values()
    limits = [int(worker["memory_limit"]) for worker in found if worker.get("memory_limit")]
    return Workers(
        min(limits, default=None),
        max((int(worker["nthreads"]) for worker in found), default=1),
        nanny=type(client.cluster).__name__ != "LocalCluster"
        and any(worker.get("nanny") for worker in found),
    )


_LAZY = 128 << 20
"""What a decoder allocates once: libraries and kernels that it loads with its first clip."""


def clip_memory(plan: MemoryPlan, workers: Workers) -> int:
    """Bytes that a decoder may allocate: no more than leaves its worker within the limit.

    So a hostile clip that takes all it can get costs its row alone, on a small worker too.
    """
    if workers.limit is None:
        return CLIP_MEMORY
    room = plan.decoding + (workers.limit - plan.peak) // plan.threads
    return min(CLIP_MEMORY, max(room, plan.decoding + _LAZY))


def refuse(plan: MemoryPlan, workers: Workers, existing: str | None = None) -> None:
    """Refuse a plan that does not fit.

    Parameters
    ----------
    plan : MemoryPlan
    workers : Workers
    existing : str, optional
        The address of the store, if it is there already: its batch size cannot be changed.

    Raises
    ------
    JobError
        If smaller batches would fit, or a clip takes more than its decoder may.
    ClusterError
        If not even one clip does.
    """
    if workers.isolated and plan.decoding + _LAZY > CLIP_MEMORY:
        raise JobError(
            f"memory plan: decoding a clip of {plan.clip} takes {bytes_text(plan.decoding)}, and a "
            f"decoder may take {bytes_text(CLIP_MEMORY - _LAZY)}; let the job's features scale "
            "frames to a smaller height and width, or to fewer"
        )
    if workers.limit is None or plan.needed <= workers.limit:
        return
    largest = plan.largest_batch(workers.limit)
    where = "the smallest worker's limit is" if workers.isolated else "this machine has"
    size = f"{plan.batch} clip{'s' if plan.batch > 1 else ''}"
    found = (
        f"memory plan: batches of {size} take {bytes_text(plan.peak)} a worker and need a limit of "
        f"{bytes_text(plan.needed)}; {where} {bytes_text(workers.limit)}. "
    )
    more = "give workers more memory (--memory-limit, fewer workers)"
    if not workers.isolated:
        more = "use a machine with more memory"
    if largest and existing:
        raise JobError(
            f"{found}{existing} has this batch size for good: {more}, or use another store with "
            f"data.batch = {largest}, the most that fits"
        )
    if largest:
        raise JobError(f"{found}Set data.batch = {largest}, the most that fits, or {more}")
    raise ClusterError(
        f"{found}Not even batches of 1 clip fit: {more}, or let features scale frames to a smaller "
        "height and width"
    )
