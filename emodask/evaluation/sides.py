"""Both sides of a fold as models meet them: plain, adapted to speakers, or as a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.adaptation import ADAPTED, standardised_by_actor
from emodask.evaluation.controls import CONTROL, shuffled_within_actors
from emodask.job import Job
from emodask.models.fitted import Matrices


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
