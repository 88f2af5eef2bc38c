"""Extraction by one and by two worker processes: how much faster two are, and what Dask costs.

Run ``python -m tests.benchmarks.bench_workers [--source FOLDER] [--batches 6] [--repeats 3]
[--json FILE]``. The real ``emodask.extract`` on a local cluster, the same clips each time, into a
new store; the cluster is there and has computed a batch a worker before. Bare decoding by one
and by two processes takes its turns beside: what two cores gain on this machine at that minute.
On a busy machine wall times say little, in either direction: two processes lack a second core,
or get twice the share of one. CPU time a clip of all processes, client and scheduler included,
tells then whether two workers stand in each other's way.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.bench_extract import BATCH, bare_decode
from tests.benchmarks.measuring import peak_of, timed
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


def extraction(job: Any, source: Path, clips: int, store: Path, client: Any) -> dict[str, float]:
    """Seconds of an extraction, those that its clips took, and those between the batches."""
    import emodask

    taken = timed(partial(emodask.extract, job, str(source), store, client))
    seconds = np.asarray(emodask.open(store)["seconds"])
    assert len(seconds) == clips, f"{len(seconds)} of {clips} clips done"
    overhead = 1 - float(seconds.sum()) / (len(client.nthreads()) * taken.wall)
    return {"wall": taken.wall, "cpu": taken.cpu, "overhead": overhead}


def decoding(pool: ProcessPoolExecutor, videos: Sequence[bytes]) -> dict[str, float]:
    """Seconds to decode some videos and throw their frames away."""
    taken = timed(lambda: list(pool.map(bare_decode, videos)))
    return {"wall": taken.wall, "cpu": taken.cpu}


def measure(chosen: argparse.Namespace) -> report.Report:
    """By turns, one worker and two, extraction and bare decoding."""
    from emodask.cluster import connect
    from emodask.job import load_job

    job, count = load_job(chosen.job), chosen.batches * BATCH
    taken: dict[str, list[dict[str, float]]] = {}
    peaks: dict[int, float | None] = {}
    with ExitStack() as stack:
        clips, what = stack.enter_context(full_clips(chosen.source, chosen.clips))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        videos = [clip.media_for("video").read() for clip in clips]
        videos = [videos[i % len(videos)] for i in range(2 * BATCH)]
        warm, corpus = (manifest(clips, folder, n) for n in (2 * BATCH, count))
        clients, pools = {}, {}
        for workers in (1, 2):
            clients[workers] = client = stack.enter_context(connect("local", workers))
            pools[workers] = stack.enter_context(
                ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            )
            extraction(job, warm, 2 * BATCH, folder / f"warm-{workers}.zarr", client)
            decoding(pools[workers], videos[: 2 * workers])
        for turn in range(chosen.repeats):
            for workers in (1, 2):
                store = folder / f"{turn}-{workers}.zarr"
                found = extraction(job, corpus, count, store, clients[workers])
                taken.setdefault(f"extraction, {workers}", []).append(found)
                found = decoding(pools[workers], videos)
                taken.setdefault(f"decoding, {workers}", []).append(found)
                print(f"turn {turn + 1} of {chosen.repeats}, {workers}", file=sys.stderr)
        for workers, client in clients.items():
            peaks[workers] = peak_of(client.run(os.getpid).values())
    middle = {
        name: {key: statistics.median(one[key] for one in every) for key in every[0]}
        for name, every in taken.items()
    }
    overheads = {n: min(one["overhead"] for one in taken[f"extraction, {n}"]) for n in (1, 2)}

    def gain(what: str) -> float:
        return middle[f"{what}, 1"]["wall"] / middle[f"{what}, 2"]["wall"]

    def row(label: str, what: str, clips: int, *rest: str) -> tuple[str, ...]:
        times = (middle[f"{what}, {n}"][key] for n in (1, 2) for key in ("wall", "cpu"))
        return (label, *(f"{1000 * t / clips:.0f}" for t in times), f"{gain(what):.2f}x", *rest)

    gray = job.features["hog3d"].settings.gray
    peak = f"{peaks[2]:.0f}" if peaks[2] else ""
    rows = (
        row("bare decoding", "decoding", len(videos), "", ""),
        row(f"emodask.extract, {gray}", "extraction", count, f"{overheads[2]:.1%}", peak),
    )
    table = report.Table(
        f"Two worker processes: {count} clips from {what}, median of {chosen.repeats}",
        ("ms a clip", "1: wall", "CPU", "2: wall", "CPU", "gain", "overhead", "peak MiB"),
        rows,
        "Cluster started and warm; CPU of all its processes. Overhead: 1 - seconds of all clips / "
        "(workers x wall), the least of the turns: listing, creating the store, scheduling, "
        "committing, waiting for the last batch. Peak: of the larger worker without its decoder.",
    )
    targets = (
        report.Target("two workers : one", gain("extraction"), 1.85, at_most=False),
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
