"""What the networks of the shipped jobs cost at their own sizes, beside a support vector machine.

Run ``python -m tests.benchmarks.bench_networks [--jobs NAME ...] [--clips 112] [--epochs 2]
[--repeats 3] [--json FILE]``. Each row is measured in a process of its own, on random numbers of
the shapes that the job's features have, on one thread; features that are streamed lie in a store
of random numbers and are read from it. Seconds are CPU time, medians of the repeats.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.measuring import ROOT, begin_peak, resident, timed

ACTORS = 14
FOLD = 780
"""Clips that a fold of ``loso`` trains on with actors 1 to 14, which real media are here of."""

MOST_NUMBERS = 100_000
"""No support vector machine reads more numbers a clip: its float64 copies would fill memory."""


def rows_of(jobs: list[str]) -> list[str]:
    """``JOB/MODEL`` of every network of some jobs whose features have known sizes."""
    from emodask.job import load_job
    from emodask.models.classifiers import is_network
    from emodask.models.system import model_features, reduced_dims

    found = []
    for name in jobs:
        job = load_job(name)
        for model, settings in job.models.items():
            dims = [reduced_dims(job, feature) for feature in model_features(job, model)]
            if is_network(settings.kind) and all(size for one in dims for size in one.values()):
                found.append(f"{name}/{model}")
    return found


def matrices_of(job: Any, model: str, n_clips: int, folder: Path) -> dict[str, Any]:
    """Random numbers where a model reads features; streamed ones lie in a store."""
    import zarr

    from emodask.models.system import is_streamed, model_features, reduced_dims
    from emodask.store import StoreAddress, StreamedMatrix
    from emodask.store.layout import CODEC, FORMAT

    rng = np.random.default_rng(0)
    address = StoreAddress.of(folder / "store.zarr")
    group = zarr.create_group(address.zarr_store(), attributes={"emodask": {"format": FORMAT}})
    found: dict[str, Any] = {}
    for name in model_features(job, model):
        shape = tuple(reduced_dims(job, name).values())
        if not is_streamed(job, name):
            found[name] = rng.standard_normal((n_clips, int(np.prod(shape))), np.float32)
            continue
        batch, dtype = job.data.batch, np.dtype(job.features[name].settings.precision)
        array = group.create_array(
            name,
            shape=(n_clips, *shape),
            dtype=dtype,
            chunks=(batch, *shape),
            compressors=[CODEC],
        )
        for start in range(0, n_clips, batch):
            size = (min(batch, n_clips - start), *shape)
            levels = dtype.kind == "u"
            some = rng.integers(0, 256, size, np.uint8) if levels else rng.random(size, np.float32)
            array[start : start + len(some)] = some.astype(dtype)
        found[name] = StreamedMatrix.of(address, name, np.arange(n_clips))
    return found


def with_epochs(job: Any, epochs: dict[str, int]) -> Any:
    """A job whose networks train for so many epochs, whatever they reach."""
    models = {}
    for name, settings in job.models.items():
        if name in epochs:
            fixed = {"epochs": epochs[name], "patience": epochs[name], "device": "cpu"}
            parameters = {**settings.parameters, **fixed}
            settings = settings.model_copy(update={"parameters": parameters, "search": None})
        models[name] = settings
    return job.model_copy(update={"models": models})


def median_cpu(call: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a call."""
    return statistics.median(timed(call).cpu for _ in range(repeats))


def measure_row(chosen: argparse.Namespace) -> None:
    """Measure one network, or what stands beside it, in this process; print JSON."""
    from emodask.job import load_job

    name, model = chosen.row.split("/")
    job = load_job(name)
    codes = np.resize(np.array(job.data.emotion_codes, np.int16), chosen.clips)
    actors = np.arange(chosen.clips) // len(job.data.emotion_codes) % ACTORS
    with tempfile.TemporaryDirectory() as folder:
        matrices = matrices_of(job, model, chosen.clips, Path(folder))
        measure = reference_of if chosen.reference else network_of
        print(json.dumps(measure(chosen, job, model, matrices, codes, actors)))


def fitted_below(
    job: Any, model: str, matrices: dict[str, Any], codes: Any, actors: Any
) -> dict[str, Any]:
    """The networks that a model reads the layers of, fitted for one epoch: others' rows."""
    from emodask.models.learning import fit_model

    below: dict[str, Any] = {}
    every = with_epochs(job, dict.fromkeys(below_of(job, model), 1))
    for name in job.models[model].embeddings:
        fit_model(every, name, matrices, codes, actors, below)
    return below


def below_of(job: Any, model: str) -> list[str]:
    """All networks that a model reads the layers of, and that those do."""
    found = []
    for name in job.models[model].embeddings:
        found += [name, *below_of(job, name)]
    return found


def network_of(
    chosen: argparse.Namespace,
    job: Any,
    model: str,
    matrices: dict[str, Any],
    codes: Any,
    actors: Any,
) -> dict[str, Any]:
    """Parameters, seconds of an epoch and of a fold, memory, clips a second."""
    from emodask.models.classifiers import make_classifier
    from emodask.models.learning import fit_model

    below = fitted_below(job, model, matrices, codes, actors)

    def fit(epochs: int) -> Any:
        short = with_epochs(job, {model: epochs})
        return fit_model(short, model, matrices, codes, actors, dict(below))

    fitted = fit(1)  # what is set up once is no epoch's
    begin_peak()
    at_rest = resident("VmRSS")
    most = 1 + chosen.epochs
    longer, shorter = (median_cpu(lambda n=n: fit(n), chosen.repeats) for n in (most, 1))
    peak = resident("VmHWM")
    said = median_cpu(lambda: fitted.predict_proba(matrices), chosen.repeats)
    settings = job.models[model]
    estimator = make_classifier(settings.kind, settings.parameters, 0)
    return {
        "parameters": fitted.training["parameters"],
        "epoch_cpu_s": max(longer - shorter, 0.0) / chosen.epochs,
        "epochs": estimator.epochs,
        "peak_mib": peak,
        "at_rest_mib": at_rest,
        "clips_per_cpu_s": chosen.clips / said,
    }


def reference_of(
    chosen: argparse.Namespace,
    job: Any,
    model: str,
    matrices: dict[str, Any],
    codes: Any,
    actors: Any,
) -> dict[str, Any]:
    """The same of a support vector machine on the same numbers; empty where they are too many."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from emodask.models.fitted import joined, joined_embeddings
    from emodask.models.system import model_features

    settings = job.models[model]
    if settings.embeddings:
        below = fitted_below(job, model, matrices, codes, actors)
        read = {name: below[name] for name in settings.embeddings}
        X = joined_embeddings(read, matrices, settings.features)
    else:
        X = joined(matrices, model_features(job, model))
    if X.shape[1] > MOST_NUMBERS:
        return {}
    rows = X if isinstance(X, np.ndarray) else X.read()
    machine = make_pipeline(StandardScaler(), SVC())
    begin_peak()
    fit = median_cpu(lambda: machine.fit(rows, codes), chosen.repeats)
    peak = resident("VmHWM")
    said = median_cpu(lambda: machine.predict(rows), chosen.repeats)
    return {
        "fit_cpu_s": fit,
        "peak_mib": peak,
        "clips_per_cpu_s": chosen.clips / said,
    }


def in_own_process(chosen: argparse.Namespace, row: str, *more: str) -> dict[str, Any]:
    """What a process of its own finds of a row."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_networks", "--row", row]
    for option in ("clips", "epochs", "repeats"):
        command += [f"--{option}", str(getattr(chosen, option))]
    done = subprocess.run([*command, *more], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(chosen: argparse.Namespace) -> report.Report:
    """Every network of the jobs, one after the other."""
    from emodask.job_files import shipped_jobs

    figures, lines = {}, []
    for row in rows_of(chosen.jobs or list(shipped_jobs())):
        one = in_own_process(chosen, row)
        beside = in_own_process(chosen, row, "--reference")
        figures[row] = {**one, "svc": beside}
        fold = one["epoch_cpu_s"] * one["epochs"] * FOLD / chosen.clips
        line = (
            row,
            f"{one['parameters']:,}".replace(",", " "),
            seconds(one["epoch_cpu_s"]),
            seconds(fold),
            f"{one['peak_mib']:.0f}",
            f"{one['clips_per_cpu_s']:.0f}",
            seconds(beside["fit_cpu_s"]) if beside else "–",
            f"{beside['clips_per_cpu_s']:.0f}" if beside else "–",
        )
        lines.append(line)
        print(*line, sep="  ", file=sys.stderr, flush=True)
    note = (
        f"Seconds are CPU time of one thread. An epoch is of {chosen.clips} clips, a part of them "
        f"held out; a fold is the job's most epochs of {FOLD} clips, by proportion: it stops "
        "earlier where the validation part says so. Memory is that of the whole process, with "
        f"PyTorch and the {chosen.clips} clips' numbers that are not streamed; clips a second "
        "include the networks that it reads the layers of. Beside it an RBF "
        f"SVC fitted on the same numbers of the {chosen.clips} clips, standardised; a dash where "
        f"they are more than {MOST_NUMBERS:,} a clip."
    )
    columns = ("", "parameters", "epoch s", "fold s", "MiB", "clips/s", "SVC fit s", "SVC clips/s")
    title = f"Networks at the sizes of their jobs, {chosen.clips} clips"
    table = report.Table(title, columns, tuple(lines), note)
    return report.Report((table,), figures={"clips": chosen.clips, "rows": figures})


def seconds(value: float) -> str:
    """Three digits at most.

    Examples
    --------
    >>> seconds(0.0123), seconds(4.56), seconds(789.1)
    ('0.012', '4.6', '789')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--jobs", nargs="*", metavar="JOB", help="job files (all that are shipped)")
    parser.add_argument("--clips", type=int, default=112, help="(%(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="measured after one (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="medians of (%(default)s)")
    parser.add_argument("--row", dest="memory_of", metavar="JOB/MODEL", help=argparse.SUPPRESS)
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)


def row_alone(chosen: argparse.Namespace) -> None:
    """Measure the row that a process was started for."""
    chosen.row = chosen.memory_of
    measure_row(chosen)


if __name__ == "__main__":
    report.main("networks", __doc__, measure, options, row_alone)
