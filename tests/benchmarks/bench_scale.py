"""What clips cost besides computing, from ten thousand to a million of them.

Run ``python -m tests.benchmarks.bench_scale [--clips 10000 100000 1000000] [--batch 12]``. Clips
are simulated and computed at once; scheduler, workers and store are real, each in processes of
their own, started anew for each row. Memory is a process's peak above what it had at the start.
``--folder`` says where the stores lie: a million clips in batches of 12 are 500 000 small files.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.benchmarks.measuring import ROOT, begin_peak, resident
from tests.benchmarks.report import WIDTH
from tests.benchmarks.simulated import (
    MostTasks,
    SimulatedClips,
    SimulateOnWorker,
    counted_requests,
    simulated_job,
)
from tests.cluster.processes import address, scheduler, worker

WORKERS = 2
LARGE, LARGE_BATCH = 1_000_000, 120
"""From how many clips on batches are larger by default, so that a run ends within minutes."""


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process."""
    times = process.cpu_times()
    return times.user + times.system


class Watched:
    """Processes, and what they have taken since now."""

    def __init__(self, pids: dict[str, list[int]]) -> None:
        self.processes = {
            name: [psutil.Process(pid) for pid in some] for name, some in pids.items()
        }
        for some in self.processes.values():
            for process in some:
                begin_peak(process.pid)
        self.cpu = {name: sum(map(cpu, some)) for name, some in self.processes.items()}
        self.rss = {
            name: [resident("VmRSS", process.pid) for process in some]
            for name, some in self.processes.items()
        }

    def taken(self) -> dict[str, dict[str, float]]:
        """CPU seconds of all, and peak MB above the start of the largest, by name."""
        peaks = self.more("VmHWM")
        return {
            name: {"cpu": sum(map(cpu, some)) - self.cpu[name], "mb": peaks[name]}
            for name, some in self.processes.items()
        }

    def more(self, key: str) -> dict[str, float]:
        """MB of memory above the start of the largest, by name."""
        return {
            name: max(
                resident(key, process.pid) - before
                for process, before in zip(some, self.rss[name], strict=True)
            )
            for name, some in self.processes.items()
        }


def run_once(n_clips: int, batch: int, folder: Path, where: str) -> dict:
    """Extract simulated clips, or the rest of them, in this process; what it took."""
    from emodask.cluster import connect
    from emodask.extraction import extract_clips
    from emodask.store import StoreAddress

    moments, growth = [], []
    clips, job = SimulatedClips(n_clips), simulated_job(batch)
    importlib.import_module("emodask.media")  # the memory of libraries is not the clips'
    with connect(where) as client:
        client.register_plugin(MostTasks())
        client.register_plugin(SimulateOnWorker())
        remote = client.run_on_scheduler(os.getpid)
        pids = {"driver": [os.getpid()], "scheduler": [remote], "workers": pids_of_workers(client)}
        watched = Watched(pids)
        with counted_requests() as requests:

            def progress(news) -> None:
                if not moments:
                    moments.append((time.monotonic(), dict(requests)))
                if news.computed * 10 >= n_clips * (len(growth) + 1):
                    growth.append(watched.more("VmRSS")["scheduler"])

            began = time.monotonic()
            summary = extract_clips(
                job, clips, StoreAddress.of(folder), client, on_progress=progress
            )
            ended = time.monotonic()
        most = client.run_on_scheduler(
            lambda dask_scheduler: dask_scheduler.plugins[MostTasks.name].most
        )
        taken = watched.taken()
    assert summary.done == n_clips, summary
    return {
        "clips": n_clips,
        "batch": batch,
        "computed": summary.computed,
        "prepared": moments[0][0] - began,
        "computing": ended - moments[0][0],
        "requests": moments[0][1],
        "most_tasks": most,
        "taken": taken,
        "growth": growth,
    }


def pids_of_workers(client) -> list[int]:
    """Process numbers of all workers."""
    return list(client.run(os.getpid).values())


def in_fresh_processes(n_clips: int, batch: int, store: Path) -> dict:
    """One run with a scheduler, workers and a client of its own."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        os.environ["PYTHONPATH"] = path
        stack.enter_context(scheduler(Path(place)))
        where = address(Path(place))
        for i in range(WORKERS):
            options = ("--no-nanny", "--memory-limit", 0)
            stack.enter_context(worker(Path(place), *options, name=f"w{i}"))
        command = [sys.executable, "-m", "tests.benchmarks.bench_scale", "--one"]
        command += [json.dumps([n_clips, batch, str(store), where])]
        found = subprocess.run(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(found.stdout.splitlines()[-1])


def forget_a_hundredth(store: Path) -> int:
    """Remove the status of each hundredth batch, as if it had never been committed."""
    chunks = store / "status" / "c"
    numbers = range(0, sum(1 for _ in chunks.iterdir()), 100)
    for number in numbers:
        (chunks / str(number)).unlink()
    return len(numbers)


def curve(sizes: list[int], batch: int | None, folder: Path) -> list[dict]:
    """Measure each size, print its rows, and resume it when all but a hundredth is done."""
    rows = []
    print(
        "                     seconds    tasks   CPU, µs a clip      MB above the start\n"
        "    clips batch  prepare    run at most driver sched. work   driver sched. worker"
    )
    for n_clips in sizes:
        size = batch or (LARGE_BATCH if n_clips >= LARGE else 12)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            store = Path(place) / "store.zarr"
            row = in_fresh_processes(n_clips, size, store)
            show(row)
            forgotten = forget_a_hundredth(store)
            again = in_fresh_processes(n_clips, size, store)
        rows.append({"all": row, "resume": again})
        asked = ", ".join(f"{count} {name}" for name, count in sorted(again["requests"].items()))
        taken = again["taken"]
        line = (
            f"resumed with {forgotten} batches left: {again['prepared']:.1f} s until they are "
            f"handed out, {again['computing']:.1f} s to the end; driver "
            f"+{taken['driver']['mb']:.0f} MB, CPU {taken['driver']['cpu']:.1f} s; it asked for "
            f"{asked}"
        )
        print(textwrap.indent(textwrap.fill(line, WIDTH - 10), " " * 10), flush=True)
    return rows


def show(row: dict) -> None:
    """Print one row of the table."""
    n_clips, taken = row["clips"], row["taken"]
    each = [1e6 * taken[name]["cpu"] / n_clips for name in ("driver", "scheduler", "workers")]
    more = [taken[name]["mb"] for name in ("driver", "scheduler", "workers")]
    print(
        f"{n_clips:9} {row['batch']:5} {row['prepared']:8.1f} {row['computing']:6.1f} "
        f"{row['most_tasks']:7} {each[0]:6.0f} {each[1]:6.0f} {each[2]:4.0f}   "
        f"{more[0]:6.0f} {more[1]:6.0f} {more[2]:6.0f}"
    )
    tenths = " ".join(f"{mb:.0f}" for mb in row["growth"])
    print(f"          scheduler at each tenth of the way: {tenths} MB", flush=True)


def main() -> None:
    """Print the curve, or run one row of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000, LARGE])
    parser.add_argument(
        "--batch", type=int, help=f"clips a batch: 12, or {LARGE_BATCH} from a million clips on"
    )
    parser.add_argument("--folder", type=Path, help="where the stores lie; a temporary one")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        n_clips, batch, store, where = json.loads(options.one)
        print(json.dumps(run_once(n_clips, batch, Path(store), where)))
        return
    rows = curve(options.clips, options.batch, options.folder)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
