"""Adapting to a speaker without labels: each person's features by that person's own clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.controls import CONTROL
from emodask.job import Job
from emodask.models.fitted import Matrices

ADAPTED = "+adapted"
"""Ends the names of models that normalise each tested speaker without labels."""

ADAPTED_MEANING = (
    "the reduced features of each person are standardised by the mean and deviation of that "
    "person's own clips, those trained on and those tested apart; this uses no label, but needs "
    "several clips of a person before it can judge the first"
)
"""What a speaker-adapted row is, in words for its reader."""


def variants(job: Job) -> tuple[str, ...]:
    """What names of a report's rows end with: nothing, and what else a job asks for."""
    asked = {ADAPTED: job.evaluation.speaker_adapted, CONTROL: job.evaluation.permuted}
    return ("", *(suffix for suffix, wanted in asked.items() if wanted))


def row_names(job: Job) -> tuple[str, ...]:
    """Names of a report's rows: a job's models, each also speaker-adapted or as a control."""
    return tuple(name + suffix for suffix in variants(job) for name in job.models)


def standardised_by_actor(matrices: Matrices, actors: npt.NDArray[Any]) -> Matrices:
    """Standardise each column within the rows of each actor.

    A variant of an actor's clips is taken for a person of its own: standardised by itself.

    Parameters
    ----------
    matrices : mapping of str to ndarray, shape (n, p) or (n, 1 + variants, p)
        Reduced features of one side of a fold.
    actors : ndarray, shape (n,)

    Returns
    -------
    dict of str to ndarray of float32, shaped as they are
        Mean 0 and deviation 1 in the rows of an actor; 0 where all of them are equal.

    Examples
    --------
    >>> voice = np.array([[1.0], [3.0], [10.0], [10.0]], np.float32)
    >>> standardised_by_actor({"voice": voice}, np.array([1, 1, 2, 2]))["voice"].ravel().tolist()
    [-1.0, 1.0, 0.0, 0.0]
    """
    rows = [np.flatnonzero(actors == actor) for actor in np.unique(actors)]
    result = {}
    for name, matrix in matrices.items():
        adapted = np.zeros(matrix.shape, np.float32)
        for own in rows:
            numbers = np.asarray(matrix[own], np.float64)
            deviation = numbers.std(axis=0)
            varies = deviation > np.finfo(np.float32).eps * np.abs(numbers).max(axis=0)
            centred = numbers - numbers.mean(axis=0)
            adapted[own] = np.divide(
                centred, deviation, out=np.zeros_like(centred), where=varies[None]
            )
        result[name] = adapted
    return result
