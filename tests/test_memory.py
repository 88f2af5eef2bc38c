"""Promises of the memory plan: measured peaks keep within it, and what does not fit is refused."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask import extraction
from emodask.cluster import connect
from emodask.errors import ClusterError, JobError
from emodask.extraction import extract
from emodask.isolation import CLIP_MEMORY
from emodask.job import Job, load_job, parse_job
from emodask.media.header import Header, header
from emodask.memory import (
    ClipShape,
    MemoryPlan,
    Workers,
    clip_memory,
    largest_clip,
    plan_memory,
    refuse,
    workers_of,
)
from emodask.sources.catalogue import scan
from tests.media_files import moving_bars, mp4, tone, wav
from tests.test_extraction import as_toml

if TYPE_CHECKING:
    from distributed import Client

MODELS = {"logistic": {"kind": "logistic"}}

# Rows of 4.7 MB from frames that take no time.
FINE = {
    "name": "fine",
    "data": {"batch": 1000},
    "features": {
        "hog3d": {"height": 36, "width": 64, "frames": 20, "cell": [1, 2, 10], "bins": 64},
    },
    "models": MODELS,
}


def peaks(client: Client) -> tuple[int, int]:
    """The most resident memory that a worker, and its decoder, have had: bytes.

    Read from here: a function that they ran would bring modules of the tests along.
    """
    import psutil

    def most(process: int) -> int:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return int(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0]) * 1024

    (worker,) = client.run(os.getpid).values()
    (decoder,) = psutil.Process(worker).children()
    return most(worker), most(decoder.pid)


def measured(job: Job, sources: str, store: Path) -> tuple[tuple[int, int], MemoryPlan]:
    """Peaks of a worker and its decoder while they compute all clips, and what was planned."""
    plans: list[MemoryPlan] = []
    with connect("local", workers=1) as client:
        summary = extract(
            job, sources, store, client, on_plan=lambda plan, workers: plans.append(plan)
        )
        found = peaks(client)
    assert summary.done > 0
    assert (summary.failures, summary.pending) == ((), 0)
    return found, plans[0]


def default(batch: int = 12, **hog3d: object) -> Job:
    settings = load_job("hog3d-spline").settings()
    settings["data"]["batch"] = batch
    settings["features"]["hog3d"] |= hog3d
    return parse_job(settings)


@pytest.fixture(scope="module")
def small_clips(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixteen clips of few small frames: their rows are what takes memory."""
    folder = tmp_path_factory.mktemp("small")
    film, sound = mp4(moving_bars(12)), wav(tone())
    for i in range(16):
        (folder / f"02-01-01-01-01-01-{i + 1:02}.mp4").write_bytes(film)
        (folder / f"03-01-01-01-01-01-{i + 1:02}.wav").write_bytes(sound)
    return str(folder)


@pytest.fixture(scope="module")
def large_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One clip in full HD."""
    folder = tmp_path_factory.mktemp("large")
    film = mp4(np.tile(moving_bars(60), (1, 30, 30, 1)))
    (folder / "02-01-01-01-01-01-01.mp4").write_bytes(film)
    (folder / "03-01-01-01-01-01-01.wav").write_bytes(wav(tone(5)))
    return str(folder)


linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc: use Linux")


@pytest.fixture(scope="module")
def least(small_clips, tmp_path_factory) -> tuple[tuple[int, int], MemoryPlan]:
    """Peaks and plan of batches of one small clip: what processes take anyway."""
    first = str(Path(small_clips) / "*-01.*")
    return measured(default(1), first, tmp_path_factory.mktemp("least") / "s.zarr")


def check(found: tuple[tuple[int, int], MemoryPlan], least, decoded: bool) -> None:
    """A peak is within its plan, the plan is no more than half too high, nor what is added."""
    (own, decoder), plan = found
    assert own <= plan.own
    assert decoder <= plan.decoder + plan.decoding
    assert plan.peak <= 1.5 * (own + decoder)
    (own_least, decoder_least), plan_least = least
    if decoded:
        added, planned = decoder - decoder_least, plan.decoding - plan_least.decoding
    else:
        added, planned = own - own_least, plan.own - plan_least.own
    assert 0 < planned <= 2 * added


@linux
def test_processes_at_rest_take_what_is_planned(least):
    (own, decoder), plan = least
    assert own <= plan.own <= 1.5 * own
    assert decoder <= plan.decoder + plan.decoding <= 1.5 * decoder


@linux
def test_a_batch_of_many_clips_takes_what_is_planned(small_clips, least, tmp_path):
    check(measured(default(16), small_clips, tmp_path / "s.zarr"), least, decoded=False)


@linux
@pytest.mark.parametrize(
    "setting",
    [
        {"gray": "rgb", "height": 540, "width": 960, "cell": (20, 20, 10)},
        {"gray": "luma", "height": 1080, "width": 1920, "cell": (40, 40, 10)},
    ],
    ids=lambda setting: f"{setting['width']}x{setting['height']}-{setting['gray']}",
)
def test_large_frames_take_what_is_planned(large_clip, least, tmp_path, setting):
    job = default(1, **setting)
    check(measured(job, large_clip, tmp_path / "s.zarr"), least, decoded=True)


@linux
@pytest.mark.parametrize("setting", [{}, {"crop": "face", "width": 240}], ids=["frames", "faces"])
def test_real_clips_take_what_is_planned(ravdess, least, tmp_path, setting):
    job = default(2, **setting)
    sources = str(ravdess / "Video_Speech_Actor_01.zip")
    settings = job.settings()
    settings["data"] |= {"video": "full-av", "audio": "full-av"}
    check(measured(parse_job(settings), sources, tmp_path / "s.zarr"), least, decoded=True)


shapes = st.builds(
    ClipShape,
    width=st.integers(16, 4096),
    height=st.integers(16, 4096),
    frames=st.integers(2, 20_000),
    seconds=st.floats(0.1, 3600),
    size=st.integers(1000, 1 << 29),
)


@given(
    shapes,
    st.integers(1, 1000),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.integers(1, 1 << 38),
)
def test_the_largest_batch_fits_and_one_more_clip_does_not(
    shape, batch, threads, isolated, remote, limit
):
    job = load_job("hog3d-spline")
    plan = plan_memory(job, shape, batch, threads=threads, isolated=isolated, remote=remote)
    largest = plan.largest_batch(limit)
    assert replace(plan, batch=largest + 1).needed > limit
    if largest:
        assert replace(plan, batch=largest).needed <= limit


def test_a_worker_whose_own_process_dask_would_pause_is_refused():
    plan = plan_memory(load_job("hog3d-spline"), ClipShape(), batch=800)
    assert plan.needed > plan.peak
    with pytest.raises(JobError, match=f"data.batch = {plan.largest_batch(plan.needed - 1)}"):
        refuse(plan, Workers(plan.needed - 1))
    refuse(plan, Workers(plan.needed))


def test_unlimited_workers_take_any_batch():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, memory_limit=0, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        workers = workers_of(client)
    assert workers.limit is None
    refuse(plan_memory(load_job("hog3d-spline"), ClipShape(), batch=1000), workers)


def test_what_a_decoder_may_not_take_is_refused_whatever_the_batch():
    job = default(1, height=4000, width=4000, frames=50)
    plan = plan_memory(job, ClipShape(), 1)
    with pytest.raises(JobError, match="smaller height and width"):
        refuse(plan, Workers(None))


def test_a_worker_too_small_for_one_clip_is_refused():
    plan = plan_memory(load_job("hog3d-spline"), ClipShape(), batch=12)
    with pytest.raises(ClusterError, match=r"Not even batches of 1 clip fit.*--memory-limit"):
        refuse(plan, Workers(plan.needed // 2))


@given(st.integers(0, 1 << 33))
def test_a_decoder_may_take_no_more_than_leaves_its_worker_within_the_limit(more):
    plan = plan_memory(load_job("hog3d-spline"), ClipShape(), batch=12)
    allowed = clip_memory(plan, Workers(plan.needed + more))
    assert plan.decoding < allowed <= CLIP_MEMORY
    if more > 128 << 20:
        assert plan.peak - plan.decoding + allowed <= plan.needed + more


def fitting(corpus: Path, batch: int) -> tuple[Job, int]:
    """A job whose store is one batch of all clips, and the limit of workers for smaller batches."""
    job = parse_job(FINE)
    clips = extraction.select(job, scan(f"{corpus}/*.zip"))
    return job, plan_memory(job, largest_clip(job, clips), batch).needed


def test_a_batch_that_does_not_fit_is_refused_and_the_largest_that_does_is_taken(corpus, tmp_path):
    job, limit = fitting(corpus, 9)
    store = tmp_path / "s.zarr"
    with connect("local", workers=1, memory_limit=f"{limit}B") as client:
        with pytest.raises(JobError, match=r"24 clips .* data\.batch = 9, the most that fits"):
            extract(job, f"{corpus}/*.zip", store, client)
        assert not store.exists()
        smaller = parse_job({**FINE, "data": {"batch": 9}})
        plans = []
        summary = extract(
            smaller, f"{corpus}/*.zip", store, client, on_plan=lambda *plan: plans.append(plan)
        )
        # Nothing is left to compute: however small the workers, there is nothing to refuse.
        again = extract(
            smaller, f"{corpus}/*.zip", store, client, on_plan=lambda *plan: plans.append(plan)
        )
    assert (summary.done, again.computed, len(plans)) == (24, 0, 1)
    plan, workers = plans[0]
    assert plan.needed <= workers.limit <= limit


def test_a_store_whose_batches_do_not_fit_says_that_another_is_needed(
    corpus, tmp_path, monkeypatch
):
    job, limit = fitting(corpus, 9)
    store = tmp_path / "s.zarr"

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(job, f"{corpus}/*.zip", store, on_progress=stop)
    monkeypatch.setattr(extraction, "workers_of", lambda client: Workers(limit))
    with pytest.raises(JobError, match=r"for good.*another store with data\.batch = 9"):
        extract(job, f"{corpus}/*.zip", store)


def test_this_process_is_held_to_the_machines_memory(corpus, tmp_path, monkeypatch):
    import distributed.system

    monkeypatch.setattr(distributed.system, "memory_limit", lambda: 520_000_000)
    with pytest.raises(JobError, match=r"this machine has 520 MB.*data\.batch = \d+,"):
        extract(parse_job(FINE), f"{corpus}/*.zip", tmp_path / "s.zarr")


def test_the_command_line_prints_the_plan_and_refuses_in_a_line(corpus, tmp_path):
    _, limit = fitting(corpus, 9)
    store = tmp_path / "s.zarr"

    def run(batch: int) -> subprocess.CompletedProcess[str]:
        job = tmp_path / "fine.toml"
        job.write_text(as_toml({**FINE, "data": {"batch": batch}}))
        command = [sys.executable, "-m", "emodask", "extract", str(job), "--source"]
        command += [f"{corpus}/*.zip", "--store", str(store), "--workers", "1"]
        command += ["--memory-limit", f"{limit}B"]
        return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)

    refused = run(10)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "emodask: memory plan: batches of 10 clips" in refused.stderr
    assert "data.batch = 9, the most that fits" in refused.stderr
    assert not store.exists()
    taken = run(9)
    assert taken.returncode == 0, taken.stderr
    assert "memory plan: " in taken.stdout
    assert " a worker at batches of 9 (limit " in taken.stdout


def test_a_header_tells_frames_and_length():
    found = header(mp4(moving_bars(20), rate=25, sound=tone(2.0)))
    assert found is not None
    assert (found.width, found.height, found.frames) == (64, 36, 20)
    assert found.seconds == pytest.approx(2.0, abs=0.1)
    assert header(wav(tone(1.5))) == Header(seconds=pytest.approx(1.5, abs=0.01))


@given(st.binary(max_size=200), st.sampled_from([b"....ftyp", b"\0\0\0\x20moov", b"RIFF....WAVE"]))
def test_no_bytes_make_reading_a_header_fail(data, start):
    header(start + data)


def test_no_truncation_or_flipped_byte_makes_reading_a_header_fail():
    whole = mp4(moving_bars(4))
    moov = whole.index(b"moov")
    for end in range(moov, len(whole)):
        header(whole[:end])
        header(whole[:end] + b"\xff" + whole[end + 1 :])


def test_absurd_headers_plan_no_more_than_a_decoder_would_take(tmp_path):
    film = bytearray(mp4(moving_bars(20)))
    at = film.index(b"avc1", film.index(b"stsd")) + 28
    film[at : at + 4] = struct.pack(">HH", 65_535, 65_535)
    at = film.index(b"stsz") + 12
    film[at : at + 4] = struct.pack(">I", 0xFFFF_FFFF)
    assert header(bytes(film)) == Header(65_535, 65_535, 0xFFFF_FFFF, pytest.approx(0.67, abs=0.05))
    (tmp_path / "02-01-01-01-01-01-01.mp4").write_bytes(film)
    job = load_job("hog3d")
    shape = largest_clip(job, scan(str(tmp_path)).clips)
    assert (shape.width, shape.height) == (ClipShape().width, ClipShape().height)
    plan = plan_memory(job, shape, 1)
    refuse(plan, Workers(2_000_000_000))


def test_nothing_of_remote_media_is_fetched_for_the_plan(corpus, monkeypatch):
    import fsspec

    from emodask.sources.catalogue import MediaFile

    memory = fsspec.filesystem("memory")
    for path in corpus.glob("*.zip"):
        memory.pipe(f"/plan/{path.name}", path.read_bytes())
    clips = scan("memory://plan/*.zip").clips
    monkeypatch.delattr(MediaFile, "read")
    shape = largest_clip(load_job("hog3d-spline"), clips)
    assert shape.assumed
    assert shape.size == max(media.where.size for clip in clips for media in clip.media)
    memory.rm("/plan", recursive=True)


def test_the_plan_of_a_run_is_in_its_record(corpus, small_job, tmp_path):
    import json

    from emodask.run_record import RunRecorder

    recorder = RunRecorder(str(tmp_path / "run.json"), "extract", small_job, [str(corpus)])
    with recorder:
        extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", on_plan=recorder.planning(None))
    plan = json.loads((tmp_path / "run.json").read_text())["memory_plan"]
    assert plan["peak"] <= plan["limit"]
    assert plan["clip"]["width"] == 64
    assert os.sep not in json.dumps(plan)
