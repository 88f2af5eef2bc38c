"""Partial Tucker straight from a store: passes beside plain reads, 24 folds beside one fit.

Run ``python -m tests.benchmarks.bench_reduction [--clips 1440] [--actors 24] [--json FILE]``. The
store is a real one with planted features, written to a temporary folder: 2.4 MB a clip. Everything
runs on one thread; the read that a pass is compared with is made just before and just after it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.bench_tucker import planted
from tests.benchmarks.measuring import (
    Taken,
    begin_peak,
    peak_in_own_process,
    resident,
    timed,
)

JOB: dict[str, Any] = {
    "name": "reduction",
    "features": {"hog3d": {}},
    "reductions": {
        "hog3d": {"dims": ["cell_y", "cell_x", "cell_t", "angle"], "ranks": [8, 8, 3, 1]}
    },
    "models": {"svc": {"kind": "svc"}},
}
FOLDS_PER_READ = 4
MEMORY_BEYOND_CHUNKS = 64


def write_store(folder: Path, clips: int, actors: int) -> None:
    """A store of the benchmark's job with every row done."""
    from emodask.job import parse_job
    from emodask.sources.catalogue import Clip
    from emodask.store import Row, Status, StoreAddress, open_group, prepare, write_batch
    from emodask.store.layout import specs

    job, address = parse_job(JOB), StoreAddress.of(folder)
    each = -(-clips // actors)
    names = [Clip(f"clip-{i:06d}", actor=1 + i // each, emotion=1 + i % 8) for i in range(clips)]
    prepare(address, job, names)
    group = open_group(address, "r+")
    shape = next(spec.shape for spec in specs(job, clips) if spec.name == "hog3d")[1:]
    made = map(np.abs, planted(shape, signal=4, noise=0.1))  # as histograms are
    for start in range(0, clips, job.data.batch):
        count = min(job.data.batch, clips - start)
        rows = [Row(Status.DONE, {"hog3d": next(made)}) for _ in range(count)]
        write_batch(group, start, rows)


class Work:
    """What is measured, on one store."""

    def __init__(self, folder: Path) -> None:
        from emodask.evaluation.clips import usable_clips
        from emodask.evaluation.passes import StoredRows
        from emodask.job import parse_job
        from emodask.models.system import make_reducer
        from emodask.store import StoreAddress

        self.job, address = parse_job(JOB), StoreAddress.of(folder)
        clips = usable_clips(self.job, address)
        self.rows = StoredRows.of(address, "hog3d", clips.rows, None, self._on_block)
        self.reducer = make_reducer(self.job, "hog3d")
        self.folds = [np.flatnonzero(clips.actor != actor) for actor in np.unique(clips.actor)]
        self.passes = 0

    def _on_block(self, done: int, _: int) -> None:
        self.passes += done == 0

    def read(self) -> None:
        """Every chunk once."""
        for _ in self.rows.chunks():
            pass

    def fit(self) -> None:
        """One reduction of all clips."""
        self.reducer.fit(self.rows)

    def fit_folds(self) -> None:
        """One reduction for each fold."""
        self.fitted = self.reducer.fit_subsets(self.rows, self.folds)

    def transform(self) -> None:
        """All clips by one reduction."""
        from emodask.models.system import transform_each

        transform_each([self.reducer], self.rows)

    def transform_folds(self) -> None:
        """All clips by every fold's reduction, some at a time, as an evaluation does."""
        from emodask.models.system import transform_each

        for start in range(0, len(self.fitted), FOLDS_PER_READ):
            transform_each(self.fitted[start : start + FOLDS_PER_READ], self.rows)


def added_memory(chosen: argparse.Namespace) -> None:
    """Print the memory in MiB that a row of the table needs above what the process held."""
    from emodask.cluster import run_bag

    work = Work(chosen.folder)
    # Libraries and codecs are not the fit's.
    next(iter(work.rows.chunks()))
    list(run_bag(abs, [0], None))
    begin_peak()
    before = resident("VmRSS")
    getattr(work, chosen.memory_of)()
    print(resident("VmHWM") - before)


def measure(chosen: argparse.Namespace) -> report.Report:
    """Write the store and measure on it."""
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(temporary) / "s.zarr"
        write_store(folder, chosen.clips, chosen.actors)
        return compared(folder, chosen)


def compared(folder: Path, chosen: argparse.Namespace) -> report.Report:
    """The table and targets of one store."""
    work = Work(folder)
    work.read()  # from disk into the page cache

    def beside_reads(call: Callable[[], None]) -> tuple[Taken, float, int]:
        before, work.passes = timed(work.read), 0
        taken = timed(call)
        read = (before + timed(work.read)) * 0.5
        return taken, taken.cpu / read.cpu, work.passes

    names = ("fit", "transform", "fit_folds", "transform_folds")
    found = {name: beside_reads(getattr(work, name)) for name in names}
    chunk_mb = work.job.data.batch * np.prod(work.rows.shape[1:]) * 4 / 2**20
    memory = partial(peak_in_own_process, __spec__.name)
    peaks = {name: memory(name, ["--folder", str(folder)]) for name in ("read", "fit", "fit_folds")}
    one, reads, passes = found["fit"]
    folds = found["fit_folds"][0]
    labels = {
        "fit": "one fit",
        "transform": "one transform",
        "fit_folds": f"{len(work.folds)} folds, fit together",
        "transform_folds": f"{len(work.folds)} folds, transform",
    }
    rows = [
        (
            labels[name],
            f"{taken.wall:.1f}",
            f"{taken.cpu:.1f}",
            str(count or "-"),
            f"{ratio:.2f}",
            f"{peaks[name]:.0f}" if peaks.get(name) is not None else "-",
        )
        for name, (taken, ratio, count) in found.items()
    ]
    read = one.cpu / reads
    rows.insert(0, ("reading every chunk", "", f"{read:.1f}", "1", "1.00", f"{peaks['read']:.0f}"))
    table = report.Table(
        f"Partial Tucker of {chosen.clips} clips of {work.rows.shape[1:]} from a store",
        ("", "wall s", "CPU s", "passes", "x read", "added MB"),
        tuple(rows),
        f"A chunk is {chunk_mb:.0f} MB. Ratios are of CPU time, files in the page cache.",
    )
    both = one + found["transform"][0]
    both_folds = folds + found["transform_folds"][0]
    count = len(work.folds)
    targets = [
        report.Target("one fit, reads a pass", reads / passes, 3),
        report.Target(f"{count} folds beside one fit", folds.cpu / one.cpu, 6),
        report.Target(f"{count} folds and transforms beside one", both_folds.cpu / both.cpu, 6),
    ]
    allowed = 2 * chunk_mb + MEMORY_BEYOND_CHUNKS
    for name in ("fit", "fit_folds"):
        peak = peaks[name]
        if peak is not None:
            targets.append(report.Target(f"added MB of {labels[name]}", peak, round(allowed)))
    figures = {
        name: {"wall": taken.wall, "cpu": taken.cpu, "passes": count, "reads": ratio}
        for name, (taken, ratio, count) in found.items()
    }
    return report.Report((table,), tuple(targets), figures)


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's."""
    parser.add_argument("--clips", type=int, default=1440)
    parser.add_argument("--actors", type=int, default=24, help="as many folds")
    parser.add_argument("--folder", type=Path, help="where the store may lie for a while")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)


if __name__ == "__main__":
    report.main("reduction", __doc__ or "", measure, options, added_memory)
