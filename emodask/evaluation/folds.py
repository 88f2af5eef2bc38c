"""Every fold of every protocol: reductions fitted with shared passes, then models, as tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.cluster import current_client, run_bag, single_threaded
from emodask.errors import EmodaskError, EvaluationError
from emodask.evaluation.adaptation import variants
from emodask.evaluation.clips import Clips
from emodask.evaluation.passes import StoredRows
from emodask.evaluation.searches import Part, Searched, run_searched
from emodask.evaluation.sides import FittedFold, FoldTask, Sides, reduce_folds, training_labels
from emodask.job import Job
from emodask.models.fitted import Fitted
from emodask.models.learning import fit_model
from emodask.models.remembering import remembering
from emodask.models.system import (
    augmented_features,
    features_used,
    is_streamed,
    make_reducer,
)
from emodask.store import StoreAddress

if TYPE_CHECKING:
    from distributed import Client

    from emodask.reduction import TensorReducer

_MOST_FOLDS_PER_READ = 4
_SETS_PER_THREAD = 2


@dataclass(frozen=True)
class EvaluationProgress:
    """How far one stage of an evaluation is: ``fold``, or ``reduction`` of a feature.

    Of folds whose models are searched, ``trials`` of ``all_trials`` say how far the searches are.
    """

    stage: str
    done: int
    total: int
    feature: str = ""
    trials: int = 0
    all_trials: int = 0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one model said of the test clips of one fold; ``rows`` are places in the store.

    ``chosen`` are the parameters that its search chose, if it has one; ``seconds`` the wall time
    that fitting and predicting took in its task; ``training`` how that of a network went.
    """

    protocol: str
    fold: str
    model: str
    rows: npt.NDArray[np.intp]
    predicted: npt.NDArray[np.int16]
    probability: npt.NDArray[np.float64]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ReducedFolds:
    """The reductions of one feature, fitted for some folds together, and what that took.

    ``passes`` are those over the store, ``seconds`` is wall time.
    """

    feature: str
    tasks: Sequence[FoldTask]
    reducers: Sequence[TensorReducer]
    passes: int
    seconds: float


def run_folds(
    job: Job,
    address: StoreAddress,
    clips: Clips,
    tasks: Sequence[FoldTask],
    client: Client | None = None,
    on_progress: Callable[[EvaluationProgress], None] | None = None,
    on_reduced: Callable[[ReducedFolds], None] | None = None,
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
    on_reduced : callable, optional
        Called with the reductions of each feature.

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
    fitted, refused = _fit_reductions(job, address, clips, tasks, client, tell, on_reduced)
    predictions: list[Prediction] = []
    done = 0
    tell(EvaluationProgress("fold", 0, len(fitted)))

    def tell_of_trials(trials: int, all_trials: int) -> None:
        tell(EvaluationProgress("fold", done, len(fitted), "", trials, all_trials))

    if any(model.search for model in job.models.values()):
        parts = {id(fold): _parts(job, fold) for fold in fitted}
        outcomes = run_searched(
            job,
            fitted,
            partial(reduce_one, job, address),
            partial(_predict_sides, job),
            lambda fold: parts[id(fold)],
            client,
            tell_of_trials,
        )
    else:
        outcomes = _in_sets(job, address, fitted, client)
    for fold, outcome in outcomes:
        if isinstance(outcome, EvaluationError):
            refused[fold.task.protocol] = f"fold {fold.task.fold}: {outcome}"
        else:
            predictions += outcome
        done += 1
        tell(EvaluationProgress("fold", done, len(fitted)))
    return predictions, refused


def _in_sets(
    job: Job, address: StoreAddress, fitted: Sequence[FittedFold], client: Client | None
) -> Iterator[tuple[FittedFold, list[Prediction] | EvaluationError]]:
    """What models say in each fold, a few folds a task."""
    held = [1 + len(job.features[name].variants) for name in augmented_features(job)]
    threads = sum(client.nthreads().values()) if client is not None else 1
    sets = _sets(fitted, max(held, default=1), threads)
    for folds, outcomes in run_bag(partial(predict_folds, job, address), sets, client):
        if isinstance(outcomes, EmodaskError):
            raise outcomes
        if isinstance(outcomes, Exception):
            names = ", ".join(f"{fold.task.protocol} {fold.task.fold}" for fold in folds)
            raise EvaluationError(f"{names}: {type(outcomes).__name__}: {outcomes}") from outcomes
        yield from zip(folds, outcomes, strict=True)


def _tell_of_pass(
    tell: Callable[[EvaluationProgress], None],
    passes: list[int],
    feature: str,
    done: int,
    total: int,
) -> None:
    if not done:
        passes.append(total)
    tell(EvaluationProgress("reduction", done, total, feature))


def _fit_reductions(
    job: Job,
    address: StoreAddress,
    clips: Clips,
    tasks: Sequence[FoldTask],
    client: Client | None,
    tell: Callable[[EvaluationProgress], None],
    on_reduced: Callable[[ReducedFolds], None] | None,
) -> tuple[list[FittedFold], dict[str, str]]:
    """Fit all folds' reductions together; where that fails, protocol by protocol."""

    def fit(chosen: Sequence[FoldTask]) -> list[FittedFold]:
        subsets = [np.searchsorted(clips.rows, task.train) for task in chosen]
        by_feature = {}
        took: list[ReducedFolds] = []
        for name in features_used(job):
            if is_streamed(job, name):
                continue
            passes: list[int] = []
            on_block = partial(_tell_of_pass, tell, passes, name)
            began = time.monotonic()
            rows = StoredRows.of(address, name, clips.rows, client, on_block)
            by_feature[name] = make_reducer(job, name).fit_subsets(rows, subsets)
            seconds = time.monotonic() - began
            took.append(ReducedFolds(name, chosen, by_feature[name], len(passes), seconds))
        if on_reduced:
            for one in took:  # of fits that stand, each once
                on_reduced(one)
        return [
            FittedFold(
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
    fitted: list[FittedFold] = []
    refused: dict[str, str] = {}
    for protocol in dict.fromkeys(task.protocol for task in tasks):
        try:
            fitted += fit([task for task in tasks if task.protocol == protocol])
        except EvaluationError as error:
            refused[protocol] = str(error)
    return fitted, refused


def _sets(folds: Sequence[FittedFold], count: int, threads: int) -> list[tuple[FittedFold, ...]]:
    """Folds that one task reduces in one read: the fewer, the more threads there are to feed.

    And the fewer, the more variants of each clip, ``count`` with the clip itself, they hold.
    """
    most = _MOST_FOLDS_PER_READ // count
    size = max(1, min(most, len(folds) // (_SETS_PER_THREAD * threads)))
    return [tuple(folds[start : start + size]) for start in range(0, len(folds), size)]


def predict_folds(
    job: Job, address: StoreAddress, folds: Sequence[FittedFold]
) -> list[list[Prediction] | EvaluationError]:
    """Reduce the clips of a few folds in one read, fit and predict each; what a task runs."""
    return [_predict_sides(job, sides) for sides in reduce_folds(job, address, folds)]


def reduce_one(
    job: Job, address: StoreAddress, fold: FittedFold, features: Sequence[str] | None = None
) -> Sides:
    """Reduce the clips of one fold."""
    (sides,) = reduce_folds(job, address, [fold], features)
    return sides


def _parts(job: Job, fold: FittedFold) -> dict[str, Part]:
    """The training side as each variant of the models learns from it."""
    return {
        variant: Part(
            training_labels(job, fold.task, fold.train_actors, variant), fold.train_actors
        )
        for variant in variants(job)
    }


def _predict_sides(
    job: Job, sides: Sides, searched: Mapping[str, Searched] | None = None
) -> list[Prediction] | EvaluationError:
    """What every model of a job says of the test side, each fitted once on the training side."""
    try:
        with single_threaded():
            return [
                prediction
                for variant in variants(job)
                for prediction in _predict_models(
                    job, sides, variant, (searched or {}).get(variant)
                )
            ]
    except EvaluationError as error:
        return error


def _predict_models(
    job: Job, sides: Sides, variant: str, searched: Searched | None
) -> list[Prediction]:
    task, fitted = sides.task, dict[str, Fitted]()
    known, unseen = remembering(sides.training(variant)), remembering(sides.testing(variant))
    labels = training_labels(job, task, sides.train_actors, variant)
    predictions = []
    for name in job.models:
        began = time.perf_counter()
        model = fit_model(job, name, known, labels, sides.train_actors, fitted, searched)
        predicted, probability = model.judge(unseen)
        predictions.append(
            Prediction(
                task.protocol,
                task.fold,
                name + variant,
                task.test,
                predicted,
                probability,
                getattr(model, "chosen", {}),  # a fusion's members have their own rows
                time.perf_counter() - began,
                getattr(model, "training", {}),
            )
        )
    return predictions
