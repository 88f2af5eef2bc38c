"""Searches as tasks of a cluster: every trial is one, and what a fold reduces to is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from emodask.cluster import Tasks, killed_its_workers, single_threaded
from emodask.errors import ClusterError, EmodaskError, EvaluationError
from emodask.job import Job
from emodask.models.fitted import Matrices
from emodask.models.learning import SearchKey
from emodask.models.search import Parameters
from emodask.models.trials import Searching, Trial, run_trial, searches_of
from emodask.sources.location import reason

if TYPE_CHECKING:
    from distributed import Client

Fold = TypeVar("Fold")
Result = TypeVar("Result")

Searched = Mapping[SearchKey, Parameters]
"""What the searches of a training side have chosen."""


class Reduced(Protocol):
    """What a fold is reduced to."""

    def training(self, variant: str) -> Matrices:
        """What a variant of the models is fitted on."""
        ...


@dataclass(frozen=True, eq=False)
class Part:
    """Labels and actors of a training side, as a variant of the models learns from them."""

    labels: npt.NDArray[Any]
    actors: npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Shared:
    """What all tasks of a fold need; one task computes it, and workers hand it on."""

    reduced: Any
    parts: Mapping[str, Part]


@dataclass(frozen=True, eq=False)
class _Step:
    """A trial of a fold; or, without one, the end of a fold, for which all has been chosen."""

    fold: int
    variant: str = ""
    trial: Trial | None = None
    searched: Mapping[str, Searched] | None = None


class _FoldSearches(Generic[Fold]):
    """The searches of one fold, and what its tasks share while there are any."""

    def __init__(
        self, number: int, fold: Fold, parts: Mapping[str, Part], job: Job, models: Sequence[str]
    ) -> None:
        self.number, self.fold, self.parts = number, fold, parts
        self.over = False
        self.taken = 0
        self.searching: dict[tuple[str, SearchKey], Searching] = {}
        for variant, part in parts.items():
            for key in searches_of(job, models, part.actors):
                search = job.models[key[0]].search
                assert search is not None
                labels = np.asarray(part.labels, np.int16)
                self.searching[variant, key] = Searching(key, search, labels, part.actors, job.seed)
        self.total = sum(search.total for search in self.searching.values())
        self._shared: Any = None

    def steps(self) -> Iterator[_Step]:
        """Trials of the stages that the searches are in; the end once all have chosen."""
        for variant, key in list(self.searching):
            yield from self._trials(variant, self.searching[variant, key])
        if not self.total:
            yield from self._end()

    def take(self, step: _Step, said: Any) -> Iterator[_Step]:
        """Take what a trial said, and give the steps that can follow now."""
        assert step.trial is not None
        self.taken += 1
        search = self.searching[step.variant, step.trial.search]
        if not search.take(step.trial, said):
            return
        yield from self._trials(step.variant, search)
        if self.taken == self.total:
            yield from self._end()

    def _trials(self, variant: str, search: Searching) -> Iterator[_Step]:
        for trial in search.trials():
            if self.over:
                return
            yield _Step(self.number, variant, trial)

    def _end(self) -> Iterator[_Step]:
        searched: dict[str, dict[SearchKey, Parameters]] = {v: {} for v in self.parts}
        for (variant, key), search in self.searching.items():
            assert search.chosen is not None
            searched[variant][key] = search.chosen
        yield _Step(self.number, searched=searched)

    def shared(self, reduce: Callable[[Fold], Reduced], client: Client | None) -> Any:
        """What the tasks share: a future on a cluster, which computes it anew if it is lost."""
        if self.over:
            return None  # nobody takes what the trials left of it say
        if self._shared is None:
            if client is None:
                self._shared = _share(reduce, self.fold, self.parts)
            else:
                key = f"reduce-fold-{uuid4().hex}"
                self._shared = client.submit(_share, reduce, self.fold, self.parts, key=key)
        return self._shared

    def end(self) -> None:
        """Let go of what the tasks shared."""
        self.over = True
        if self._shared is not None and hasattr(self._shared, "release"):
            self._shared.release()
        self._shared = None


def run_searched(
    job: Job,
    folds: Sequence[Fold],
    reduce: Callable[[Fold], Reduced],
    finish: Callable[[Any, Mapping[str, Searched]], Result],
    parts: Callable[[Fold], Mapping[str, Part]],
    client: Client | None = None,
    tell: Callable[[int, int], None] = lambda trials, all_trials: None,
    models: Iterable[str] | None = None,
) -> Iterator[tuple[Fold, Result | EvaluationError]]:
    """Search the parameters of models in some folds, each trial a task; then finish each fold.

    What is chosen does not depend on where trials run, or in which order they end. A fold begins
    when the trials of those before it have been handed out; what it is reduced to is computed
    once, stays with the workers, and is let go of when the fold has been finished. Of trials, only
    verdicts on held-out clips come back.

    Parameters
    ----------
    job : Job
    folds : sequence
    reduce : callable
        Of a fold; runs on a worker, and again if all workers that had its result are gone.
    finish : callable
        Of what ``reduce`` gave, and of what was chosen, by variant; runs on a worker.
    parts : callable
        The training side of a fold by variant of the models.
    client : distributed.Client, optional
        None: one task after another in this process.
    tell : callable
        Told how many trials have been done, of how many.
    models : iterable of str, optional
        Those that will be fitted; by default all of the job.

    Yields
    ------
    fold, result
        In order of completion; the error in place of the result if a model cannot be fitted.

    Raises
    ------
    EmodaskError
        If a task failed in a way that says nothing of its data.
    """
    states: dict[int, _FoldSearches[Fold]] = {}
    for number, fold in enumerate(folds):
        try:
            names = list(models or job.models)
            states[number] = _FoldSearches(number, fold, parts(fold), job, names)
        except EvaluationError as error:
            yield fold, error
    done, total = 0, sum(state.total for state in states.values())
    waiting = (step for state in states.values() for step in state.steps())
    tasks: Tasks[_Step, Any] = Tasks(
        partial(_run_step, job, finish),
        client,
        waiting,
        shared=lambda step: states[step.fold].shared(reduce, client),
    )
    tell(done, total)
    try:
        for step, outcome in tasks:
            state = states[step.fold]
            if state.over:
                continue
            if isinstance(outcome, Exception) and not isinstance(outcome, EvaluationError):
                raise _unexpected(step, outcome) from outcome
            if isinstance(outcome, EvaluationError) or step.trial is None:
                total -= state.total - state.taken
                state.end()
                yield state.fold, outcome
                continue
            done += 1
            for following in state.take(step, outcome):
                tasks.add(following)
            tell(done, total)
    finally:
        for state in states.values():
            state.end()


def _share(reduce: Callable[[Fold], Reduced], fold: Fold, parts: Mapping[str, Part]) -> _Shared:
    with single_threaded():
        return _Shared(reduce(fold), parts)


def _run_step(
    job: Job, finish: Callable[[Any, Mapping[str, Searched]], Any], step: _Step, shared: _Shared
) -> Any:
    """What a task runs."""
    with single_threaded():
        if step.trial is None:
            return finish(shared.reduced, step.searched or {})
        part = shared.parts[step.variant]
        labels = np.asarray(part.labels, np.int16)
        matrices = shared.reduced.training(step.variant)
        return run_trial(job, step.trial, matrices, labels, part.actors)


def _unexpected(step: _Step, error: Exception) -> EmodaskError:
    if isinstance(error, EmodaskError):
        return error
    if step.trial is None:
        what = "fitting the models of a fold"
    else:
        tried = ", ".join(f"{name} = {value!r}" for name, value in step.trial.parameters.items())
        what = f"the search of model {step.trial.search[0]}, trying {tried}"
    if killed_its_workers(error):
        return ClusterError(
            f"{what}: every worker that began it died; see the workers' logs, or give them more "
            "memory"
        )
    return EvaluationError(f"{what}: {type(error).__name__}: {reason(error)}")
