"""A cold start: the command line's help, imports, the first clip with and without kernels on disk.

Run ``python -m tests.benchmarks.bench_start [--repeats 5] [--json FILE]``. Each measurement is a
process of its own. One thread; CPU time, so a busy machine matters little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import report
from tests.benchmarks.measuring import ROOT
from tests.media_files import moving_bars, mp4, tone, wav

CLIP = """
import json, os, sys, time
from emodask.clip_features import features_of_bytes
from emodask.features import family
from emodask.job import load_job
from emodask import media

job = load_job("hog3d-spline")
imported = time.process_time()
with open(sys.argv[1], "rb") as video, open(sys.argv[2], "rb") as sound:
    features_of_bytes(job, "a", "video", video.read())
    features_of_bytes(job, "a", "audio", sound.read())
first = time.process_time()
import gc
from tests.benchmarks.measuring import peak_of
from numba.core.dispatcher import Dispatcher
kernels = [k for k in gc.get_objects() if isinstance(k, Dispatcher)]
kernels = [k.stats for k in kernels if k.py_func.__module__.startswith("emodask.")]
print(json.dumps({
    "import": imported,
    "first clip": first - imported,
    "compiled": sum(sum(stats.cache_misses.values()) for stats in kernels),
    "loaded": sum(sum(stats.cache_hits.values()) for stats in kernels),
    "peak": peak_of([os.getpid()]) or 0,
}))
"""


def run(*command: str, **variables: str) -> tuple[dict[str, float], str]:
    """Seconds and CPU seconds of a command, and what it printed."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=os.environ | variables, stdout=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        output.seek(0)
        printed = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}, printed


def measure(chosen: argparse.Namespace) -> report.Report:
    """Median of some starts of each kind, by turns."""
    taken: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video, sound = str(folder / "a.mp4"), str(folder / "a.wav")
        Path(video).write_bytes(mp4(moving_bars(8, 480, 852)))
        Path(sound).write_bytes(wav(tone(2.0)))
        for turn in range(chosen.repeats):
            cold = str(folder / f"kernels-{turn}")
            kinds = {
                "emodask --help": (("-m", "emodask", "--help"), ""),
                "import emodask": (("-c", "import emodask"), ""),
                "first clip, no kernels yet": (("-c", CLIP, video, sound), cold),
                "first clip, kernels on disk": (("-c", CLIP, video, sound), cold),
            }
            for kind, (command, cache) in kinds.items():
                variables = {"NUMBA_CACHE_DIR": cache} if cache else {}
                found, printed = run(*command, **variables)
                inside = json.loads(printed) if kind.startswith("first") else {}
                taken.setdefault(kind, []).append({**found, **inside})
    middle = {
        kind: {key: statistics.median(one[key] for one in every) for key in every[0]}
        for kind, every in taken.items()
    }
    rows = tuple(
        (
            kind,
            f"{one['wall']:.2f}",
            f"{one['cpu']:.2f}",
            f"{one['import']:.2f}" if "import" in one else "",
            f"{one['compiled']:.0f}" if "compiled" in one else "",
            f"{one['peak']:.0f}" if one.get("peak") else "",
        )
        for kind, one in middle.items()
    )
    table = report.Table(
        f"A cold start, median of {chosen.repeats}",
        ("", "s", "CPU s", "imports", "compiled", "peak MiB"),
        rows,
        "Imports: CPU seconds, of those before; compiled: kernels. The clip: both features of the "
        "default job, from a small video and two seconds of sound.",
    )
    warm = middle["first clip, kernels on disk"]
    targets = (
        report.Target("emodask --help, CPU seconds", middle["emodask --help"]["cpu"], 0.5),
        report.Target("kernels that a second process compiles", warm["compiled"], 0),
    )
    return report.Report((table,), targets, middle)


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--repeats", type=int, default=5, help="starts of each kind (%(default)s)")


if __name__ == "__main__":
    report.main("start", __doc__, measure, options)
