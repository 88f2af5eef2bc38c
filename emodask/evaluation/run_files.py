"""What an evaluation left behind, read back: ``metrics.json`` and ``predictions.csv`` of a run."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from emodask.emotions import CODES
from emodask.errors import EvaluationError, UsageError
from emodask.evaluation.outcome import Outcome
from emodask.evaluation.results import job_name
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason

METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.csv", "report"
_FIXED = ("clip_id", "actor", "true", "predicted", "protocol", "model")


@dataclass(frozen=True, eq=False)
class RunFiles:
    """The folder of a report, and what its ``metrics.json`` says.

    Attributes
    ----------
    name : str
        Of the run: its folder, or the one that its report is in.
    folder : Folder
    metrics : dict
        With at least ``protocols``.
    """

    name: str
    folder: Folder
    metrics: dict[str, Any]

    @property
    def job(self) -> str:
        """Name of the job."""
        return job_name(self.metrics)

    def outcomes(self, protocol: str) -> dict[str, Outcome]:
        """What each model said under a protocol, by model, from ``predictions.csv``.

        Raises
        ------
        EvaluationError
            If the file cannot be read, or is not what an evaluation writes.
        """
        where = f"{self.folder.address}/{PREDICTIONS}"
        try:
            text = self.folder.read(PREDICTIONS).decode("utf-8")
        except Exception as error:  # each protocol has errors of its own
            raise EvaluationError(f"{where}: cannot be read: {reason(error)}") from clean_cause(
                error
            )
        return _outcomes(text, protocol, where)


def open_run(run: str | Path, storage_options: StorageOptions | None = None) -> RunFiles:
    """Read the ``metrics.json`` of a run.

    Parameters
    ----------
    run : str or Path
        What ``emodask run`` had as ``--out``, or ``emodask evaluate`` as ``--report``: a folder or
        an fsspec URL.
    storage_options : mapping, optional
        For fsspec.

    Raises
    ------
    UsageError
        If neither it nor its ``report`` holds a ``metrics.json``.
    EvaluationError
        If that cannot be read, or is not what an evaluation writes.
    """
    below = str(run).rstrip("/")
    for address in (f"{below}/{REPORT}", below):
        folder = Folder.at(address, storage_options)
        try:
            data = folder.read(METRICS)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except Exception as error:  # each protocol has errors of its own
            raise EvaluationError(
                f"{folder.address}/{METRICS}: cannot be read: {reason(error)}"
            ) from clean_cause(error)
        path = PurePosixPath(folder.path)
        named = path.parent if path.name == REPORT else path
        return RunFiles(named.name or folder.address, folder, parse_metrics(data, folder))
    raise UsageError(
        f"{Folder.at(below, storage_options).address}: no run: neither it nor its folder "
        f"{REPORT} holds a {METRICS}; pass the --out of 'emodask run' or the --report of "
        "'emodask evaluate'"
    )


def parse_metrics(data: bytes, folder: Folder) -> dict[str, Any]:
    """What a ``metrics.json`` says.

    Parameters
    ----------
    data : bytes
        Its content.
    folder : Folder
        Where it lies.

    Returns
    -------
    dict
        With at least ``protocols``.

    Raises
    ------
    EvaluationError
        If it is not what an evaluation writes.
    """
    where = f"{folder.address}/{METRICS}"
    try:
        metrics = json.loads(data)
    except ValueError as error:
        raise EvaluationError(f"{where}: not JSON: {error}") from error
    if not isinstance(metrics, dict) or not isinstance(metrics.get("protocols"), dict):
        raise EvaluationError(f"{where}: holds no protocols; it is not what an evaluation writes")
    for name, entry in metrics["protocols"].items():
        if not isinstance(entry, dict) or "speaker_independent" not in entry:
            raise EvaluationError(f"{where}: protocol {name!r} does not say whom it tests")
    return metrics


def _outcomes(text: str, protocol: str, where: str) -> dict[str, Outcome]:
    reader = csv.DictReader(io.StringIO(text))
    columns = tuple(reader.fieldnames or ())
    if missing := [name for name in _FIXED if name not in columns]:
        raise EvaluationError(
            f"{where}: no column {', '.join(missing)}; it is not what an evaluation writes"
        )
    emotions = tuple(name for name in CODES if name in columns)
    found: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in reader:
        if row["protocol"] == protocol:
            found[row["model"]].append(row)
    try:
        outcomes = {model: _outcome(rows, emotions) for model, rows in found.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"{where}: damaged: {type(error).__name__} {error} under {protocol}"
        ) from error
    for model, outcome in outcomes.items():
        names, times = np.unique(outcome.clip_id, return_counts=True)
        if (times > 1).any():
            raise EvaluationError(
                f"{where}: {model} under {protocol} has clip {names[times > 1][0]} more than once"
            )
    return outcomes


def _outcome(rows: list[Mapping[str, str]], emotions: tuple[str, ...]) -> Outcome:
    return Outcome(
        np.array([row["clip_id"] for row in rows]),
        np.array([int(row["actor"]) for row in rows], np.int64),
        np.array([CODES[row["true"]] for row in rows], np.int64),
        np.array([CODES[row["predicted"]] for row in rows], np.int64),
        np.array([[float(row[name]) for name in emotions] for row in rows]),
        emotions,
    )
