"""A store -> a bundle: one model of a job fitted on every usable clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emodask
from emodask.cluster import current_client, single_threaded
from emodask.emotions import emotion_name
from emodask.errors import JobError
from emodask.evaluation.adaptation import ADAPTED, standardised_by_actor
from emodask.evaluation.clips import (
    as_extracted,
    named_emotions,
    stored_identities,
    usable_clips,
)
from emodask.evaluation.fit_search import search_all
from emodask.evaluation.folds import EvaluationProgress
from emodask.evaluation.passes import StoredRows
from emodask.evaluation.protocols import require_emotions
from emodask.job import Job, load_job
from emodask.job_weights import Weights, read_weights
from emodask.models.bundle import Bundle, save_bundle
from emodask.models.checking import check_installed
from emodask.models.learning import fit_model
from emodask.models.networks.checking import check_devices
from emodask.models.system import (
    augmented_features,
    fit_reducers,
    is_streamed,
    model_features,
    transform_each,
    transform_variants,
)
from emodask.sources.location import StorageOptions
from emodask.store import StoreAddress, StreamedMatrix

if TYPE_CHECKING:
    from distributed import Client


def fit(
    job: str | Path | Job,
    store: str | Path | StoreAddress,
    bundle: str | Path,
    client: Client | None = None,
    *,
    model: str | None = None,
    weights: Weights | None = None,
    metrics: dict[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
    on_progress: Callable[[EvaluationProgress], None] | None = None,
) -> Bundle:
    """Fit one model of a job on every clip of a store that has its features.

    Of a job with ``speaker_adapted = true`` the bundle holds the speaker-adapted model too, for
    predictions that adapt to who speaks.

    Parameters
    ----------
    job : str, Path or Job
    store : str, Path or StoreAddress
        What :func:`emodask.extract` wrote under the same job.
    bundle : str or Path
        Folder (or fsspec URL) to write.
    client : distributed.Client, optional
        Where passes over the store and searches run; by default on the client that is connected,
        or else in this process. The classifier itself is fitted in this process.
    model : str, optional
        A model of the job; the first by default.
    weights : mapping of str to str or Path, optional
        Where the weights of the job's networks lie, by feature: the bundle holds them. By default
        where the job says, unless this machine has them from the extraction.
    metrics : dict, optional
        What :func:`emodask.evaluate` gave, so that the bundle can say how far to trust it.
    storage_options : mapping, optional
        For fsspec.
    on_progress : callable, optional
        Told how far searches are.

    Returns
    -------
    Bundle

    Raises
    ------
    JobError, StoreError, EvaluationError
    """
    job = load_job(job)
    name = model or next(iter(job.models))
    if name not in job.models:
        raise JobError(f"job {job.name} has no model {name!r}; there are {', '.join(job.models)}")
    check_installed(job, [name])
    check_devices(job, [name])
    address = StoreAddress.of(store, storage_options)
    emotions, job = named_emotions(job), as_extracted(job, address)
    job = read_weights(job, weights, storage_options)
    clips = usable_clips(job, address, [name])
    require_emotions(emotions, stored_identities(address), f"job {job.name}")
    client = client or current_client()
    arrays = {
        feature: StoredRows.of(address, feature, clips.rows, client)
        for feature in model_features(job, name)
        if not is_streamed(job, feature)
    }
    with single_threaded():
        reducers = fit_reducers(job, arrays)
        searched = search_all(job, address, clips, name, reducers, client, on_progress)
        augmented = augmented_features(job, [name])
        reduced: dict[str, Any] = {
            feature: transform_variants([reducers[feature]], rows)[0]
            if feature in augmented
            else transform_each([reducers[feature]], rows)[0]
            for feature, rows in arrays.items()
        }
        for feature in model_features(job, name):
            if is_streamed(job, feature):
                reduced[feature] = StreamedMatrix.of(address, feature, clips.rows)
        fitted = fit_model(job, name, reduced, clips.emotion, clips.actor, searched=searched)
        adapted = None
        if job.evaluation.speaker_adapted:
            own = standardised_by_actor(reduced, clips.actor)
            again = search_all(job, address, clips, name, reducers, client, on_progress, ADAPTED)
            adapted = fit_model(job, name, own, clips.emotion, clips.actor, searched=again)
    counts = Counter(emotion_name(int(code)) for code in clips.emotion)
    about = {
        "trained_on": {
            "clips": len(clips),
            "actors": sorted(set(clips.actor.tolist())),
            "emotions": dict(counts),
            "corpora": sorted(set(clips.identities.corpus.tolist())),
            # Whoever evaluated may know better than names of files do, as of synthetic clips.
            "credit": (metrics or {}).get("data", {}).get("credit", ""),
        },
        "evaluation": _evaluation(metrics, name),
        "evaluation_adapted": _evaluation(metrics, name + ADAPTED),
        "emodask": emodask.__version__,
    }
    result = Bundle(job, name, fitted, reducers, about, adapted)
    save_bundle(result, bundle, storage_options)
    return result


def _evaluation(metrics: dict[str, Any] | None, model: str) -> dict[str, Any]:
    """The figures of one model under each protocol that ran."""
    return {
        name: {
            "speaker_independent": entry["speaker_independent"],
            **{key: entry["models"][model][key] for key in ("uar", "uar_ci95", "accuracy")},
            "ece": entry["models"][model].get("calibration", {}).get("ece"),
        }
        for name, entry in (metrics or {}).get("protocols", {}).items()
        if model in entry.get("models", {})
    }
