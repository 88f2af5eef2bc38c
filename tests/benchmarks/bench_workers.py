"""Extraction by one and by two worker processes: how much faster two are, and what Dask costs.

Run ``python -m tests.benchmarks.bench_workers [--source FOLDER] [--batches 6] [--repeats 3]
[--json FILE]``. The real ``emodask.extract`` on a local cluster, the same clips each time, into a
new store; the cluster is there and has computed a batch a worker before. Bare decoding by one
and by two processes takes its turns beside: what two cores gain on this machine at that minute.
Two processes can be no faster than the second core is free, so on a busy machine only the
comparison with bare decoding says anything.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.bench_extract import BATCH, bare_decode
from tests.benchmarks.measuring import peak_of
from tests.benchmarks.media import full_clips
from tests.benchmarks.media import options as media_options


def manifest(clips: Sequence[Any], folder: Path, count: int) -> Path:
    """A corpus of so many clips, whose files are those that there are, over and over."""
    for i, clip in enumerate(clips):
        (folder / f"{i}.mp4").write_bytes(clip.media_for("video").read())
        (folder / f"{i}.wav").write_bytes(clip.media_for("audio", "audio-only").read())
    path = folder / f"{count}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "clip_id", "actor", "emotion", "modality"))
        for i in range(count):
            for suffix, kind in ((".mp4", "video-only"), (".wav", "audio-only")):
                rows.writerow((f"{i % len(clips)}{suffix}", f"clip-{i:05}", 1, "calm", kind))
    return path


def extraction(job: Any, source: Path, store: Path, client: Any) -> dict[str, float]:
    """Seconds of an extraction, those that its clips took, and those between the batches."""
    import emodask

    began = time.perf_counter()
    summary = emodask.extract(job, str(source), store, client)
    wall = time.perf_counter() - began
    assert summary.done == summary.total, summary
    clips = float(np.asarray(emodask.open(store)["seconds"]).sum())
    workers = len(client.nthreads())
    return {"wall": wall, "overhead": 1 - clips / (workers * wall), "clip": clips / summary.total}


def decoding(pool: ProcessPoolExecutor, videos: Sequence[bytes]) -> float:
    """Seconds to decode some videos and throw their frames away."""
    began = time.perf_counter()
    list(pool.map(bare_decode, videos))
    return time.perf_counter() - began


def measure(chosen: argparse.Namespace) -> report.Report:
    """By turns, one worker and two, extraction and bare decoding."""
    from emodask.cluster import connect
    from emodask.job import load_job

    job, count = load_job(chosen.job), chosen.batches * BATCH
    taken: dict[str, list[Any]] = {}
    peaks: dict[int, float | None] = {}
    with (
        full_clips(chosen.source, chosen.clips) as (clips, what),
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        videos = [clip.media_for("video").read() for clip in clips]
        videos = [videos[i % len(videos)] for i in range(2 * BATCH)]
        warm, corpus = (manifest(clips, folder, n) for n in (2 * BATCH, count))
        for turn in range(chosen.repeats):
            for workers in (1, 2):
                with connect("local", workers) as client:
                    extraction(job, warm, folder / f"warm-{turn}-{workers}.zarr", client)
                    store = folder / f"{turn}-{workers}.zarr"
                    found = extraction(job, corpus, store, client)
                    peaks[workers] = peak_of(client.run(os.getpid).values())
                taken.setdefault(f"extraction, {workers}", []).append(found)
                with ProcessPoolExecutor(workers) as pool:
                    decoding(pool, videos[:2])
                    taken.setdefault(f"decoding, {workers}", []).append(decoding(pool, videos))
    walls = {
        name: statistics.median(one["wall"] if isinstance(one, dict) else one for one in every)
        for name, every in taken.items()
    }
    overheads = {n: min(one["overhead"] for one in taken[f"extraction, {n}"]) for n in (1, 2)}
    speed_up = {
        what: walls[f"{what}, 1"] / walls[f"{what}, 2"] for what in ("extraction", "decoding")
    }
    rows = [
        (
            "bare decoding",
            *(f"{1000 * walls[f'decoding, {n}'] / len(videos):.0f}" for n in (1, 2)),
            f"{speed_up['decoding']:.2f}x",
            "",
            "",
        ),
        (
            f"emodask.extract, gray = {job.features['hog3d'].settings.gray}",
            *(f"{1000 * walls[f'extraction, {n}'] / count:.0f}" for n in (1, 2)),
            f"{speed_up['extraction']:.2f}x",
            f"{overheads[2]:.1%}",
            f"{peaks[2]:.0f}" if peaks[2] else "",
        ),
    ]
    table = report.Table(
        f"Two worker processes: {count} clips from {what}, median of {chosen.repeats}",
        ("", "1: ms/clip", "2: ms/clip", "gain", "overhead", "peak MiB"),
        tuple(rows),
        "Wall time, cluster started and warm. Overhead: 1 - seconds of all clips / (workers x "
        "wall), the least of the turns: listing, creating the store, scheduling, committing, "
        "waiting for the last batch. Peak: of the largest worker, its decoder not counted.",
    )
    targets = (
        report.Target("two workers : one", speed_up["extraction"], 1.85, at_most=False),
        report.Target("overhead, 1 worker, % of wall time", 100 * overheads[1], 3),
        report.Target("overhead, 2 workers, % of wall time", 100 * overheads[2], 3),
    )
    return report.Report((table,), targets, {"turns": taken, "peak_mib": peaks})


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    media_options(parser)
    parser.add_argument("--batches", type=int, default=6, help="of 12 clips (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")
    parser.add_argument("--job", default="hog3d-spline", help="job file (%(default)s)")


if __name__ == "__main__":
    report.main("workers", __doc__, measure, options)
