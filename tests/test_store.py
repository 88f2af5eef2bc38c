"""Promises of the store: its contract on disk, whole-chunk commits, and damage that is found."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from zarr.storage import LocalStore

import emodask
from emodask.errors import StoreError
from emodask.job import RESERVED, Job, parse_job
from emodask.sources.catalogue import Clip
from emodask.store import (
    Row,
    Status,
    StoreAddress,
    describe,
    failures,
    open_group,
    open_store,
    prepare,
    read_rows,
    read_status,
    specs,
    sweep,
    verify,
    write_batch,
)
from emodask.store.address import MARKER
from tests.conftest import SMALL

CLIPS = [Clip(f"01-0{e}-01-01-01-01", actor=1, emotion=e, channel=1) for e in range(1, 9)]


def full_row(job: Job, value: float) -> Row:
    shapes = {s.name: s.shape[1:] for s in specs(job, 1)}
    features = {name: np.full(shapes[name], value, np.float32) for name in job.features}
    return Row(Status.DONE, features, seconds=1.0, frames=10)


@pytest.fixture(params=["local", "memory"])
def address(request, tmp_path) -> StoreAddress:
    if request.param == "local":
        return StoreAddress.of(tmp_path / "s.zarr")
    return StoreAddress.of(f"memory://{tmp_path.name}-{request.node.name}.zarr")


def test_the_contract_on_disk(address, small_job):
    group = prepare(address, small_job, CLIPS)
    write_batch(group, 0, [full_row(small_job, v) for v in range(5)])
    expected = {
        "hog3d": (("clip", "cell_y", "cell_x", "cell_t", "bin", "angle"), "float32"),
        "spline": (("clip", "basis", "feature"), "float32"),
        "status": (("clip",), "uint8"),
        "actor": (("clip",), "int16"),
        "frames": (("clip",), "int32"),
        "seconds": (("clip",), "float32"),
        "checksum": (("clip",), "uint64"),
    }
    for name, (dims, dtype) in expected.items():
        array = group[name]
        assert array.metadata.dimension_names == dims
        assert array.dtype == dtype
        assert array.chunks[0] == 5
        assert array.chunks[1:] == array.shape[1:]
    assert group.metadata.zarr_format == 3
    assert list(group["clip_id"][:]) == [clip.clip_id for clip in CLIPS]
    about = dict(group.attrs["emodask"])
    assert (about["format"], about["version"]) == (1, emodask.__version__)
    assert about["job"] == small_job.extraction()


def test_no_feature_can_take_the_name_of_what_every_store_holds(small_job):
    table = {spec.name for spec in specs(small_job, 1)}
    dims = {dim for spec in specs(small_job, 1) for dim in spec.dims}
    assert table - set(small_job.features) - dims == RESERVED - {"clip"}


def test_a_batch_owns_its_chunks_and_status_is_written_last(address, small_job, monkeypatch):
    group = prepare(address, small_job, CLIPS)
    order = []
    real = zarr.Array.__setitem__

    def spy(self, selection, value):
        order.append((self.basename, selection))
        real(self, selection, value)

    monkeypatch.setattr(zarr.Array, "__setitem__", spy)
    write_batch(group, 5, [full_row(small_job, 1.0)] * 3)
    names = [name for name, _ in order]
    assert names[-1] == "status"
    assert set(names[:2]) == {"hog3d", "spline"}
    assert {(s.start, s.stop) for _, s in order} == {(5, 8)}


@pytest.mark.parametrize("stop_after", range(7))
def test_a_kill_between_writes_leaves_the_batch_pending(
    small_job, tmp_path, monkeypatch, stop_after
):
    address = StoreAddress.of(tmp_path / "s.zarr")
    group = prepare(address, small_job, CLIPS)
    real, written = zarr.Array.__setitem__, []

    def dies(self, selection, value):
        if len(written) == stop_after:
            raise KeyboardInterrupt
        written.append(self.basename)
        real(self, selection, value)

    with monkeypatch.context() as patched:
        patched.setattr(zarr.Array, "__setitem__", dies)
        with contextlib.suppress(KeyboardInterrupt):
            write_batch(group, 0, [full_row(small_job, 1.0)] * 5)
    done = read_status(open_group(address))
    assert (done[:5] == Status.DONE).all() == ("status" in written)
    assert verify(address).damage == ()
    write_batch(prepare(address, small_job, CLIPS), 0, [full_row(small_job, 1.0)] * 5)
    assert verify(address).counts["done"] == 5


def test_rows_read_back_as_they_were_written(address, small_job):
    group = prepare(address, small_job, CLIPS)
    rows = [full_row(small_job, v) for v in range(4)] + [Row(Status.FAILED, {}, "a.wav: why")]
    write_batch(group, 0, rows)
    again = read_rows(open_group(address), 0, 5)
    assert [(r.status, r.error, r.seconds, r.frames) for r in again] == [
        (r.status, r.error, r.seconds, r.frames) for r in rows
    ]
    assert np.array_equal(again[3].features["spline"], rows[3].features["spline"])
    assert np.isnan(again[4].features["hog3d"]).all()
    assert failures(open_group(address)) == [("01-05-01-01-01-01", "a.wav: why")]


def test_xarray_reads_the_store_without_emodask(small_store, small_job, recwarn):
    plain = xarray.open_zarr(small_store.url)
    assert not [w for w in recwarn if "consolidated" in str(w.message)]
    ours = emodask.open(small_store.url, status=None)
    assert plain.identical(ours)
    assert plain["hog3d"].dims == ("clip", "cell_y", "cell_x", "cell_t", "bin", "angle")
    assert list(plain["angle"].values) == ["azimuth", "polar"]
    assert plain["spline"].sel(feature="noise/mfcc_0").shape == (24, 8)
    assert "emotion" in plain.coords
    assert plain["hog3d"].chunksizes["clip"] == (5, 5, 5, 5, 4)


def test_open_gives_done_rows_alone_unless_asked(address, small_job):
    group = prepare(address, small_job, CLIPS)
    rows = [full_row(small_job, 1.0), Row(Status.FAILED, {}, "why")] * 2 + [full_row(small_job, 2)]
    write_batch(group, 0, rows)
    assert open_store(address).sizes["clip"] == 3
    assert open_store(address, status=None).sizes["clip"] == 8
    assert open_store(address, status=[Status.FAILED]).sizes["clip"] == 2


def test_verify_finds_changed_bytes(small_job, tmp_path):
    address = StoreAddress.of(tmp_path / "s.zarr")
    write_batch(prepare(address, small_job, CLIPS), 0, [full_row(small_job, 1.0)] * 5)
    assert verify(address).damage == ()
    group = open_group(address, "r+")
    changed = np.asarray(group["spline"][:5])
    changed[2, 0, 0] += 1
    group["spline"][:5] = changed
    assert verify(address).damage == ("row 2: the features are not those that were written",)
    chunk = tmp_path / "s.zarr" / "hog3d" / "c" / "0" / "0" / "0" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    assert "a chunk cannot be read" in verify(address).damage[0]


def test_other_settings_are_refused_with_both_digests_and_the_keys(address, small_job):
    prepare(address, small_job, CLIPS)
    settings = json.loads(json.dumps(SMALL))
    settings["features"]["hog3d"]["bins"] = 5
    other = parse_job(settings)
    with pytest.raises(StoreError) as error:
        prepare(address, other, CLIPS)
    text = str(error.value)
    assert "features.hog3d.bins (4 in the store, 5 in this job)" in text
    for job in (small_job, other):
        assert emodask.job.digest(job.extraction()) in text


def test_other_labels_are_refused_by_name(address, small_job):
    prepare(address, small_job, CLIPS)
    relabelled = [*CLIPS[:-1], replace(CLIPS[-1], emotion=7, actor=9)]
    with pytest.raises(
        StoreError, match=rf"in 2 places, such as actor of {CLIPS[-1].clip_id} is \d+ in"
    ):
        prepare(address, small_job, relabelled)


def test_other_clips_are_refused(address, small_job):
    prepare(address, small_job, CLIPS)
    with pytest.raises(StoreError, match="1 of the store's are not in the sources, 0 of"):
        prepare(address, small_job, CLIPS[:-1])
    renamed = [*CLIPS[:-1], replace(CLIPS[-1], clip_id="other")]
    with pytest.raises(StoreError, match="1 of the sources' not in the store"):
        prepare(address, small_job, renamed)


def test_an_interrupted_creation_is_done_again(small_job, tmp_path, monkeypatch):
    address = StoreAddress.of(tmp_path / "s.zarr")

    def dies(group, job, clips):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("emodask.store.writing._write_identity", dies)
        with pytest.raises(KeyboardInterrupt):
            prepare(address, small_job, CLIPS)
    with pytest.raises(StoreError, match="creation was interrupted"):
        open_group(address)
    prepare(address, small_job, CLIPS)
    undisturbed = StoreAddress.of(tmp_path / "t.zarr")
    prepare(undisturbed, small_job, CLIPS)
    assert files(tmp_path / "s.zarr") == files(tmp_path / "t.zarr")


def test_what_is_not_a_store_is_refused_and_left_alone(small_job, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    zarr.create_group(tmp_path / "other.zarr")
    (tmp_path / "file").write_text("mine")
    for name, message in (
        ("notes", "not an emodask store"),
        ("other.zarr", "not one that emodask wrote"),
        ("file", "file"),
    ):
        with pytest.raises(StoreError, match=message):
            prepare(StoreAddress.of(tmp_path / name), small_job, CLIPS)
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(StoreError, match="there is no store"):
        verify(tmp_path / "absent.zarr")


def test_describe_says_what_the_store_holds(small_store):
    about = describe(small_store)
    assert about["counts"] == {"pending": 0, "done": 24, "failed": 0, "incomplete": 0}
    assert about["actors"] == [1, 2, 3]
    assert about["arrays"]["spline"]["shape"] == [24, 8, 272]
    json.dumps(about)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_killed_writers_left_is_swept_when_a_job_goes_on(small_job, tmp_path):
    address = StoreAddress.of(tmp_path / "s.zarr")
    prepare(address, small_job, CLIPS)
    old = tmp_path / "s.zarr" / "spline" / "0.abc.partial"
    old.write_bytes(b"half a chunk")
    os.utime(old, (0, 0))
    young = tmp_path / "s.zarr" / "spline" / "1.abc.partial"
    young.write_bytes(b"somebody is at it")
    (tmp_path / "s.zarr" / MARKER).write_text("{}")
    sweep(address, {0})
    assert not old.exists()
    assert young.exists()
    assert not (tmp_path / "s.zarr" / MARKER).exists()


def test_an_interrupted_creation_of_another_job_is_cleared_away_once_it_is_old(
    small_job, tmp_path, monkeypatch
):
    address = StoreAddress.of(tmp_path / "s.zarr")
    real, put = LocalStore.set, []

    async def dies(self, key, value):
        put.append(key)
        if len(put) == 20:
            raise RuntimeError
        await real(self, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "set", dies)
        with pytest.raises(RuntimeError):
            prepare(address, small_job, CLIPS)
    with pytest.raises(StoreError, match="is being created there"):
        prepare(address, small_job, CLIPS[:-1])
    marker = tmp_path / "s.zarr" / MARKER
    marker.write_text(marker.read_text().replace('"time": ', '"time": 1, "was": '))
    prepare(address, small_job, CLIPS[:-1])
    undisturbed = StoreAddress.of(tmp_path / "t.zarr")
    prepare(undisturbed, small_job, CLIPS[:-1])
    assert files(tmp_path / "s.zarr") == files(tmp_path / "t.zarr")


def test_a_kept_row_keeps_the_checksum_it_was_committed_with(address, small_job):
    group = prepare(address, small_job, CLIPS)
    write_batch(group, 0, [full_row(small_job, 1.0)] * 5)
    spoiled = [replace(row, checksum=1) for row in read_rows(open_group(address), 0, 5)]
    write_batch(group, 0, spoiled)
    assert len(verify(address).damage) == 5
