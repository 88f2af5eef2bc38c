"""What the searches of one model choose when it is fitted on all clips, for a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from emodask.errors import EvaluationError
from emodask.evaluation.clips import Clips
from emodask.evaluation.folds import EvaluationProgress, FittedFold, reduce_one
from emodask.evaluation.searches import Part, Searched, run_searched
from emodask.evaluation.sides import FoldTask, Sides
from emodask.job import Job
from emodask.models.system import model_features
from emodask.models.trials import searches_of
from emodask.store import StoreAddress

if TYPE_CHECKING:
    from distributed import Client

    from emodask.reduction import TensorReducer


def search_all(
    job: Job,
    address: StoreAddress,
    clips: Clips,
    model: str,
    reducers: dict[str, TensorReducer],
    client: Client | None = None,
    on_progress: Callable[[EvaluationProgress], None] | None = None,
    variant: str = "",
) -> Searched:
    """What the searches of one model choose when it is fitted on all clips; nothing without any.

    Raises
    ------
    EvaluationError
        If a model cannot be fitted.
    """
    if not searches_of(job, [model], clips.actor):
        return {}
    task = FoldTask("fit", "all clips", clips.rows, clips.rows[:0], clips.emotion)
    fold = FittedFold(task, reducers, clips.actor, clips.actor[:0])
    part = {variant: Part(clips.emotion, clips.actor)}
    tell = on_progress or (lambda progress: None)
    reduce = partial(reduce_one, job, address, features=model_features(job, model))
    ((_, found),) = run_searched(
        job,
        [fold],
        reduce,
        partial(_what_was_chosen, variant),
        lambda fold: part,
        client,
        lambda trials, total: tell(EvaluationProgress("fit", 0, 1, "", trials, total)),
        [model],
    )
    if isinstance(found, EvaluationError):
        raise found
    return found


def _what_was_chosen(variant: str, sides: Sides, searched: Mapping[str, Searched]) -> Searched:
    return searched[variant]
