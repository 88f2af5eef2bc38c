"""The refitted control: what a model reaches that has learnt from labels shuffled within actors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CONTROL = "+permuted"
"""Ends the names of controls, fitted on labels permuted within each actor: chance is expected."""

CONTROL_MEANING = (
    "the same model, searches and fusion weights included, fitted anew on training labels that "
    "were shuffled within each actor, and tested on true ones: whatever it reaches above chance, "
    "it did not learn from what emotions sound or look like"
)
"""What a control's row is, in words for its reader."""


def shuffled_within_actors(
    labels: npt.NDArray[np.int64], actors: npt.NDArray[Any], seed: int
) -> npt.NDArray[np.int64]:
    """Shuffle the labels of each actor's clips among them.

    An actor keeps each label as often as before, so that a model can still learn who speaks and
    which emotions are frequent. The order depends on the seed and the actor's code: it is the same
    in every fold that trains on the same clips of the actor.

    Parameters
    ----------
    labels, actors : ndarray, shape (n,)
    seed : int

    Examples
    --------
    >>> labels, actors = np.arange(8), np.array([1, 1, 1, 1, 2, 2, 2, 2])
    >>> found = shuffled_within_actors(labels, actors, seed=0)
    >>> sorted(found[:4].tolist()), sorted(found[4:].tolist()), bool((found != labels).any())
    ([0, 1, 2, 3], [4, 5, 6, 7], True)
    """
    result = labels.copy()
    for actor in np.unique(actors):
        own = np.flatnonzero(actors == actor)
        order = np.random.default_rng([seed, int(actor)]).permutation(len(own))
        result[own] = labels[own[order]]
    return result
