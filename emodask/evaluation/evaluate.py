"""Folds as Dask tasks: everything that learns is fitted inside the training side of each."""

from __future__ import annotations

import csv
import datetime
import io
import json
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import emodask
from emodask.cluster import current_client, works_here
from emodask.command_line import command_line
from emodask.emotions import emotion_name
from emodask.errors import EvaluationError
from emodask.evaluation.adaptation import ADAPTED, ADAPTED_MEANING, row_names
from emodask.evaluation.chosen import searched
from emodask.evaluation.clips import (
    Clips,
    as_extracted,
    require_meant,
    restricting_note,
    stored_identities,
    usable_clips,
)
from emodask.evaluation.controls import CONTROL, CONTROL_MEANING
from emodask.evaluation.directions import by_fold, fold_sentences
from emodask.evaluation.folds import EvaluationProgress, Prediction, ReducedFolds, run_folds
from emodask.evaluation.identical import identical_notes
from emodask.evaluation.outcome import Outcome, describe, leakages
from emodask.evaluation.pages.clip_media import with_media
from emodask.evaluation.pages.report import write_report
from emodask.evaluation.pages.sounds import sounds_of_mistakes
from emodask.evaluation.protocols import PROTOCOLS, Split, split
from emodask.evaluation.reductions import describe_reductions
from emodask.evaluation.sides import FoldTask, seed_of
from emodask.evaluation.timings import evaluation_times, extraction_times
from emodask.evaluation.trained import trained
from emodask.job import Job, digest, load_job
from emodask.models.checking import check_installed
from emodask.models.networks.checking import check_devices
from emodask.models.system import emotion_columns, model_features, with_models
from emodask.pictures.section import what_models_see
from emodask.scrubbing import clean_cause
from emodask.sources.catalogue import Clip
from emodask.sources.corpora import credit_of
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.store import StoreAddress, failures, open_group

if TYPE_CHECKING:
    from distributed import Client

    from emodask.extraction import ExtractSummary

_LIBRARIES = ("dask", "librosa", "numba", "numpy", "opencv-python-headless", "scikit-learn", "zarr")


def evaluate(
    job: str | Path | Job,
    store: str | Path | StoreAddress,
    report: str | Path,
    client: Client | None = None,
    *,
    models: Sequence[str] | None = None,
    credit: str | None = None,
    extracted: ExtractSummary | None = None,
    media: Sequence[Clip] = (),
    sounds: bool = True,
    sources: str | Sequence[str] = (),
    pictures: bool = True,
    storage_options: StorageOptions | None = None,
    on_progress: Callable[[EvaluationProgress], None] | None = None,
) -> dict[str, Any]:
    """Evaluate a job's models under its protocols and write the report.

    Parameters
    ----------
    job : str, Path or Job
    store : str, Path or StoreAddress
        What :func:`emodask.extract` wrote under the same job.
    report : str or Path
        Folder (or fsspec URL) for ``metrics.json``, ``predictions.csv`` and ``index.html``.
    client : distributed.Client, optional
        Where folds run; by default on the client that is connected, or else in this process.
    models : sequence of str, optional
        Some models of the job, on the clips that have their features; by default all, on the clips
        that have the features of every one, so that they can be compared.
    credit : str, optional
        Whose data it is, for the report; by default RAVDESS's and TESS's own credits if all clips
        have their names.
    extracted : ExtractSummary, optional
        Of the extraction that this follows, for the report's times.
    media : sequence of Clip, optional
        Where clips lie, such as ``emodask.scan(sources).clips``: for links to the surest mistakes.
    sounds : bool
        Whether the page holds the sound of a few of them, where ``media`` says where it lies.
    sources : str or sequence of str
        Where the media lie that the page shows; by default where the ``run.json`` beside the store
        says. Nothing else is read from them.
    pictures : bool
        Show on the page what the models see of one clip of each emotion.
    storage_options : mapping, optional
        For fsspec.
    on_progress : callable, optional
        Called with an :class:`EvaluationProgress` as passes and folds go on.

    Returns
    -------
    dict
        What ``metrics.json`` holds. A protocol that is impossible with the clips that could be
        extracted has a ``not_run`` with the reason.

    Raises
    ------
    JobError
        If the job has no model of a name, names an emotion that no clip of the store shows, or
        names a device for a network that is not where it is fitted.
    StoreError, EvaluationError
        ProtocolError if the job names a protocol that no clips of the store would allow.
    """
    began = time.monotonic()
    job = with_models(load_job(job), models)
    check_installed(job)
    client = client or current_client()
    if works_here(client):
        check_devices(job, job.models)
    address = StoreAddress.of(store, storage_options)
    named, job = job, as_extracted(job, address)
    clips = usable_clips(job, address)
    require_meant(named, stored_identities(address))
    seed = seed_of(job)
    splits: dict[str, Split] = {}
    refused: dict[str, str] = {}
    for name in job.evaluation.protocols:
        try:
            splits[name] = split(name, clips.identities, seed)
        except EvaluationError as error:
            refused[name] = str(error)
    tasks = [
        FoldTask(
            name,
            fold.name,
            clips.rows[fold.train],
            clips.rows[fold.test],
            clips.emotion[fold.train],
        )
        for name, chosen in splits.items()
        for fold in chosen.folds
    ]
    reduced: list[ReducedFolds] = []
    folds_began = time.monotonic()
    predictions, failed = run_folds(job, address, clips, tasks, client, on_progress, reduced.append)
    fold_seconds = time.monotonic() - folds_began
    refused |= failed
    order = {task.fold: i for i, task in enumerate(tasks)}
    predictions.sort(key=lambda p: (p.protocol, p.model, order[p.fold]))
    predictions = [p for p in predictions if p.protocol not in refused]
    metrics = _metrics(job, address, clips, splits, refused, predictions, seed)
    if credit is None:
        credit = credit_of(clips.identities.corpus.tolist())
    metrics["data"]["credit"] = credit
    metrics["reductions"] = describe_reductions(job, reduced)
    threads = sum(client.nthreads().values()) if client is not None else 1
    metrics["timings"] = {
        "extraction": extraction_times(address, extracted),
        **evaluation_times(reduced, predictions, threads, fold_seconds),
        "wall_seconds": round(time.monotonic() - began, 3),
    }
    metrics = with_media(metrics, job, media, str(report))
    _write_files(str(report), job, clips, predictions, metrics, storage_options)
    heard = sounds_of_mistakes(metrics, job, media) if sounds else {}
    seen = None
    if pictures:
        given = [sources] if isinstance(sources, str) else sources
        seen = what_models_see(address, given, storage_options)
    write_report(metrics, str(report), storage_options, seen, heard)
    return metrics


def _metrics(
    job: Job,
    address: StoreAddress,
    clips: Clips,
    splits: dict[str, Split],
    refused: dict[str, str],
    predictions: Sequence[Prediction],
    seed: int,
) -> dict[str, Any]:
    place = {int(row): i for i, row in enumerate(clips.rows)}
    emotions = emotion_columns(job)
    by_model: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        by_model[prediction.protocol, prediction.model].append(prediction)
    protocols: dict[str, Any] = {}
    outcomes: dict[tuple[str, str], Outcome] = {}
    for name in job.evaluation.protocols:
        about = PROTOCOLS[name]
        entry: dict[str, Any] = {
            "speaker_independent": about.speaker_independent,
            "description": about.description,
            "leaky_reason": about.leaky_reason,
        }
        protocols[name] = entry
        if name in refused:
            entry["not_run"] = refused[name]
            continue
        tested = np.concatenate([fold.test for fold in splits[name].folds])
        entry.update(
            notes=[*splits[name].notes, *identical_notes(clips, splits[name].folds)],
            n_clips=len(tested),
            n_actors=len(set(clips.actor[tested].tolist())),
            folds=len(splits[name].folds),
            models={},
        )
        for model in row_names(job):
            parts = by_model[name, model]
            at = np.array([place[int(row)] for part in parts for row in part.rows])
            outcomes[name, model] = Outcome(
                clips.clip_id[at],
                clips.actor[at],
                clips.emotion[at],
                np.concatenate([part.predicted for part in parts]).astype(np.int64),
                np.concatenate([part.probability for part in parts]),
                emotions,
            )
            entry["models"][model] = describe(outcomes[name, model], seed)
            entry["models"][model] |= searched([(part.fold, part.chosen) for part in parts])
            entry["models"][model] |= trained([(part.fold, part.training) for part in parts])
            features = model_features(job, model.removesuffix(ADAPTED).removesuffix(CONTROL))
            entry["models"][model]["features"] = list(features)
            if model.endswith(ADAPTED):
                entry["models"][model]["adaptation"] = ADAPTED_MEANING
            if model.endswith(CONTROL):
                entry["models"][model]["refitted"] = CONTROL_MEANING
            if about.by_fold:
                folds = by_fold(clips, parts, emotions, seed)
                entry["models"][model]["folds"] = folds
                if not model.endswith(CONTROL):
                    entry["notes"] += fold_sentences(model, folds)
    failed = failures(open_group(address))
    return {
        "protocols": protocols,
        "leakage": leakages({k: v for k, v in outcomes.items() if CONTROL not in k[1]}, seed),
        "job": job.settings(),
        "digest": digest(job.settings()),
        "command": command_line(),
        "versions": {
            "emodask": emodask.__version__,
            "python": platform.python_version(),
            **{library: version(library) for library in _LIBRARIES},
        },
        "data": {
            "clips": sum(clips.counts.values()),
            **clips.counts,
            "usable": len(clips),
            "restricting": restricting_note(job, address, len(clips)),
            "identical": [list(group) for group in clips.identical],
            "actors": sorted(set(clips.actor.tolist())),
            "emotions": list(emotions),
            "failures": [{"clip_id": clip, "error": error} for clip, error in failed],
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _write_files(
    folder: str,
    job: Job,
    clips: Clips,
    predictions: Sequence[Prediction],
    metrics: dict[str, Any],
    storage_options: StorageOptions | None,
) -> None:
    place = Folder.at(folder, storage_options)
    text = json.dumps(metrics, indent=1, allow_nan=False) + "\n"
    table = predictions_csv(job, clips, predictions)
    try:
        place.make()
        place.write("metrics.json", text.encode())
        place.write("predictions.csv", table.encode())
    except Exception as error:  # each protocol has errors of its own
        raise EvaluationError(
            f"{place.address}: the report cannot be written: {reason(error)}"
        ) from clean_cause(error)


def predictions_csv(job: Job, clips: Clips, predictions: Sequence[Prediction]) -> str:
    """One line for each clip, protocol and model: the truth, the verdict, the probabilities."""
    place = {int(row): i for i, row in enumerate(clips.rows)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = emotion_columns(job)
    writer.writerow(["clip_id", "actor", "true", "predicted", *names, "protocol", "fold", "model"])
    for part in predictions:
        for row, predicted, chances in zip(
            part.rows, part.predicted, part.probability, strict=True
        ):
            i = place[int(row)]
            writer.writerow(
                [
                    clips.clip_id[i],
                    clips.actor[i],
                    emotion_name(int(clips.emotion[i])),
                    emotion_name(int(predicted)),
                    *(f"{chance:.6f}" for chance in chances),
                    part.protocol,
                    part.fold,
                    part.model,
                ]
            )
    return text.getvalue()
