"""A system: one reduction for each feature array, then a classifier on all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from emodask.emotions import CODES
from emodask.errors import JobError
from emodask.features import family
from emodask.job import Job
from emodask.models.checking import FUSION

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer
    from emodask.reduction.chunks import ChunkedRows

Arrays = Mapping[str, Any]
"""Feature arrays by name, NumPy or ChunkedRows, each (n, ...)."""


class VariantRows(Protocol):
    """Rows that lie elsewhere with variants of each, read chunk by chunk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and the shape of one variant of one."""

    @property
    def variants(self) -> int:
        """How many there are of each row beside the row itself."""

    def variant_chunks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """First row and numbers of every chunk, (rows, 1 + variants, ...)."""


def model_features(job: Job, model: str) -> tuple[str, ...]:
    """The features that a model of a job uses: those it names or all, those of models it reads."""
    settings = job.models[model]
    if settings.kind == FUSION or settings.embeddings:
        read = {*features_used(job, settings.members or settings.embeddings), *settings.features}
        return tuple(name for name in job.features if name in read)
    return settings.features or tuple(job.features)


def features_used(job: Job, models: Iterable[str] | None = None) -> tuple[str, ...]:
    """The features that some models use, all of the job's by default; in the job's order."""
    used = {name for model in models or job.models for name in model_features(job, model)}
    return tuple(name for name in job.features if name in used)


def with_models(job: Job, models: Sequence[str] | None) -> Job:
    """A job with some of its models alone, and the models that those read.

    What it extracts stays the same, so the same store serves it; which clips it learns from may
    not: those that have the features of the models that stay.

    Parameters
    ----------
    job : Job
    models : sequence of str, optional
        All by default. The first becomes the job's first.

    Raises
    ------
    JobError
        If the job has no such model.

    Examples
    --------
    >>> from emodask.job import parse_job
    >>> models = {"one": {"kind": "lda"}, "two": {"kind": "ridge"}, "three": {"kind": "svc"}}
    >>> job = parse_job({"name": "example", "features": {"spline": {}}, "models": models})
    >>> list(with_models(job, ["three", "one"]).models)
    ['three', 'one']
    """
    if not models:
        return job
    kept: dict[str, None] = {}

    def keep(names: Iterable[str]) -> None:
        for name in names:
            if name not in job.models:
                raise JobError(
                    f"job {job.name} has no model {name!r}; there are {', '.join(job.models)}"
                )
            kept[name] = None
            keep((*job.models[name].members, *job.models[name].embeddings))

    keep(models)
    return job.model_copy(update={"models": {name: job.models[name] for name in kept}})


def augmented_features(job: Job, models: Iterable[str] | None = None) -> frozenset[str]:
    """The features of which some models, all by default, train on variants of clips too."""
    found: set[str] = set()
    for model in models or job.models:
        settings = job.models[model]
        if settings.kind == FUSION or settings.embeddings:
            found |= augmented_features(job, settings.members or settings.embeddings)
        elif settings.augment:
            found |= {name for name in model_features(job, model) if job.features[name].variants}
    return frozenset(found)


def is_streamed(job: Job, name: str) -> bool:
    """Whether a feature is read as it is stored, batch by batch: nothing reduces it."""
    return job.features[name].streamed


def reduced_dims(job: Job, name: str) -> dict[str, int]:
    """Dimensions of what a model reads of a clip once a feature array is reduced.

    A size of 0 is that of a table that has not been read.
    """
    settings = job.reductions.get(name)
    ranks = dict(zip(settings.dims, settings.ranks, strict=True)) if settings else {}
    return {**job.features[name].row_dims, **ranks}


def make_reducer(job: Job, name: str) -> TensorReducer:
    """The unfitted reduction of one feature array."""
    from emodask.reduction import TensorReducer

    settings = job.reductions.get(name)
    if settings is None:
        return TensorReducer(centre=family(job.features[name].kind).alike)
    axes = ["clip", *job.features[name].row_dims]
    return TensorReducer(
        ranks=list(settings.ranks),
        modes=[axes.index(dim) for dim in settings.dims],
        tol=settings.tol,
        n_iter_max=settings.n_iter_max,
    )


def fit_reducers(job: Job, arrays: Arrays) -> dict[str, TensorReducer]:
    """Fit the reduction of every array given that has one, on all rows given."""
    return {
        name: make_reducer(job, name).fit(array)
        for name, array in arrays.items()
        if not is_streamed(job, name)
    }


def transform_each(
    reducers: Sequence[TensorReducer], rows: ChunkedRows
) -> list[npt.NDArray[np.float32]]:
    """What each of several reductions makes of the same rows, read once.

    Returns
    -------
    list of ndarray of float32, (n, p)
        One matrix for each reduction.
    """
    matrices = [np.empty((rows.shape[0], r.n_components_), np.float32) for r in reducers]
    for first, chunk in rows.chunks():
        for matrix, reducer in zip(matrices, reducers, strict=True):
            matrix[first : first + len(chunk)] = reducer.transform(chunk)
    return matrices


def transform_variants(
    reducers: Sequence[TensorReducer], rows: VariantRows
) -> list[npt.NDArray[np.float32]]:
    """What each of several reductions makes of the same clips and their variants, read once.

    Returns
    -------
    list of ndarray of float32, (n, 1 + variants, p)
        One array for each reduction; the first of a clip's rows is the clip itself.
    """
    count = rows.variants + 1
    arrays = [np.empty((rows.shape[0], count, r.n_components_), np.float32) for r in reducers]
    for first, chunk in rows.variant_chunks():
        for array, reducer in zip(arrays, reducers, strict=True):
            for variant in range(count):
                reduced = reducer.transform(chunk[:, variant])
                array[first : first + len(chunk), variant] = reduced
    return arrays


def reduce(
    reducers: Mapping[str, TensorReducer], arrays: Arrays
) -> dict[str, npt.NDArray[np.float32]]:
    """Reduce arrays to matrices, one row a clip; those without a reduction as they are."""
    return {
        name: np.asarray(reducers[name].transform(array))
        if name in reducers
        else np.asarray(array, np.float32).reshape(len(array), -1)
        for name, array in arrays.items()
    }


def emotion_columns(job: Job) -> tuple[str, ...]:
    """Names of the emotions in the order of classes."""
    return tuple(name for name in CODES if CODES[name] in job.data.emotion_codes)


def without_variants(job: Job) -> Job:
    """The job whose features are those of clips alone: what prediction needs."""
    features = {
        name: feature.model_copy(
            update={"settings": feature.settings.model_copy(update={"variants": ()})}
        )
        if feature.variants
        else feature
        for name, feature in job.features.items()
    }
    return job.model_copy(update={"features": features})
