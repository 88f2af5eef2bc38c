"""Spline features stage by stage, beside librosa's functions one by one and openSMILE.

Run ``python -m tests.benchmarks.bench_spline [--source FOLDER] [--clips 1] [--repeats 7]
[--opensmile PYTHON] [--json FILE]``. One thread, by turns; ratios are of CPU time. openSMILE is
licensed for research: ``make bench`` puts it into an environment of its own, and PYTHON is that
environment's interpreter. Without it its row is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.measuring import ROOT, by_turns
from tests.benchmarks.media import Material, full_clips
from tests.benchmarks.media import options as media_options

OPENSMILE = ROOT / ".venv" / "opensmile" / "bin" / "python"

COMPARE = """
import sys
import numpy as np
import opensmile

samples = np.frombuffer(sys.stdin.buffer.read(int(sys.argv[1])), np.float32)
smile = opensmile.Smile(
    feature_set=opensmile.FeatureSet.ComParE_2016,
    feature_level=opensmile.FeatureLevel.Functionals,
    num_workers=1,
)
print(len(smile.feature_names), flush=True)
for _ in sys.stdin.buffer:
    smile.process_signal(samples, int(sys.argv[2]))
    print("done", flush=True)
"""


@contextlib.contextmanager
def opensmile(python: Path, samples: np.ndarray, rate: int) -> Iterator[Callable[[], Any] | None]:
    """ComParE's functionals of the samples, on request, in a process that stays; None without."""
    if not python.is_file():
        yield None
        return
    with subprocess.Popen(
        [python, "-c", COMPARE, str(samples.nbytes), str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout
        asked.write(samples.tobytes())
        asked.flush()
        if not answers.readline():
            yield None
            return

        def run() -> None:
            asked.write(b"\n")
            asked.flush()
            if not answers.readline():
                raise RuntimeError("openSMILE ended")

        yield run
        asked.close()


def stages(samples: np.ndarray, rate: int) -> dict[str, Callable[[], Any]]:
    """Each stage of `spline_features` on its own, for all eight variants."""
    from emodask.features.audio import bspline, descriptors, variants
    from emodask.features.audio.stft import magnitudes

    made = list(variants.variants(samples, rate).values())
    vocoder = variants.Stretcher(samples)
    spectra = [magnitudes(variant) for variant in made]
    powers = [spectrum**2 for spectrum in spectra]
    curves = [descriptors.descriptors(variant, rate) for variant in made]
    pitches, speeds = variants.PITCHES.values(), variants.SPEEDS.values()
    return {
        "analysis of the clean signal": lambda: variants.Stretcher(samples),
        "3 pitch shifts": lambda: [
            variants.shift_pitch(vocoder, len(samples), rate, n) for n in pitches
        ],
        "4 speeds": lambda: [vocoder.stretch(speed) for speed in speeds],
        "8 spectra": lambda: [magnitudes(variant) ** 2 for variant in made],
        "MFCC": lambda: [descriptors.mfcc(power, rate) for power in powers],
        "zero crossings": lambda: [descriptors.zero_crossing_rate(one) for one in made],
        "RMS": lambda: [descriptors.rms(variant) for variant in made],
        "chroma": lambda: [descriptors.chroma(power, rate) for power in powers],
        "contrast": lambda: [descriptors.spectral_contrast(spectrum, rate) for spectrum in spectra],
        "B-spline fit": lambda: [
            np.einsum("bt,ct->bc", bspline.projector(c.shape[1]), c) for c in curves
        ],
    }


def measure(chosen: argparse.Namespace) -> report.Report:
    """Medians of each stage, of both wholes and of openSMILE."""
    from emodask.features.spline import spline_features
    from emodask.job import load_job
    from tests.oracles import audio as oracle

    with full_clips(chosen.source, 1) as (clips, _):
        material = Material(clips[0], load_job("hog3d-spline"))
        samples, rate = material.samples, material.spline.rate
    expected = oracle.spline_features(samples, rate)
    difference = float(oracle.relative_difference(spline_features(samples, rate), expected).max())
    with opensmile(chosen.opensmile, samples, rate) as compare:
        calls = {
            **stages(samples, rate),
            "emodask, whole": partial(spline_features, samples, rate),
            "librosa, the variants": partial(oracle.variants, samples, rate),
            "librosa, whole": partial(oracle.spline_features, samples, rate),
        }
        if compare is not None:
            calls["openSMILE, ComParE functionals"] = compare
        found = by_turns(calls, chosen.repeats)
    whole = found["emodask, whole"]
    rows = tuple(
        (name, f"{1000 * one.wall:.1f}", f"{1000 * one.cpu:.1f}", f"{one.cpu / whole.cpu:.2f}")
        for name, one in found.items()
    )
    note = f"Largest difference of a curve's coefficients, over its largest: {difference:.1e}."
    if compare is not None:
        note += (
            " openSMILE computes other things, 6373 functionals of one signal rather than 272 "
            "curves of eight: a peer in purpose alone."
        )
    table = report.Table(
        f"Spline features of {len(samples) / rate:.1f} s, median of {chosen.repeats}",
        ("", "ms", "CPU ms", "x emodask"),
        rows,
        note,
    )
    ratio = found["librosa, whole"].cpu / whole.cpu
    target = report.Target("audio: librosa step by step : emodask", ratio, 4, at_most=False)
    figures = {name: {"wall_s": one.wall, "cpu_s": one.cpu} for name, one in found.items()}
    return report.Report((table,), (target,), {**figures, "largest_difference": difference})


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    media_options(parser, clips=1)
    parser.add_argument("--repeats", type=int, default=7, help="turns (%(default)s)")
    parser.add_argument("--opensmile", type=Path, default=OPENSMILE, metavar="PYTHON")


if __name__ == "__main__":
    report.main("spline", __doc__, measure, options)
