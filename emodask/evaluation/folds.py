"""Every fold of every protocol: reductions fitted with shared passes, then models, as tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emodask.cluster import current_client, run_bag, single_threaded
from emodask.errors import EmodaskError, EvaluationError
from emodask.evaluation.adaptation import ADAPTED, standardised_by_actor
from emodask.evaluation.clips import Clips
from emodask.evaluation.passes import StoredRows
from emodask.job import Job
from emodask.models.augmenting import originals
from emodask.models.fitted import Fitted, Matrices
from emodask.models.learning import fit_model
from emodask.models.system import (
    augmented_features,
    features_used,
    make_reducer,
    transform_each,
    transform_variants,
)
from emodask.store import StoreAddress

if TYPE_CHECKING:
    from distributed import Client

    from emodask.reduction import TensorReducer

_MOST_FOLDS_PER_READ = 4
_SETS_PER_THREAD = 2


@dataclass(frozen=True, eq=False)
class FoldTask:
    """One fold of one protocol; rows are places in the store."""

    protocol: str
    fold: str
    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class EvaluationProgress:
    """How far one stage of an evaluation is: ``fold``, or ``reduction`` of a feature."""

    stage: str
    done: int
    total: int
    feature: str = ""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one model said of the test clips of one fold; ``rows`` are places in the store."""

    protocol: str
    fold: str
    model: str
    rows: npt.NDArray[np.intp]
    predicted: npt.NDArray[np.int16]
    probability: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _FittedFold:
    """A fold, its reductions by feature, and the actors of its rows on both sides."""

    task: FoldTask
    reducers: dict[str, TensorReducer]
    train_actors: npt.NDArray[np.int64]
    test_actors: npt.NDArray[np.int64]


def run_folds(
    job: Job,
    address: StoreAddress,
    clips: Clips,
    tasks: Sequence[FoldTask],
    client: Client | None = None,
    on_progress: Callable[[EvaluationProgress], None] | None = None,
) -> tuple[list[Prediction], dict[str, str]]:
    """Fit on the training rows of every fold, and predict its test rows.

    All folds share the passes that their reductions take; a few at a time share the read of the
    store that reduces their clips.

    Parameters
    ----------
    job : Job
    address : StoreAddress
    clips : Clips
        Those that folds are made of.
    tasks : sequence of FoldTask
    client : distributed.Client, optional
        By default the one that is connected, or else this process.
    on_progress : callable, optional

    Returns
    -------
    predictions : list of Prediction
    refused : dict
        Protocols of which a fold cannot be fitted, and why.

    Raises
    ------
    StoreError, EvaluationError
        If the store cannot be read, or a task failed in a way that says nothing of its data.
    """
    client = client or current_client()
    tell = on_progress or (lambda progress: None)
    fitted, refused = _fit_reductions(job, address, clips, tasks, client, tell)
    held = [1 + len(job.features[name].variants) for name in augmented_features(job)]
    threads = sum(client.nthreads().values()) if client is not None else 1
    sets = _sets(fitted, max(held, default=1), threads)
    predictions: list[Prediction] = []
    done = 0
    tell(EvaluationProgress("fold", 0, len(fitted)))
    for folds, outcomes in run_bag(partial(predict_folds, job, address), sets, client):
        if isinstance(outcomes, EmodaskError):
            raise outcomes
        if isinstance(outcomes, Exception):
            names = ", ".join(f"{fold.task.protocol} {fold.task.fold}" for fold in folds)
            raise EvaluationError(f"{names}: {type(outcomes).__name__}: {outcomes}") from outcomes
        for fold, outcome in zip(folds, outcomes, strict=True):
            if isinstance(outcome, EvaluationError):
                refused[fold.task.protocol] = f"fold {fold.task.fold}: {outcome}"
            else:
                predictions += outcome
        done += len(folds)
        tell(EvaluationProgress("fold", done, len(fitted)))
    return predictions, refused


def _tell_of_pass(
    tell: Callable[[EvaluationProgress], None], feature: str, done: int, total: int
) -> None:
    tell(EvaluationProgress("reduction", done, total, feature))


def _fit_reductions(
    job: Job,
    address: StoreAddress,
    clips: Clips,
    tasks: Sequence[FoldTask],
    client: Client | None,
    tell: Callable[[EvaluationProgress], None],
) -> tuple[list[_FittedFold], dict[str, str]]:
    """Fit all folds' reductions together; where that fails, protocol by protocol."""

    def fit(chosen: Sequence[FoldTask]) -> list[_FittedFold]:
        subsets = [np.searchsorted(clips.rows, task.train) for task in chosen]
        by_feature = {}
        for name in features_used(job):
            on_block = partial(_tell_of_pass, tell, name)
            rows = StoredRows.of(address, name, clips.rows, client, on_block)
            by_feature[name] = make_reducer(job, name).fit_subsets(rows, subsets)
        return [
            _FittedFold(
                task,
                {name: fits[index] for name, fits in by_feature.items()},
                clips.actor[subsets[index]],
                clips.actor[np.searchsorted(clips.rows, task.test)],
            )
            for index, task in enumerate(chosen)
        ]

    if not tasks:
        return [], {}
    try:
        return fit(tasks), {}
    except EvaluationError:
        pass
    fitted: list[_FittedFold] = []
    refused: dict[str, str] = {}
    for protocol in dict.fromkeys(task.protocol for task in tasks):
        try:
            fitted += fit([task for task in tasks if task.protocol == protocol])
        except EvaluationError as error:
            refused[protocol] = str(error)
    return fitted, refused


def _sets(folds: Sequence[_FittedFold], count: int, threads: int) -> list[tuple[_FittedFold, ...]]:
    """Folds that one task reduces in one read: the fewer, the more threads there are to feed.

    And the fewer, the more variants of each clip, `count` with the clip itself, they hold.
    """
    most = _MOST_FOLDS_PER_READ // count
    size = max(1, min(most, len(folds) // (_SETS_PER_THREAD * threads)))
    return [tuple(folds[start : start + size]) for start in range(0, len(folds), size)]


def predict_folds(
    job: Job, address: StoreAddress, folds: Sequence[_FittedFold]
) -> list[list[Prediction] | EvaluationError]:
    """Reduce the clips of a few folds in one read, fit and predict each; what a task runs."""
    rows = np.unique(np.concatenate([part for f in folds for part in (f.task.train, f.task.test)]))
    with single_threaded():
        reduced: list[dict[str, npt.NDArray[np.float32]]] = [{} for _ in folds]
        for name in features_used(job):
            data = StoredRows.of(address, name, rows)
            reducers = [fold.reducers[name] for fold in folds]
            with_variants = name in augmented_features(job)
            found = (
                transform_variants(reducers, data)
                if with_variants
                else transform_each(reducers, data)
            )
            for of_fold, matrix in zip(reduced, found, strict=True):
                of_fold[name] = matrix
        return [
            _predicted(job, fold, rows, matrices)
            for fold, matrices in zip(folds, reduced, strict=True)
        ]


def _predicted(
    job: Job, fold: _FittedFold, rows: npt.NDArray[np.intp], matrices: Matrices
) -> list[Prediction] | EvaluationError:
    train, test = (np.searchsorted(rows, side) for side in (fold.task.train, fold.task.test))
    known = {name: matrix[train] for name, matrix in matrices.items()}
    unseen = {name: matrix[test] for name, matrix in originals(matrices).items()}
    try:
        predictions = _predict_models(job, fold, known, unseen)
        if job.evaluation.speaker_adapted:
            own_known = standardised_by_actor(known, fold.train_actors)
            own_unseen = standardised_by_actor(unseen, fold.test_actors)
            predictions += _predict_models(job, fold, own_known, own_unseen, ADAPTED)
        return predictions
    except EvaluationError as error:
        return error


def _predict_models(
    job: Job, fold: _FittedFold, known: Matrices, unseen: Matrices, suffix: str = ""
) -> list[Prediction]:
    """What every model of a job says of the test side, each fitted once on the training side."""
    task, fitted = fold.task, dict[str, Fitted]()
    predictions = []
    for name in job.models:
        model = fit_model(job, name, known, task.labels, fold.train_actors, fitted)
        predictions.append(
            Prediction(
                task.protocol,
                task.fold,
                name + suffix,
                task.test,
                model.predict(unseen),
                model.predict_proba(unseen),
            )
        )
    return predictions
