"""A system: one reduction for each feature array, then a classifier on all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import CODES
from emodask.errors import EvaluationError
from emodask.features import family
from emodask.job import Job
from emodask.models.classifiers import make_classifier, probabilities

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer
    from emodask.reduction.chunks import ChunkedRows

Arrays = Mapping[str, Any]
"""Feature arrays by name, NumPy or ChunkedRows, each (n, ...)."""

Matrices = Mapping[str, npt.NDArray[np.float32]]
"""Reduced features by name, each (n, p)."""


def model_features(job: Job, model: str) -> tuple[str, ...]:
    """The features that a model of a job uses: those it names, or all."""
    return job.models[model].features or tuple(job.features)


def features_used(job: Job, models: Iterable[str] | None = None) -> tuple[str, ...]:
    """The features that some models use, all of the job's by default; in the job's order."""
    used = {name for model in models or job.models for name in model_features(job, model)}
    return tuple(name for name in job.features if name in used)


def make_reducer(job: Job, name: str) -> TensorReducer:
    """The unfitted reduction of one feature array."""
    from emodask.reduction import TensorReducer

    settings = job.reductions.get(name)
    if settings is None:
        return TensorReducer()
    feature = job.features[name]
    axes = ["clip", *family(feature.kind).dims(feature.settings)]
    return TensorReducer(
        ranks=list(settings.ranks),
        modes=[axes.index(dim) for dim in settings.dims],
        tol=settings.tol,
        n_iter_max=settings.n_iter_max,
    )


def fit_reducers(job: Job, arrays: Arrays) -> dict[str, TensorReducer]:
    """Fit the reduction of every array given, on all rows given."""
    return {name: make_reducer(job, name).fit(array) for name, array in arrays.items()}


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


def reduce(
    reducers: Mapping[str, TensorReducer], arrays: Arrays
) -> dict[str, npt.NDArray[np.float32]]:
    """Reduce arrays to matrices, one row a clip."""
    return {name: np.asarray(reducers[name].transform(array)) for name, array in arrays.items()}


@dataclass(frozen=True)
class FittedModel:
    """A fitted classifier and the features it reads.

    Attributes
    ----------
    features : tuple of str
        Concatenated in this order.
    classes : tuple of int
        Emotion codes of the job: the columns of :meth:`predict_proba`.
    estimator : object
        The fitted scikit-learn classifier.
    """

    features: tuple[str, ...]
    classes: tuple[int, ...]
    estimator: Any

    def predict(self, matrices: Matrices) -> npt.NDArray[np.int16]:
        """Emotion codes, shape (n,)."""
        return np.asarray(self.estimator.predict(self._join(matrices)), np.int16)

    def predict_proba(self, matrices: Matrices) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, classes); 0 for an emotion that was never trained."""
        known = probabilities(self.estimator, self._join(matrices))
        result = np.zeros((len(known), len(self.classes)))
        columns = [self.classes.index(int(code)) for code in self.estimator.classes_]
        result[:, columns] = known
        return result

    def _join(self, matrices: Matrices) -> npt.NDArray[np.float32]:
        return np.concatenate([matrices[name] for name in self.features], axis=1)


def fit_model(
    job: Job, model: str, matrices: Matrices, labels: Sequence[int] | npt.NDArray[Any]
) -> FittedModel:
    """Fit one model of a job on reduced features.

    Parameters
    ----------
    job : Job
    model : str
        A key of ``job.models``.
    matrices : mapping of str to ndarray, shape (n, p)
    labels : sequence of int, shape (n,)
        Emotion codes.

    Raises
    ------
    EvaluationError
        If there are fewer than two emotions to tell apart, or the classifier cannot be fitted.
    """
    if len(set(np.asarray(labels).tolist())) < 2:
        raise EvaluationError(
            f"model {model}: the training clips show fewer than two emotions; there is nothing "
            "to tell apart"
        )
    settings = job.models[model]
    estimator = make_classifier(settings.kind, _fitting(settings.parameters, len(labels)), job.seed)
    fitted = FittedModel(model_features(job, model), job.data.emotion_codes, estimator)
    with warnings.catch_warnings():
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            estimator.fit(fitted._join(matrices), np.asarray(labels, np.int16))
        except ValueError as error:
            raise EvaluationError(f"model {model}: {str(error).splitlines()[0]}") from error
    return fitted


def _fitting(parameters: Mapping[str, Any], n_clips: int) -> dict[str, Any]:
    """Parameters fit for a small training set: no mini-batch larger than it."""
    chosen = dict(parameters)
    size = chosen.get("batch_size")
    if isinstance(size, int) and size > n_clips:
        chosen["batch_size"] = n_clips
    return chosen


def emotion_columns(job: Job) -> tuple[str, ...]:
    """Names of the emotions in the order of classes."""
    return tuple(name for name in CODES if CODES[name] in job.data.emotion_codes)
