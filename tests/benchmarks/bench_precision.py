"""What rounding the stored features does to Tucker factors and to the recall of emotions.

Run ``python -m tests.benchmarks.bench_precision [--source FOLDER] [--work FOLDER] [--json FILE]``.
The folder holds RAVDESS's ``Audio_Speech_Actors_*.zip`` (and ``Video_Speech_Actor_01.zip`` for the
factors of real video). Emotions in video are judged on synthetic faces, 96 clips of 6 actors: eight
real clips of one actor are not enough. What is extracted once stays in the work folder; the
stores compared are copies with rounded numbers. "keep 20 bits" is the control: a difference of a
millionth, so what it changes is the chance in the training itself.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bench_storage import real_chunks, rounded
from tests.benchmarks.measuring import MEDIA, pin

PRECISIONS = ("float32", "keep 20 bits", "float16", "keep 7 bits")
PROTOCOLS = ("loso", "within-actor")
REDUCTIONS = {
    "hog3d": ((8, 8, 3, 1), (1, 2, 3, 5)),
    "spline": ((10, 150), (1, 2)),
}


def factors_compared(values: np.ndarray, precision: str) -> dict[str, float]:
    """Largest principal angle between factors, and relative differences, of rounded numbers."""
    from scipy.linalg import subspace_angles

    from emodask.reduction import PartialTucker

    ranks, modes = REDUCTIONS["hog3d" if values.ndim == 6 else "spline"]
    less = rounded(values, precision)
    exact, other = (PartialTucker(ranks, modes).fit(one) for one in (values, less))
    angles = [
        float(np.degrees(subspace_angles(one, two).max()))
        for one, two in zip(exact.factors_, other.factors_, strict=True)
    ]
    full, rough = (
        np.asarray(tucker.inverse_transform(tucker.transform(one)))
        for tucker, one in ((exact, values), (other, less))
    )
    return {
        "numbers": float(np.linalg.norm(less.astype(np.float32) - values) / np.linalg.norm(values)),
        "angle": max(angles),
        "projections": float(np.linalg.norm(rough - full) / np.linalg.norm(full)),
        "error": float(exact.reconstruction_error_),
        "error_rounded": float(other.reconstruction_error_),
    }


def job_of(name: str, precision: str) -> Any:
    """A shipped job with two classifiers, its features stored in a precision."""
    from emodask.job import load_job, parse_job

    settings = load_job(name).settings()
    settings["features"][name]["precision"] = "float16" if precision == "float16" else "float32"
    settings["models"]["svc"] = load_job("spline").settings()["models"]["svc"]
    settings["evaluation"]["protocols"] = PROTOCOLS
    return parse_job(settings)


def recall(name: str, sources: str, work: Path) -> list[dict[str, Any]]:
    """UAR of each model and protocol from stores of each precision."""
    from emodask import evaluate, extract, scan
    from emodask.store import StoreAddress, open_group, prepare, read_rows, write_batch

    base = StoreAddress.of(work / f"{name}.zarr")
    exact = job_of(name, "float32")
    summary = extract(exact, sources, base)
    if summary.done != summary.total:
        raise SystemExit(f"{base}: {summary.total - summary.done} clips are not done")
    clips = [clip for clip in scan(sources).clips if clip.channel == 1]
    found = []
    for precision in PRECISIONS:
        job, address = job_of(name, precision), StoreAddress.of(work / f"{name} {precision}.zarr")
        group, source = prepare(address, job, clips), open_group(base)
        for start in range(0, len(clips), job.data.batch):
            rows = read_rows(source, start, min(start + job.data.batch, len(clips)))
            less = [
                replace(row, checksum=None, features={name: rounded(row.features[name], precision)})
                for row in rows
            ]
            write_batch(group, start, less)
        metrics = evaluate(job, address, work / f"{name} {precision} report")
        for protocol in PROTOCOLS:
            for model, figures in metrics["protocols"][protocol]["models"].items():
                about = {"feature": name, "precision": precision, "protocol": protocol}
                found.append({**about, "model": model, "uar": figures["uar"]})
                print(f"{name:8}{precision:14}{protocol:14}{model:6}{figures['uar']:8.4f}")
    return found


def measure(source: Path, work: Path) -> dict[str, Any]:
    """Factors of one real chunk of each feature, and recalls on whole corpora."""
    from emodask.sources.synth import synthesize

    factors = []
    for name, values in real_chunks(source)[0].items():
        for precision in (*PRECISIONS[1:], "keep 10 bits", "keep 8 bits"):
            compared = factors_compared(values, precision)
            factors.append({"array": name, "precision": precision, **compared})
            print(f"{name:12}{precision:14}", end="")
            print("".join(f"{key} {value:.3g}   " for key, value in compared.items()))
    media = work / "media"
    if not list(media.glob("Video_*.zip")):
        synthesize(media, actors=6, clips=16, modalities=("video-only",))
    return {
        "factors": factors,
        "recall": [
            *recall("hog3d", f"{media}/Video_*.zip", work),
            *recall("spline", f"{source}/Audio_*.zip", work),
        ],
    }


def main() -> None:
    """Print every comparison as it is made; write all as JSON too where a file is named."""
    pin()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=MEDIA, help="folder of RAVDESS zips")
    parser.add_argument("--work", type=Path, help="folder that keeps the stores; none by default")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(chosen.source, chosen.work or Path(folder))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
