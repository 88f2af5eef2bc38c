"""Folds inside a training side, cut between actors: where a model chooses without the test side."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError

MOST_FOLDS = 5


def inner_folds(
    actors: npt.NDArray[Any], model: str
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Training and held-out rows of each inner fold; every row is held out once.

    Parameters
    ----------
    actors : ndarray, shape (n,)
        No actor is on both sides of a fold.
    model : str
        What messages call the model that needs them.

    Raises
    ------
    EvaluationError
        If there is one actor alone.

    Examples
    --------
    >>> [held_out.tolist() for _, held_out in inner_folds(np.array([1, 1, 2, 3]), "svc")]
    [[0, 1], [3], [2]]
    """
    from sklearn.model_selection import GroupKFold

    people = len(np.unique(actors))
    if people < 2:
        raise EvaluationError(
            f"model {model}: calibration, searches and fusion weights are chosen on actors left "
            f"out of the training side, and it has {people}; they need at least two"
        )
    folds = GroupKFold(min(MOST_FOLDS, people))
    return list(folds.split(np.zeros(len(actors)), groups=actors))
