"""Time of the spline features, stage by stage, against librosa's functions one by one.

Run ``python -m tests.benchmarks.bench_spline [--seconds 3.5] [--clip WAV] [--repeats 7] [--json]``;
everything runs on one thread, both sides in one process and by turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

RATE = 22050

COLD = """
import time; begin = time.perf_counter()
import numpy as np
from emodask.features.spline import spline_features
imported = time.perf_counter()
spline_features(np.sin(np.arange(66150, dtype=np.float32) / 9), 22050)
print(imported - begin, time.perf_counter() - imported)
"""


def samples_of(clip: str | None, seconds: float) -> np.ndarray:
    """Samples of a wav file, or a synthetic voice of that length."""
    from tests.oracles import audio as oracle

    if clip is None:
        return oracle.voiced(seconds)
    import librosa
    import soundfile

    samples, found = soundfile.read(clip, dtype="float32", always_2d=True)
    return librosa.resample(samples.mean(axis=1), orig_sr=found, target_sr=RATE)


def stages(samples: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Each stage of `spline_features` on its own, for all eight variants."""
    from emodask.features.audio import bspline, descriptors, variants
    from emodask.features.audio.stft import magnitudes

    made = list(variants.variants(samples, RATE).values())
    vocoder = variants.Stretcher(samples)
    spectra = [magnitudes(variant) for variant in made]
    powers = [spectrum**2 for spectrum in spectra]
    curves = [descriptors.descriptors(variant, RATE) for variant in made]
    pitches, speeds = variants.PITCHES.values(), variants.SPEEDS.values()
    return {
        "analysis of the clean signal": lambda: variants.Stretcher(samples),
        "3 pitch shifts": lambda: [
            variants.shift_pitch(vocoder, len(samples), RATE, n) for n in pitches
        ],
        "4 speeds": lambda: [vocoder.stretch(speed) for speed in speeds],
        "8 spectra": lambda: [magnitudes(variant) ** 2 for variant in made],
        "mfcc": lambda: [descriptors.mfcc(power, RATE) for power in powers],
        "zcr": lambda: [descriptors.zero_crossing_rate(variant) for variant in made],
        "rms": lambda: [descriptors.rms(variant) for variant in made],
        "chroma": lambda: [descriptors.chroma(power, RATE) for power in powers],
        "contrast": lambda: [descriptors.spectral_contrast(spectrum, RATE) for spectrum in spectra],
        "fit": lambda: [np.einsum("bt,ct->bc", bspline.projector(c.shape[1]), c) for c in curves],
    }


def measure(samples: np.ndarray, repeats: int) -> dict[str, Any]:
    """Best of some runs of each stage and of both wholes, in milliseconds."""
    from emodask.features.spline import spline_features
    from tests.oracles import audio as oracle

    found = spline_features(samples, RATE)
    expected = oracle.spline_features(samples, RATE)
    timed = {
        **stages(samples),
        "emodask, whole": lambda: spline_features(samples, RATE),
        "librosa, variants": lambda: oracle.variants(samples, RATE),
        "librosa, whole": lambda: oracle.spline_features(samples, RATE),
    }
    best = dict.fromkeys(timed, np.inf)
    for _ in range(repeats):
        for name, run in timed.items():
            begin = time.perf_counter()
            run()
            best[name] = min(best[name], 1000 * (time.perf_counter() - begin))
    cold = subprocess.run(
        [sys.executable, "-c", COLD], capture_output=True, text=True, check=True
    ).stdout.split()
    return {
        "seconds_of_audio": len(samples) / RATE,
        "milliseconds": best,
        "ratio": best["librosa, whole"] / best["emodask, whole"],
        "largest_relative_difference": float(oracle.relative_difference(found, expected).max()),
        "cold_import_s": float(cold[0]),
        "cold_first_call_s": float(cold[1]),
    }


PINNED = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def main() -> None:
    """Print one table, or JSON."""
    if not PINNED.items() <= os.environ.items():
        # Libraries read these once, when they are loaded: begin again with them set.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | PINNED)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.5, help="of synthetic voice")
    parser.add_argument("--clip", help="wav file to take instead")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result = measure(samples_of(chosen.clip, chosen.seconds), chosen.repeats)
    if chosen.json:
        print(json.dumps(result))
        return
    best = result["milliseconds"]
    print(f"{result['seconds_of_audio']:.2f} s of audio, one thread, best of {chosen.repeats}\n")
    print(f"{'stage':32}{'ms':>8}{'share':>8}")
    for name, taken in best.items():
        print(f"{name:32}{taken:8.1f}{taken / best['emodask, whole']:8.0%}")
    print(f"\nratio to librosa one by one      {result['ratio']:.1f}x")
    print(f"largest relative difference      {result['largest_relative_difference']:.1e}")
    cold = result["cold_import_s"], result["cold_first_call_s"]
    print(f"fresh process, warm Numba cache  import {cold[0]:.2f} s, first call {cold[1]:.2f} s")


if __name__ == "__main__":
    main()
