"""Simulated clips, as many as wanted: made when they are asked for, decoded and computed at once.

Everything else is real: the client, the scheduler, the workers, the batches and the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

import emodask.features
from emodask.job import Job, parse_job
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.location import Location
from emodask.store import Row, Status

FAMILIES = Path(__file__).parent / "families"
CLIPS_PER_ACTOR = 60


def register_families() -> None:
    """Let this process find the feature families of the benchmarks."""
    if str(FAMILIES) not in emodask.features.__path__:
        emodask.features.__path__.append(str(FAMILIES))


def simulated_job(batch: int) -> Job:
    """A job whose one feature costs nothing."""
    register_families()
    settings = {
        "name": "simulated",
        "data": {"batch": batch},
        "features": {"stand_in": {}},
        "models": {"logistic": {"kind": "logistic"}},
    }
    return parse_job(settings)


class SimulatedClips(Sequence[Clip]):
    """Clips that are made when they are asked for: the memory of a real catalogue is not here."""

    def __init__(self, n_clips: int) -> None:
        self.rows = range(n_clips)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [simulated_clip(row) for row in self.rows[index]]
        return simulated_clip(self.rows[index])

    def __iter__(self) -> Iterator[Clip]:
        return map(simulated_clip, self.rows)


def simulated_clip(row: int) -> Clip:
    """The clip of a row, with the address of one file."""
    emotion = row % 8 + 1
    name = f"03-01-{emotion:02}-01-01-01-{row:07}"
    where = Location(f"/simulated/Actor_{row // CLIPS_PER_ACTOR:05}/{name}.wav")
    media = (MediaFile("audio-only", where),)
    return Clip(name[3:], row // CLIPS_PER_ACTOR % 30_000 + 1, emotion, 1, media=media)


def simulated_row(job: Job, clip: Clip, decode: object = None) -> Row:
    """What a worker finds out about a clip, without reading, decoding or computing."""
    values = np.full(4, clip.actor % 1000, np.float32)
    return Row(Status.DONE, {"stand_in": values}, seconds=0.5, frames=110)


class SimulateOnWorker(WorkerPlugin):
    """Puts :func:`simulated_row` in the place of computing, on every worker."""

    def setup(self, worker: object) -> None:
        """Register the families, and compute nothing from here on."""
        from emodask import batches

        register_families()
        batches.compute_clip = simulated_row


class MostTasks(SchedulerPlugin):
    """Counts the tasks that the scheduler holds at a time, and keeps the largest number."""

    name = "most-tasks"

    def __init__(self) -> None:
        self.most = 0
        self.tasks: dict[str, object] = {}

    async def start(self, scheduler: object) -> None:
        """Register the families there too: it unpickles what it passes on."""
        register_families()
        self.tasks = scheduler.tasks

    def transition(self, key: str, start: str, finish: str, *args: object, **more: object) -> None:
        """Look at each change of a task."""
        self.most = max(self.most, len(self.tasks))


@contextmanager
def counted_requests() -> Iterator[Counter[str]]:
    """What this process asks of stores in the block: counts by request and array."""
    from emodask.store.retrying import RetryingStore

    counts: Counter[str] = Counter()
    real = {name: getattr(RetryingStore, name) for name in ("get", "set", "exists", "delete")}

    def counting(name):
        async def call(self, key, *args, **options):
            counts[f"{name} {key.partition('/')[0]}"] += 1
            return await real[name](self, key, *args, **options)

        return call

    for name in real:
        setattr(RetryingStore, name, counting(name))
    try:
        yield counts
    finally:
        for name, method in real.items():
            setattr(RetryingStore, name, method)
