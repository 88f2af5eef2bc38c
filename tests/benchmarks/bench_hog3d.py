"""Time of emodask.hog3d against one np.histogram per cell and angle, in one process on one thread.

Run ``python -m tests.benchmarks.bench_hog3d [--runs N] [--json]``. Seconds are the process's CPU
time, so that other work on the machine distorts the ratio less; the two take turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numba
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from emodask.features.hog3d import hog3d
from tests.oracles import hog3d as oracle

SHAPE = (50, 240, 426)


def clips() -> dict[str, npt.NDArray[Any]]:
    """Random levels, the hardest case for any shortcut, and a textured disk on a flat wall."""
    rng = np.random.default_rng(0)
    noise = rng.random(SHAPE, dtype=np.float32) * 255
    t, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    distance = np.hypot(y - 120 - t / 5, x - 213 + t / 5)
    disk = np.where(distance < 80, 190 - distance + rng.normal(0, 3, SHAPE), 96)
    return {"random float32": noise, "disk uint8": disk.astype(np.uint8)}


def cpu_seconds(function: Callable[[npt.NDArray[Any]], Any], frames: npt.NDArray[Any]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    function(frames)
    return time.process_time() - start


def measure(frames: npt.NDArray[Any], runs: int) -> dict[str, float]:
    """Medians of `runs` turns, the ratio, and the differences with and without edge cells."""
    difference = np.abs(hog3d(frames) - oracle.hog3d(frames)).max(axis=3)
    near = oracle.cells_near_an_edge(frames)
    plain, fused = [], []
    for _ in range(runs):
        plain.append(cpu_seconds(oracle.hog3d, frames))
        fused += [cpu_seconds(hog3d, frames) for _ in range(5)]
    return {
        "plain_s": statistics.median(plain),
        "hog3d_s": statistics.median(fused),
        "ratio": statistics.median(plain) / statistics.median(fused),
        "max_abs_difference": float(difference.max()),
        "max_abs_difference_off_edges": float(difference[~near].max()),
        "share_of_cells_near_an_edge": float(near.mean()),
    }


def main() -> None:
    """Measure each clip and print one table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    with threadpool_limits(1):
        found = {name: measure(frames, arguments.runs) for name, frames in clips().items()}
    if arguments.json:
        print(json.dumps({"shape": SHAPE, "clips": found}, indent=2))
        return
    print(f"clip {SHAPE}, medians of {arguments.runs} turns, CPU seconds of one thread")
    print(
        f"{'':16}{'np.histogram':>14}{'hog3d':>10}{'ratio':>8}{'max |diff|':>12}{'edge cells':>12}"
    )
    for name, row in found.items():
        print(
            f"{name:16}{row['plain_s']:>12.2f} s{row['hog3d_s'] * 1e3:>7.1f} ms"
            f"{row['ratio']:>7.0f}x{row['max_abs_difference']:>12.1e}"
            f"{row['share_of_cells_near_an_edge']:>11.2%}"
        )


if __name__ == "__main__":
    main()
