"""Searches cut into trials, each a set of parameters on one inner fold, for whoever runs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.job import Job
from emodask.models.fitted import Matrices
from emodask.models.fusion import LEARNT
from emodask.models.inner_folds import inner_folds
from emodask.models.learning import Labels, SearchKey, trial_uar, try_parameters
from emodask.models.search import Search, first_stage, second_stage


@dataclass(frozen=True)
class Trial:
    """One set of parameters on one inner fold of the training part of a search.

    Attributes
    ----------
    search : (str, tuple of int)
        The model, and the inner folds whose training sides its training part is.
    parameters : dict
        Those tried.
    candidate, fold : int
        Numbers of the set of parameters and of the inner fold.
    """

    search: SearchKey
    parameters: dict[str, Any]
    candidate: int
    fold: int


def searches_of(job: Job, models: Iterable[str], actors: npt.NDArray[Any]) -> list[SearchKey]:
    """Every search that fitting some models takes, each once.

    A fusion with learnt weights fits its members on inner folds too, where they search anew.

    Raises
    ------
    EvaluationError
        If inner folds need more actors.
    """
    found: dict[SearchKey, None] = {}

    def walk(model: str, people: npt.NDArray[Any], part: tuple[int, ...]) -> None:
        settings = job.models[model]
        if settings.search is not None:
            found[model, part] = None
        for member in (*settings.members, *settings.embeddings):
            walk(member, people, part)
        if settings.rule in LEARNT:
            for number, (train, _) in enumerate(inner_folds(people, model)):
                for member in settings.members:
                    walk(member, people[train], (*part, number))

    for model in models:
        walk(model, actors, ())
    return list(found)


def run_trial(
    job: Job, trial: Trial, matrices: Matrices, labels: Labels, actors: npt.NDArray[Any]
) -> Labels:
    """What a model with the trial's parameters says of the held-out rows of its inner fold.

    Parameters
    ----------
    job : Job
    trial : Trial
    matrices : mapping of str to ndarray, shape (n, p)
        Of the whole training side of a fold, as are ``labels`` and ``actors``.
    """
    model, part = trial.search
    rows = rows_of(actors, model, part)
    train, held_out = inner_folds(actors[rows], model)[trial.fold]
    there = {name: matrix[rows] for name, matrix in matrices.items()}
    return try_parameters(
        job, model, there, labels[rows], actors[rows], trial.parameters, train, held_out
    )


def rows_of(actors: npt.NDArray[Any], model: str, part: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Rows of a training side that are on the training side of inner folds, one in another."""
    rows = np.arange(len(actors))
    for number in part:
        rows = rows[inner_folds(actors[rows], model)[number][0]]
    return rows


class Searching:
    """How far one search is: its trials stage by stage, and what it has chosen in the end.

    Parameters
    ----------
    key : (str, tuple of int)
        Which search of the job.
    search : Search
    labels, actors : ndarray, shape (n,)
        Of the training side of the fold.
    seed : int
        Of the draws.

    Attributes
    ----------
    key : (str, tuple of int)
    total : int
        How many trials it takes, in both stages together.
    chosen : dict or None
        The best parameters, once all trials have been taken.
    """

    def __init__(
        self, key: SearchKey, search: Search, labels: Labels, actors: npt.NDArray[Any], seed: int
    ) -> None:
        rows = rows_of(actors, *key)
        self.key = key
        self.chosen: dict[str, Any] | None = None
        self._search = search
        self._labels = labels[rows]
        self._held_out = [held_out for _, held_out in inner_folds(actors[rows], key[0])]
        self._candidates = first_stage(search, seed)
        stages = (len(self._candidates), len(second_stage(search, {})))
        self.total = sum(n * len(self._held_out) for n in stages if n > 1)
        self._first = True
        self._said: dict[tuple[int, int], Labels] = {}
        self._go_on()

    def trials(self) -> Iterator[Trial]:
        """Those of the stage that it is in; none once it has chosen."""
        if self.chosen is None:
            for number, parameters in enumerate(self._candidates):
                for fold in range(len(self._held_out)):
                    yield Trial(self.key, parameters, number, fold)

    def take(self, trial: Trial, said: Labels) -> bool:
        """Take what a trial said; whether that was the last of its stage."""
        self._said[trial.candidate, trial.fold] = said
        if len(self._said) < len(self._candidates) * len(self._held_out):
            return False
        folds = range(len(self._held_out))
        scores = [
            trial_uar(self._labels, self._held_out, [self._said[number, fold] for fold in folds])
            for number in range(len(self._candidates))
        ]
        self._next_stage(self._candidates[int(np.argmax(scores))])  # of equal ones, the first
        return True

    def _next_stage(self, best: Mapping[str, Any]) -> None:
        self._said = {}
        if self._first:
            self._first, self._candidates = False, second_stage(self._search, best)
            self._go_on()
        else:
            self.chosen = dict(best)

    def _go_on(self) -> None:
        """Choose without a trial where there is no choice."""
        if len(self._candidates) == 1:
            self._next_stage(self._candidates[0])
