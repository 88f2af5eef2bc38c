"""HOG3D of a clip beside one np.histogram per cell and angle, on real and on hard frames.

Run ``python -m tests.benchmarks.bench_hog3d [--source FOLDER] [--clips 1] [--repeats 3]
[--json FILE]``. One thread, by turns; the ratio is of CPU time.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.benchmarks import report
from tests.benchmarks.measuring import Taken, median, timed
from tests.benchmarks.media import Material, full_clips
from tests.benchmarks.media import options as media_options

SHAPE = (50, 240, 426)


def made() -> dict[str, npt.NDArray[Any]]:
    """Random levels, the hardest case for any shortcut, and a textured disk on a flat wall."""
    rng = np.random.default_rng(0)
    noise = rng.random(SHAPE, dtype=np.float32) * 255
    t, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    distance = np.hypot(y - 120 - t / 5, x - 213 + t / 5)
    disk = np.where(distance < 80, 190 - distance + rng.normal(0, 3, SHAPE), 96)
    return {"random, float32": noise, "moving disk, uint8": disk.astype(np.uint8)}


def measure(chosen: argparse.Namespace) -> report.Report:
    """Medians, ratios, and the differences of cells away from any bin's edge."""
    from emodask.features.hog3d import hog3d
    from emodask.job import load_job
    from tests.oracles import hog3d as oracle

    job = load_job("hog3d-spline")
    with full_clips(chosen.source, chosen.clips) as (clips, what):
        real = {
            f"{clip.clip_id}, {gray}": Material(clip, job).frames(gray)
            for clip in clips
            for gray in ("luma", "rgb")
        }
    rows, ratios, figures = [], [], {}
    for name, frames in {**real, **made()}.items():
        expected: list[npt.NDArray[np.float64]] = []
        hog3d(frames)  # compiles
        taken: dict[str, list[Taken]] = {"loop": [], "hog3d": []}
        for _ in range(chosen.repeats):
            taken["loop"].append(timed(lambda: expected.append(oracle.hog3d(frames))))  # noqa: B023
            taken["hog3d"] += [timed(partial(hog3d, frames)) for _ in range(5)]
        loop, fused = (median(every).cpu for every in taken.values())
        difference = np.abs(hog3d(frames) - expected[0]).max(axis=3)
        near = oracle.cells_near_an_edge(frames)
        if name in real:
            ratios.append(loop / fused)
        worst = float(difference[~near].max())
        figures[name] = {"loop_s": loop, "hog3d_s": fused, "largest_difference": worst}
        rows.append(
            (
                name,
                f"{loop:.2f} s",
                f"{1000 * fused:.1f} ms",
                f"{loop / fused:.0f}x",
                f"{worst:.1e}",
                f"{near.mean():.1%}",
            )
        )
    table = report.Table(
        f"HOG3D of {SHAPE[0]} frames of {SHAPE[1]}x{SHAPE[2]}: {what}, and made ones",
        ("", "loop", "emodask", "ratio", "difference", "near"),
        tuple(rows),
        "CPU time. The difference is the largest in cells none of whose pixels lies within 1e-5 "
        "rad of a bin's edge; near: the others, where the last bit decides the bin.",
    )
    least = report.Target("HOG3D, real clips: the loop : emodask", min(ratios), 150, at_most=False)
    return report.Report((table,), (least,), figures)


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    media_options(parser, clips=1)
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")


if __name__ == "__main__":
    report.main("hog3d", __doc__, measure, options)
