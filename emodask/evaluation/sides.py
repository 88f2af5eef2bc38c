"""Both sides of a fold as models meet them: reduced; plain, adapted to speakers, or a control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.cluster import single_threaded
from emodask.evaluation.adaptation import ADAPTED, standardised_by_actor
from emodask.evaluation.controls import CONTROL, shuffled_within_actors
from emodask.evaluation.passes import StoredRows
from emodask.job import Job
from emodask.models.augmenting import originals
from emodask.models.fitted import Matrices
from emodask.models.system import (
    augmented_features,
    features_used,
    is_streamed,
    transform_each,
    transform_variants,
)
from emodask.store import StoreAddress, StreamedMatrix

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer


@dataclass(frozen=True, eq=False)
class FoldTask:
    """One fold of one protocol; rows are places in the store."""

    protocol: str
    fold: str
    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    labels: npt.NDArray[np.int64]


def seed_of(job: Job) -> int:
    """What an evaluation is seeded with."""
    return job.seed if job.evaluation.seed is None else job.evaluation.seed


def training_labels(
    job: Job, task: FoldTask, actors: npt.NDArray[Any], variant: str
) -> npt.NDArray[np.int64]:
    """The labels that a variant of the models learns from."""
    if variant == CONTROL:
        return shuffled_within_actors(task.labels, actors, seed_of(job))
    return task.labels


@dataclass(frozen=True, eq=False)
class Sides:
    """The reduced features of a fold.

    Attributes
    ----------
    task : FoldTask
    known, unseen : mapping of str to ndarray, shape (n, p)
        Of the training side and of the test side.
    train_actors, test_actors : ndarray, shape (n,)
    """

    task: FoldTask
    known: Matrices
    unseen: Matrices
    train_actors: npt.NDArray[np.int64]
    test_actors: npt.NDArray[np.int64]

    def training(self, variant: str) -> Matrices:
        """What a variant of the models is fitted on."""
        if variant == ADAPTED:
            return standardised_by_actor(self.known, self.train_actors)
        return self.known

    def testing(self, variant: str) -> Matrices:
        """What a variant of the models is tested on."""
        if variant == ADAPTED:
            return standardised_by_actor(self.unseen, self.test_actors)
        return self.unseen


@dataclass(frozen=True, eq=False)
class FittedFold:
    """A fold, its reductions by feature, and the actors of its rows on both sides."""

    task: FoldTask
    reducers: dict[str, TensorReducer]
    train_actors: npt.NDArray[np.int64]
    test_actors: npt.NDArray[np.int64]


def reduce_folds(
    job: Job,
    address: StoreAddress,
    folds: Sequence[FittedFold],
    features: Sequence[str] | None = None,
) -> list[Sides]:
    """Reduce the clips of a few folds in one read; by default all features that the job uses.

    Those that are streamed are not read.
    """
    rows = np.unique(np.concatenate([part for f in folds for part in (f.task.train, f.task.test)]))
    reduced: list[dict[str, Any]] = [{} for _ in folds]
    with single_threaded():
        for name in features or features_used(job):
            if is_streamed(job, name):
                streamed = StreamedMatrix.of(address, name, rows)
                for of_fold in reduced:
                    of_fold[name] = streamed
                continue
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
    sides = []
    for fold, matrices in zip(folds, reduced, strict=True):
        train, test = (np.searchsorted(rows, side) for side in (fold.task.train, fold.task.test))
        known = {name: matrix[train] for name, matrix in matrices.items()}
        unseen = {name: matrix[test] for name, matrix in originals(matrices).items()}
        sides.append(Sides(fold.task, known, unseen, fold.train_actors, fold.test_actors))
    return sides
