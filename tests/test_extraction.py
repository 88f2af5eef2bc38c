"""Promises of extraction: resumable, deterministic, and a bad clip costs one row."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask import batches, extraction
from emodask.batches import plan_batches
from emodask.clip_features import clip_seed
from emodask.clip_rows import compute_clip
from emodask.cluster import connect
from emodask.errors import SourceError, UnreachableError, UsageError
from emodask.extraction import extract, rows_to_compute
from emodask.job import parse_job
from emodask.sources.catalogue import Clip, MediaFile, scan
from emodask.store import Status, StoreAddress, open_group, open_store, read_status, verify
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav, zip_of

VOLATILE = ("seconds",)


def stored(store: Path | str) -> dict[str, bytes]:
    """The bytes of a local store, timings aside."""
    folder = Path(store)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in VOLATILE
        and path.suffix != ".partial"
    }


@given(
    st.lists(st.sampled_from(list(Status)), max_size=40),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)
def test_batches_cover_each_row_to_compute_once_and_start_at_chunks(states, size, media, retry):
    status = np.array(states, np.uint8)
    clips = [Clip(str(i), 1, 1) for i in range(len(states))]
    redo = rows_to_compute(status, [media] * len(states), retry)
    planned = list(plan_batches(clips, redo, size))
    assert all(batch.start % size == 0 for batch in planned)
    assert all(len(batch.clips) == min(size, len(clips) - batch.start) for batch in planned)
    covered = [
        batch.start + i for batch in planned for i, wanted in enumerate(batch.compute) if wanted
    ]
    assert covered == np.flatnonzero(redo).tolist()
    assert not redo[status == Status.DONE].any()
    assert redo[status == Status.PENDING].all()


def test_running_again_computes_nothing(corpus, small_job, small_store, monkeypatch):
    def never(*args):
        raise AssertionError("a committed row was computed again")

    monkeypatch.setattr(batches, "compute_clip", never)
    before = stored(small_store.url)
    summary = extract(small_job, f"{corpus}/*.zip", small_store)
    assert (summary.computed, summary.done) == (0, 24)
    assert stored(small_store.url) == before


@pytest.mark.parametrize("stop_at", [0, 1, 7, 23])
def test_a_stop_anywhere_then_a_resume_gives_the_same_bytes(
    corpus, small_job, small_store, tmp_path, monkeypatch, stop_at
):
    store, computed = tmp_path / "s.zarr", []

    def stops(job, clip, decode):
        if len(computed) == stop_at:
            raise KeyboardInterrupt
        computed.append(clip.clip_id)
        return compute_clip(job, clip, decode)

    with monkeypatch.context() as patched:
        patched.setattr(batches, "compute_clip", stops)
        with pytest.raises(KeyboardInterrupt):
            extract(small_job, f"{corpus}/*.zip", store)
    committed = int((read_status(open_group(StoreAddress.of(store))) == Status.DONE).sum())
    assert committed == stop_at // 5 * 5
    summary = extract(small_job, f"{corpus}/*.zip", store)
    assert summary.computed == 24 - committed
    assert stored(store) == stored(small_store.url)


def test_ctrl_c_on_the_command_line_then_the_same_command_gives_the_same_bytes(
    corpus, small_job, small_store, tmp_path
):
    store = tmp_path / "s.zarr"
    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    command = [sys.executable, "-m", "emodask", "extract", str(job), "--source"]
    command += [f"{corpus}/*.zip", "--store", str(store), "--workers", "1"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("extract: ") and not line.startswith("extract: 0/"):
            break
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    assert "Run the same command to go on" in errors
    assert "Traceback" not in errors
    committed = int((read_status(open_group(StoreAddress.of(store))) == Status.DONE).sum())
    again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    if committed < 24:
        assert f"{committed} of 24 clips are already in the store" in again.stdout
    assert stored(store) == stored(small_store.url)


def as_toml(settings: dict) -> str:
    """TOML of nested tables whose leaves are JSON-like."""
    import json

    lines, tables = [], []
    for key, value in settings.items():
        if isinstance(value, dict):
            tables.append((key, value))
        else:
            lines.append(f"{key} = {json.dumps(value)}")

    def emit(path: str, table: dict) -> None:
        lines.append(f"[{path}]")
        lines.extend(f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict))
        for key, value in table.items():
            if isinstance(value, dict):
                emit(f"{path}.{key}", value)

    for key, value in tables:
        emit(key, value)
    return "\n".join(lines) + "\n"


def test_workers_and_batches_in_flight_do_not_change_the_bytes(
    corpus, small_job, small_store, tmp_path
):
    with connect("local", workers=2) as client:
        summary = extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
    assert summary.done == 24
    assert stored(tmp_path / "s.zarr") == stored(small_store.url)


def test_a_running_scheduler_can_be_joined(corpus, small_job, small_store, tmp_path):
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
    assert stored(tmp_path / "s.zarr") == stored(small_store.url)


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:1", "somewhere"])
def test_a_scheduler_that_does_not_answer_is_named(scheduler):
    with pytest.raises(UsageError, match=scheduler), connect(scheduler):
        pass


BAD = {
    "03-01-02-01-01-01-01.wav": (b"not a wav", "not a media file"),
    "03-01-02-01-01-02-01.wav": (wav(np.zeros(0, np.float32)), "zero samples"),
    "03-01-02-01-02-01-01.wav": (wav(tone(0.2)), "too short"),
    "03-01-02-01-02-02-01.wav": (wav(np.zeros(48_000, np.float32)), "silence"),
    "03-01-02-02-01-01-01.wav": (
        wav(np.full(48_000, np.inf, np.float32), subtype="FLOAT"),
        "finite",
    ),
    "01-01-03-01-01-01-01.mp4": (mp4(None, sound=tone()), "no video stream"),
    "01-01-03-01-01-02-01.mp4": (mp4(moving_bars(1), sound=tone()), "1 video frame"),
    "01-01-03-01-02-01-01.mp4": (mp4(moving_bars(20)), "no sound stream"),
}


def test_a_bad_clip_costs_its_row_with_the_reason_and_never_the_others(small_job, tmp_path):
    good = {
        "01-01-05-01-01-01-01.mp4": mp4(moving_bars(30, 50, 34), 25, sound=tone()),
        "03-01-06-01-01-01-01.wav": wav(tone(rate=44_100), rate=44_100),
    }
    zip_of(tmp_path / "a.zip", {**{n: d for n, (d, _) in BAD.items()}, **good})
    summary = extract(small_job, str(tmp_path / "a.zip"), tmp_path / "s.zarr")
    reasons = dict(summary.failures)
    for name, (_, reason) in BAD.items():
        assert reason in reasons[name[3:-4]], name
        assert reasons[name[3:-4]].startswith(f"a.zip/{name}: ")
    assert (summary.done, summary.failed, summary.incomplete) == (1, len(BAD), 1)
    everything = open_store(tmp_path / "s.zarr", status=None)
    failed = everything.isel(clip=everything["status"].values == Status.FAILED)
    assert np.isnan(failed["hog3d"].values).all()
    assert np.isnan(failed["spline"].values).all()
    assert verify(tmp_path / "s.zarr").damage == ()


def test_retrying_computes_failed_clips_and_those_whose_media_has_come(small_job, tmp_path):
    names = ["01-01-02-01-01-01-01.mp4", "02-01-03-01-01-01-01.mp4", "03-01-03-01-01-01-01.wav"]
    clip = mp4(moving_bars(20), sound=tone())
    media = tmp_path / "media"
    media.mkdir()
    (media / names[0]).write_bytes(b"broken")
    (media / names[1]).write_bytes(clip)
    store = tmp_path / "s.zarr"
    first = extract(small_job, str(media), store)
    assert (first.failed, first.incomplete, first.missing) == (1, 1, {"audio": 1})
    (media / names[0]).write_bytes(clip)
    (media / names[2]).write_bytes(wav(tone()))
    assert extract(small_job, str(media), store).computed == 0
    retried = extract(small_job, str(media), store, retry_failed=True)
    assert (retried.computed, retried.done) == (2, 2)
    assert extract(small_job, str(media), tmp_path / "t.zarr").done == 2
    assert stored(store) == stored(tmp_path / "t.zarr")


def test_media_that_cannot_be_fetched_leaves_committed_rows_as_they_are(
    small_job, tmp_path, monkeypatch
):
    media, store = tmp_path / "media", tmp_path / "s.zarr"
    media.mkdir()
    for i in range(1, 4):
        (media / f"03-01-03-01-01-01-{i:02}.wav").write_bytes(wav(tone()))
    assert extract(small_job, str(media), store).incomplete == 3
    before = stored(store)
    for i in range(1, 4):
        (media / f"02-01-03-01-01-01-{i:02}.mp4").write_bytes(mp4(moving_bars(20)))
    read = MediaFile.read

    def away(self):
        if self.kind == "video-only" and not str(self).endswith("01.mp4"):
            raise UnreachableError("the server is away")
        return read(self)

    monkeypatch.setattr(MediaFile, "read", away)
    partly = extract(small_job, str(media), store, retry_failed=True)
    assert (partly.computed, partly.done, partly.incomplete, partly.pending) == (1, 1, 2, 0)
    assert len(partly.errors) == 2
    spline = open_store(store, status=None)["spline"].values
    assert np.isfinite(spline).all()
    monkeypatch.setattr(MediaFile, "read", lambda self: away(replace(self, kind="video-only")))
    assert extract(small_job, str(media), store, retry_failed=True).computed == 0
    monkeypatch.setattr(MediaFile, "read", read)
    assert extract(small_job, str(media), store, retry_failed=True).done == 3
    assert stored(store) != before


def test_a_run_whose_rows_another_has_committed_meanwhile_ends_well(corpus, small_job, tmp_path):
    store = tmp_path / "s.zarr"
    others = []

    def meanwhile(progress):
        if not others:
            others.append(None)
            others.append(extract(small_job, f"{corpus}/*.zip", store))

    late = extract(small_job, f"{corpus}/*.zip", store, on_progress=meanwhile)
    assert (others[1].computed, late.computed, late.done) == (24, 0, 24)
    assert (late.stopped, late.errors) == ("", ())


def test_batches_are_counted_once_each_however_often_they_are_halved(
    small_job, corpus, tmp_path, monkeypatch
):
    deadly = "01-01-01-01-01-01"
    compute = extraction.process_batch

    def killing(job, address, batch, **options):
        clips = zip(batch.clips, batch.compute, strict=True)
        if not batch.quarantine and any(c.clip_id == deadly for c, wanted in clips if wanted):
            raise MemoryError
        return compute(job, address, batch, **options)

    monkeypatch.setattr(extraction, "process_batch", killing)
    monkeypatch.setattr(extraction, "killed_its_workers", lambda out: isinstance(out, MemoryError))
    news = []
    found = extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", on_progress=news.append)
    assert (found.done, found.failed) == (23, 1)
    assert {progress.all_batches for progress in news} == {5}
    counted = [progress.batches for progress in news]
    assert counted == sorted(counted)
    assert sorted(set(counted)) == [0, 1, 2, 3, 4, 5]
    assert len(counted) > 6


def test_no_folder_of_this_machine_is_written_to_the_store(small_job, tmp_path):
    zip_of(tmp_path / "a.zip", {"01-01-02-01-01-01-01.mp4": b"broken" * 100})
    (tmp_path / "03-01-03-01-01-01-01.wav").write_bytes(b"broken")
    extract(small_job, str(tmp_path), tmp_path / "s.zarr")
    assert read_status(open_group(StoreAddress.of(tmp_path / "s.zarr"))).tolist() == [2, 2]
    everything = open_store(tmp_path / "s.zarr", status=None)
    text = str(everything.attrs) + " ".join(map(str, everything["error"].values))
    assert str(tmp_path) not in text
    assert "a.zip/01-01-02-01-01-01-01.mp4" in text


def test_a_store_made_anew_at_the_same_place_is_written_by_its_own_layout(corpus, tmp_path):
    source, store = str(corpus / "Video_Speech_Actor_01.zip"), tmp_path / "s.zarr"
    for bins in (4, 3):
        features = {**SMALL["features"], "hog3d": {**SMALL["features"]["hog3d"], "bins": bins}}
        job = parse_job({**SMALL, "features": features})
        assert extract(job, source, store).done == 8
        assert open_store(store).sizes["bin"] == bins
        assert verify(store).damage == ()
        shutil.rmtree(store)


def test_noise_depends_on_the_seed_and_the_clip_alone(corpus, small_job):
    clip = scan(f"{corpus}/*.zip").clips[3]
    first, again = compute_clip(small_job, clip), compute_clip(small_job, clip)
    assert np.array_equal(first.features["spline"], again.features["spline"])
    other = compute_clip(parse_job({**SMALL, "seed": 8}), clip)
    noise = slice(0, 34)
    assert not np.array_equal(
        first.features["spline"][:, noise], other.features["spline"][:, noise]
    )
    assert np.array_equal(first.features["spline"][:, 34:], other.features["spline"][:, 34:])
    assert clip_seed(1, "a") != clip_seed(1, "b")


def test_sources_without_a_clip_for_the_job_are_refused(small_job, tmp_path):
    zip_of(tmp_path / "a.zip", {"03-02-03-01-01-01-01.wav": b"song", "odd.txt": b""})
    with pytest.raises(SourceError, match=r"no clip for job small among 1 clip\(s\)"):
        extract(small_job, str(tmp_path), tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_real_clips_of_both_kinds_are_read(small_job, ravdess, tmp_path):
    with zipfile.ZipFile(ravdess / "Audio_Speech_Actors_01-14.zip") as archive:
        names = [n for n in archive.namelist() if n.startswith("Actor_01/03-01-01")]
        zip_of(tmp_path / "audio.zip", {name: archive.read(name) for name in names})
    summary = extract(
        small_job,
        [str(ravdess / "Video_Speech_Actor_01.zip"), str(tmp_path / "audio.zip")],
        tmp_path / "s.zarr",
    )
    # Five clips have video, three of them full audio-video too; four have a wav.
    assert summary.failures == ()
    assert (summary.total, summary.done, summary.incomplete) == (7, 3, 4)
    assert summary.missing == {"video": 2, "audio": 2}
    done = open_store(tmp_path / "s.zarr")
    assert done["frames"].values.tolist() == [10, 10, 10]
