"""Promises of extraction however many clips there are, kept on simulated ones."""

from __future__ import annotations

import errno
from itertools import islice
from uuid import uuid4

import numpy as np
import pytest
from distributed.scheduler import KilledWorker
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore

from emodask import batches, extraction
from emodask.batches import plan_batches
from emodask.errors import StoreError
from emodask.extraction import extract_clips
from emodask.store import (
    Row,
    Status,
    StoreAddress,
    open_group,
    open_store,
    prepare,
    read_status,
    refresh_status,
    verify,
    write_batch,
)
from tests.benchmarks import simulated
from tests.benchmarks.simulated import (
    SimulatedClips,
    counted_requests,
    simulated_clip,
    simulated_job,
    simulated_row,
)

CLIP = simulated_clip(0)


@pytest.fixture
def job(monkeypatch):
    """A job of one feature that costs nothing, with batches of 12; nothing is decoded."""
    monkeypatch.setattr(batches, "compute_clip", simulated_row)
    return simulated_job(12)


def test_batches_are_planned_as_they_are_drawn(monkeypatch):
    made = []
    monkeypatch.setattr(simulated, "simulated_clip", lambda row: made.append(row) or CLIP)
    plan = plan_batches(SimulatedClips(1_000_000), np.ones(1_000_000, bool), 12)
    next(plan)
    next(plan)
    assert made == list(range(24))


def test_a_store_that_is_almost_complete_is_gone_on_with_by_reading_status_alone(job, tmp_path):
    clips, address = SimulatedClips(600), StoreAddress.of(tmp_path / "s.zarr")
    extract_clips(job, clips, address)
    (tmp_path / "s.zarr" / "status" / "c" / "33").unlink()
    before: list[dict[str, int]] = []

    def progress(news) -> None:
        if not before:
            before.append(dict(requests))

    with counted_requests() as requests:
        summary = extract_clips(job, clips, address, on_progress=progress)
    assert (summary.computed, summary.done) == (12, 600)
    root, marker = "zarr.json", "emodask-creating.json"
    assert before == [{"get status": 50, f"get {root}": 3, f"exists {marker}": 1}]
    # Then one batch: its store is opened, its rows are read, computed and committed.
    # No error is what an absent chunk says.
    record = ("checksum", "seconds", "frames", "status")
    written = {name: count for name, count in requests.items() if name.startswith("set ")}
    assert written == {f"set {name}": 1 for name in (*job.features, *record)}
    assert requests["get status"] <= 50 + 2
    assert not any(requests[f"get {name}"] for name in ("clip_id", "actor", "error", *job.features))


def test_progress_counts_are_those_of_the_store_after_every_batch(job, tmp_path, monkeypatch):
    address = StoreAddress.of(tmp_path / "s.zarr")
    kinds = [Status.DONE, Status.FAILED, Status.INCOMPLETE, Status.PENDING, Status.DONE]

    def varied(job, clip, decode):
        return Row(kinds[int(clip.clip_id[-7:]) % 5], {}, "why")

    seen = []

    def progress(news) -> None:
        status = read_status(open_group(address))
        assert news.counts == {s.name.lower(): int((status == s).sum()) for s in Status}
        seen.append(news.computed)

    monkeypatch.setattr(batches, "compute_clip", varied)
    first = extract_clips(job, SimulatedClips(100), address, on_progress=progress)
    assert len(seen) == 1 + 9
    assert (first.done, first.failed, first.incomplete, first.pending) == (40, 20, 20, 20)
    assert len(first.failures) == 20
    monkeypatch.setattr(batches, "compute_clip", simulated_row)
    again = extract_clips(
        job, SimulatedClips(100), address, retry_failed=True, on_progress=progress
    )
    assert (again.done, again.computed, again.failures) == (100, 60, ())
    assert verify(address).damage == ()


class OneWorker:
    """In the place of a cluster: a worker that holds two batches, and dies of one clip."""

    victim = ""

    def __init__(self, function, client, items) -> None:
        self.function, self.waiting = function, iter(items)
        self.next, self.alone = [], []

    def add(self, item, alone=False) -> None:
        (self.alone if alone else self.next).append(item)

    def __iter__(self):
        while True:
            held, self.next = self.next[:2], self.next[2:]
            if not held and self.alone:
                held = [self.alone.pop(0)]
            elif not held:
                held = list(islice(self.waiting, 2))
            if not held:
                return
            dies = any(map(self.dies_of, held))
            for batch in held:
                yield batch, KilledWorker("", None, 4) if dies else self.function(batch)

    def dies_of(self, batch) -> bool:
        rows = zip(batch.clips, batch.compute, strict=True)
        return not batch.quarantine and self.victim in [c.clip_id for c, wanted in rows if wanted]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_only_the_clip_that_kills_workers_is_quarantined_whatever_died_beside_it(
    batch, tmp_path, monkeypatch
):
    monkeypatch.setattr(batches, "compute_clip", simulated_row)
    clips = SimulatedClips(23)
    monkeypatch.setattr(OneWorker, "victim", clips[8].clip_id)
    monkeypatch.setattr(extraction, "Tasks", OneWorker)
    summary = extract_clips(simulated_job(batch), clips, StoreAddress.of(tmp_path / "s.zarr"))
    assert (summary.done, summary.failed, summary.pending) == (22, 1, 0)
    why = "quarantined: every worker that computed this clip died"
    assert summary.failures == ((clips[8].clip_id, why),)
    assert summary.computed == 23


@settings(max_examples=25)
@given(st.lists(st.sampled_from(list(Status)), min_size=1, max_size=60), st.integers(1, 7))
def test_status_is_read_as_it_was_written(states, batch):
    address = StoreAddress.of(f"memory://{uuid4().hex}/s.zarr")
    group = prepare(address, simulated_job(batch), SimulatedClips(len(states)))
    for start in range(0, len(states), batch):
        rows = [Row(state, {}) for state in states[start : start + batch]]
        if any(row.status for row in rows):  # all others are pending: their chunk is not there
            write_batch(group, start, rows)
    assert read_status(group).tolist() == states
    pending = np.zeros(len(states), np.uint8)
    rows, found = refresh_status(group, pending)
    assert rows.tolist() == list(range(len(states)))
    assert found.tolist() == states
    assert refresh_status(group, np.ones(len(states), np.uint8))[1].size == 0


def test_a_status_chunk_that_cannot_be_read_is_named(job, tmp_path, monkeypatch):
    address = StoreAddress.of(tmp_path / "s.zarr")
    extract_clips(job, SimulatedClips(100), address)
    real = LocalStore.get

    async def refuses(self, key, *args, **options):
        if key == "status/c/3":
            raise PermissionError(errno.EACCES, "Permission denied")
        return await real(self, key, *args, **options)

    monkeypatch.setattr(LocalStore, "get", refuses)
    with pytest.raises(StoreError, match=r"s\.zarr/status/c/3: cannot be read: permission denied"):
        read_status(open_group(address))


def test_names_and_labels_of_many_clips_lie_in_few_chunks(tmp_path):
    clips, address = SimulatedClips(300), StoreAddress.of(tmp_path / "s.zarr")
    prepare(address, simulated_job(1), clips)
    chunks = list((tmp_path / "s.zarr" / "clip_id" / "c").iterdir())
    assert len(chunks) == 150  # two batches each: at most 256 chunks
    everything = open_store(address, status=None)
    assert everything["clip_id"].values.tolist() == [clip.clip_id for clip in clips]
    assert everything["actor"].values.tolist() == [clip.actor for clip in clips]
    small = StoreAddress.of(tmp_path / "t.zarr")
    prepare(small, simulated_job(5), clips)
    assert open_group(small)["clip_id"].chunks == open_group(small)["status"].chunks == (5,)
