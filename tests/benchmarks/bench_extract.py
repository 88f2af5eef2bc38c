"""A clip's extraction part by part and whole, beside decoding alone and the plain reference.

Run ``python -m tests.benchmarks.bench_extract [--source FOLDER] [--clips 5] [--repeats 5]
[--json FILE]``. Everything runs on one thread and by turns. Ratios are of CPU time, summed over
a worker and its decoder: other work on the machine distorts it least.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.measuring import (
    Call,
    Taken,
    median,
    peak_in_own_process,
    peak_memory,
    timed,
)
from tests.benchmarks.media import Material, full_clips
from tests.benchmarks.media import options as media_options

BATCH = 12
FLOOR = "decode, thrown away"
REFERENCE = "plain reference"
GRAYS = ("luma", "rgb")


def bare_decode(data: bytes) -> int:
    """Decode every frame of a video in one thread and throw it away: the floor."""
    import av

    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def swscale(data: bytes, width: int, height: int) -> None:
    """Decode and have FFmpeg scale by area to gray: what a player does."""
    import av
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            scaler.reformat(frame, width, height, "gray", interpolation="AREA", threads=1)


def plain(material: Material) -> None:
    """Decode with OpenCV in colour, loop over cells, call librosa one by one."""
    import librosa
    import soundfile

    from tests.oracles import audio, frames, hog3d

    data, sound = material.files
    video, rate = material.hog3d, material.spline.rate
    rgb = frames.interpolated(frames.rgb_frames(data, video.height, video.width), video.frames)
    hog3d.hog3d(frames.gray(rgb), video.cell, video.bins)
    samples, found = soundfile.read(io.BytesIO(sound), dtype="float32", always_2d=True)
    samples = librosa.resample(samples.mean(1), orig_sr=found, target_sr=rate)
    audio.spline_features(samples, rate, material.spline.knots, material.spline.order)


def _hog3d(gray: str, material: Material) -> Call:
    from emodask.features.hog3d import hog3d

    settings = material.hog3d
    return partial(hog3d, material.frames(gray), settings.cell, settings.bins)


def _variants(material: Material) -> Call:
    from emodask.features.audio import variants

    return partial(variants.variants, material.samples, material.spline.rate)


def _curves(material: Material) -> Call:
    from emodask.features.audio import descriptors

    made, rate = list(_variants(material)().values()), material.spline.rate
    return lambda: [descriptors.descriptors(one, rate) for one in made]


def _fit(material: Material) -> Call:
    from emodask.features.audio.bspline import projector

    curves, settings = _curves(material)(), material.spline
    return lambda: [
        np.einsum("bt,ct->bc", projector(c.shape[1], settings.knots, settings.order), c)
        for c in curves
    ]


def _gray(gray: str, material: Material) -> Call:
    return partial(material.frames, gray)


PARTS: dict[str, Callable[[Material], Call]] = {
    FLOOR: lambda m: partial(bare_decode, m.files[0]),
    "decode, swscale to gray": lambda m: partial(
        swscale, m.files[0], m.hog3d.width, m.hog3d.height
    ),
    "read from zips": lambda m: m.read,
    **{f"decode to gray, {gray}": partial(_gray, gray) for gray in GRAYS},
    **{f"HOG3D, {gray}": partial(_hog3d, gray) for gray in GRAYS},
    "wav to mono": lambda m: m.sound,
    "noise, pitches, speeds": _variants,
    "34 spectral curves of 8 variants": _curves,
    "B-spline fit": _fit,
    REFERENCE: lambda m: partial(plain, m),
}
"""One part of the work on a clip: what makes ready for it, and gives the call to time."""

IN_EVERY = (
    "read from zips",
    FLOOR,
    "wav to mono",
    "noise, pitches, speeds",
    "34 spectral curves of 8 variants",
    "B-spline fit",
)
"""Parts of the whole that do not depend on gray."""


def batch_of(clips: Sequence[Any]) -> tuple[Any, ...]:
    """The clips of a batch: those that there are, over and over, under names of their own."""
    return tuple(
        replace(clips[i % len(clips)], clip_id=f"01-01-01-01-01-01-{i + 1:02}")
        for i in range(BATCH)
    )


def whole(gray: str, job: Any, clips: Sequence[Any], folder: Path) -> Call:
    """A task as a worker runs it: a batch from its zips to committed rows."""
    from emodask.batches import Batch, process_batch
    from emodask.store import StoreAddress, prepare

    job = with_gray(job, gray)
    chosen = batch_of(clips)
    address = StoreAddress.of(folder / f"{gray}.zarr")
    prepare(address, job, chosen)
    batch = Batch(0, chosen, (True,) * BATCH, retry=True)
    task = partial(process_batch, job, address, batch, isolated=True)
    # Each has a thread and so a decoder process of its own, kept from one turn to the next.
    worker = ThreadPoolExecutor(1)

    def run() -> None:
        outcome = worker.submit(task).result()
        assert outcome.computed == BATCH, outcome

    return run


def writing(job: Any, clips: Sequence[Any], folder: Path) -> Call:
    """Commit a batch of computed rows."""
    from emodask.clip_rows import compute_clip
    from emodask.store import StoreAddress, prepare, write_batch

    rows = [compute_clip(job, clip) for clip in clips]
    group = prepare(StoreAddress.of(folder / "written.zarr"), job, batch_of(clips))
    return partial(write_batch, group, 0, [rows[i % len(rows)] for i in range(BATCH)])


def with_gray(job: Any, gray: str) -> Any:
    """The same job with the other gray."""
    from emodask.job import parse_job

    settings = job.settings()
    settings["features"]["hog3d"]["gray"] = gray
    return parse_job(settings)


def by_clip(clips: Sequence[Any], job: Any, folder: Path, repeats: int) -> dict[str, Taken]:
    """Median time a clip of every part and of the whole, all by turns.

    The reference takes one clip a turn: it takes longer than all else.
    """
    materials = [Material(clip, job) for clip in clips]
    calls = {
        (name, i): ready(material)
        for name, ready in PARTS.items()
        for i, material in enumerate(materials)
    }
    batches = {f"whole extraction, {gray}": whole(gray, job, clips, folder) for gray in GRAYS}
    batches["write and commit"] = writing(job, clips, folder)
    taken: dict[tuple[str, int], list[Taken]] = {}
    for turn in range(repeats + 1):
        for (name, i), call in calls.items():
            if name != REFERENCE or i == turn % len(clips):
                taken.setdefault((name, i), []).append(timed(call))
        for name, call in batches.items():
            taken.setdefault((name, -1), []).append(timed(call) * (1 / BATCH))
        if turn == 0 and repeats:  # it compiled, started decoders and filled caches
            taken.clear()
        print(f"turn {turn} of {repeats}", file=sys.stderr)
    share = Counter(i % len(clips) for i in range(BATCH))
    found: dict[str, Taken] = {}
    for name in [*PARTS, *batches]:
        of_clip = {i: median(every) for (part, i), every in taken.items() if part == name}
        weights = {i: share.get(i, 1) for i in of_clip}
        total = Taken(0, 0)
        for i, one in of_clip.items():
            total += one * (weights[i] / sum(weights.values()))
        found[name] = total
    return found


def lines(found: dict[str, Taken]) -> list[tuple[str, Taken]]:
    """Rows of the table: what was measured, and what the whole holds beside its parts."""
    rows = [(name, found[name]) for name in (FLOOR, "decode, swscale to gray")]
    for gray in GRAYS:
        scaling = found[f"decode to gray, {gray}"] - found[FLOOR]
        rows.append((f"scale and interpolate, {gray} *", scaling))
        rows.append((f"HOG3D, {gray}", found[f"HOG3D, {gray}"]))
    shared = [name for name in IN_EVERY if name != FLOOR]
    rows += [(name, found[name]) for name in [*shared, "write and commit"]]
    for gray in GRAYS:
        every = found[f"whole extraction, {gray}"]
        parts = [found[f"decode to gray, {gray}"], found[f"HOG3D, {gray}"]]
        parts += [found[name] for name in [*shared, "write and commit"]]
        rest = every
        for part in parts:
            rest -= part
        rows.append((f"whole extraction, {gray}", every))
        rows.append((f"  of it none of the above, {gray} *", rest))
    return [*rows, (REFERENCE, found[REFERENCE])]


def call_of(row: str, clips: Sequence[Any], job: Any, folder: Path) -> Call:
    """The call of one row, for the first clip or for a batch."""
    if row.startswith("whole extraction, "):
        return whole(row.rpartition(" ")[2], job, clips, folder)
    if row == "write and commit":
        return writing(job, clips, folder)
    return PARTS[row](Material(clips[0], job))


def measure(chosen: argparse.Namespace) -> report.Report:
    """All rows, their peak memory, and the targets."""
    from emodask.job import load_job

    job = load_job(chosen.job)
    with (
        full_clips(chosen.source, chosen.clips) as (clips, what),
        tempfile.TemporaryDirectory() as folder,
    ):
        found = by_clip(clips, job, Path(folder), chosen.repeats)
    memory = {}
    given = ["--job", chosen.job, "--clips", "1"]
    given += ["--source", str(chosen.source)] if chosen.source else []
    for name in [*PARTS, *(f"whole extraction, {gray}" for gray in GRAYS), "write and commit"]:
        if chosen.memory:
            memory[name] = peak_in_own_process("tests.benchmarks.bench_extract", name, given)
    for gray in GRAYS:
        memory[f"scale and interpolate, {gray} *"] = memory.get(f"decode to gray, {gray}")
    floor = found[FLOOR]
    rows = tuple(
        (
            name,
            f"{1000 * one.wall:.1f}",
            f"{1000 * one.cpu:.1f}",
            f"{one.wall / floor.wall:.2f}",
            f"{one.cpu / floor.cpu:.2f}",
            f"{memory[name]:.0f}" if memory.get(name) else "",
        )
        for name, one in lines(found)
    )
    luma, rgb = (found[f"whole extraction, {gray}"].cpu for gray in GRAYS)
    table = report.Table(
        f"Extraction of a clip: {what}, one thread, median of {chosen.repeats}",
        ("", "ms", "CPU ms", "x decode", "CPU x", "peak MiB"),
        rows,
        "* by difference. The whole: a worker and its decoder process, in batches of 12, their "
        "CPU time and memory added. Peak: of a process that does this row alone, libraries "
        "included; of scaling, with the decoding.",
    )
    targets = (
        report.Target("whole extraction, luma : decode", luma / floor.cpu, 1.5),
        report.Target("whole extraction, rgb : decode", rgb / floor.cpu, 2.1),
        report.Target("plain reference : whole, rgb", found[REFERENCE].cpu / rgb, 7, at_most=False),
    )
    figures = {name: {"wall_s": one.wall, "cpu_s": one.cpu} for name, one in found.items()}
    return report.Report((table,), targets, {"seconds_a_clip": figures, "peak_mib": memory})


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    media_options(parser)
    parser.add_argument("--repeats", type=int, default=5, help="turns (%(default)s)")
    parser.add_argument("--job", default="hog3d-spline", help="job file (%(default)s)")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="times alone")
    parser.add_argument("--memory-of", metavar="ROW", help=argparse.SUPPRESS)


def measure_memory(chosen: argparse.Namespace) -> None:
    """Print the peak memory of one row."""
    from emodask.job import load_job

    job = load_job(chosen.job)
    with (
        full_clips(chosen.source, chosen.clips) as (clips, _),
        tempfile.TemporaryDirectory() as folder,
    ):
        call = call_of(chosen.memory_of, clips, job, Path(folder))
        print(json.dumps(peak_memory(call)))


if __name__ == "__main__":
    report.main("extract", __doc__, measure, options, measure_memory)
