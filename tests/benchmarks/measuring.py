"""What every benchmark shares: one thread, turns, medians, CPU time, peak memory, the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / os.environ.get("EMODASK_RAVDESS", "../shared/data/ravdess")
"""Where real media are looked for, as the tests do."""

PINNED = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")},
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "threads;1",  # OpenCV's decoder would take every core
}

Call = Callable[[], Any]


def pin() -> None:
    """Hold this process to one thread in every library, and those that it starts."""
    if not PINNED.items() <= os.environ.items():
        # Libraries read these once, when they are loaded: begin again with them set.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | PINNED)
    from emodask.cluster.threads import pin_threads

    pin_threads()


@dataclass(frozen=True)
class Taken:
    """Seconds of a call, or of several put together."""

    wall: float
    cpu: float

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall - other.wall, self.cpu - other.cpu)

    def __mul__(self, factor: float) -> Taken:
        return Taken(self.wall * factor, self.cpu * factor)


def cpu_of_children() -> float:
    """CPU time of the processes that this one has started and that still run."""
    children = psutil.Process().children(recursive=True)
    return float(sum(sum(child.cpu_times()[:2]) for child in children))


def timed(call: Call) -> Taken:
    """Seconds of one call; CPU time is that of this process and of its children."""
    children = cpu_of_children()
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Taken(wall, cpu + cpu_of_children() - children)


def median(taken: Iterable[Taken]) -> Taken:
    """Medians of wall time and of CPU time, each on its own."""
    every = list(taken)
    return Taken(
        statistics.median(one.wall for one in every), statistics.median(one.cpu for one in every)
    )


def by_turns(calls: dict[str, Call], repeats: int) -> dict[str, Taken]:
    """Median of each call; all take turns, so that a slow minute of the machine hits all alike.

    The first turn, which compiles and fills caches, does not count.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            found = timed(call)
            if turn:
                taken[name].append(found)
    return {name: median(every) for name, every in taken.items()}


def peak_memory(call: Call) -> float:
    """Most memory in MiB that this process and its children hold while a call lasts (Linux).

    What earlier calls have left with the allocator counts: a process of its own measures best.
    """
    call()  # what is compiled or cached once is no memory of the call
    processes = [os.getpid()]
    processes += [child.pid for child in psutil.Process().children(recursive=True)]
    for process in processes:
        begin_peak(process)
    call()
    return sum(resident("VmHWM", process) for process in processes)


def begin_peak(process: int | None = None) -> None:
    """Set a process's peak memory back to what it holds now; by default this one's (Linux)."""
    Path(f"/proc/{process or os.getpid()}/clear_refs").write_text("5")


def resident(key: str, process: int | None = None) -> float:
    """Resident memory in MiB: ``VmRSS`` now, ``VmHWM`` at the peak; by default here (Linux)."""
    status = Path(f"/proc/{process or os.getpid()}/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def peak_of(processes: Iterable[int]) -> float | None:
    """Most memory in MiB that the largest of some running processes has held (Linux)."""
    if sys.platform != "linux":
        return None
    return max(resident("VmHWM", process) for process in processes)


def peak_in_own_process(module: str, row: str, arguments: Sequence[str]) -> float | None:
    """What :func:`peak_memory` finds for a row in a fresh process of a benchmark."""
    if sys.platform != "linux":
        return None
    command = [sys.executable, "-m", module, *arguments, "--memory-of", row]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(json.loads(done.stdout.splitlines()[-1]))


def machine() -> dict[str, Any]:
    """What ratios and times were measured on."""
    packages = {}
    names = ("numpy", "numba", "av", "opencv-python-headless", "librosa", "dask", "zarr", "torch")
    for name in names:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": _system(),
        "python": platform.python_version(),
        "packages": packages,
        "load_average": round(os.getloadavg()[0], 1),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    megahertz = float(facts.get("cpu MHz", 0))
    return f"{facts.get('model name', platform.machine()).strip()}, {megahertz / 1000:.1f} GHz"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform(terse=True)


class Neighbours:
    """How much of the machine's cores others used while a block lasted (Linux)."""

    share: float | None = None

    def __enter__(self) -> Neighbours:
        self._busy, self._own, self._began = _busy_seconds(), _own_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        busy, own = _busy_seconds(), _own_seconds()
        cores = (os.cpu_count() or 1) * (time.perf_counter() - self._began)
        if busy is not None and self._busy is not None:
            self.share = max(0.0, (busy - self._busy - (own - self._own)) / cores)


def _busy_seconds() -> float | None:
    if sys.platform != "linux":
        return None
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _own_seconds() -> float:
    """CPU time of this process and its children, of those that have ended too."""
    ended = os.times()
    running = time.process_time() + cpu_of_children()
    return running + ended.children_user + ended.children_system
