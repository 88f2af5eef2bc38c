"""Fitting one model of a job on reduced features: a classifier, or a late fusion of models."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import emotion_name
from emodask.errors import EvaluationError, JobError, UsageError
from emodask.job import Job
from emodask.models.augmenting import joined_variants, originals
from emodask.models.checking import FUSION
from emodask.models.classifiers import decision_scores, is_network, make_classifier
from emodask.models.fitted import (
    Fitted,
    FittedFusion,
    FittedModel,
    Matrices,
    joined,
    joined_embeddings,
)
from emodask.models.fusion import LEARNT, learn_weights
from emodask.models.inner_folds import inner_folds
from emodask.models.remembering import remembering
from emodask.models.search import Parameters, best_parameters
from emodask.models.system import model_features, reduced_dims
from emodask.models.temperature import Temperature, learn_temperature

Labels = npt.NDArray[np.int16]

SearchKey = tuple[str, tuple[int, ...]]
"""A search of a job: the model's name, and the inner folds that its training part lies in."""


def fit_model(
    job: Job,
    model: str,
    matrices: Matrices,
    labels: Sequence[int] | npt.NDArray[Any],
    actors: Sequence[int] | npt.NDArray[Any],
    fitted: dict[str, Fitted] | None = None,
    searched: Mapping[SearchKey, Parameters] | None = None,
    part: tuple[int, ...] = (),
) -> Fitted:
    """Fit one model of a job on reduced features.

    Parameters
    ----------
    job : Job
    model : str
        A key of ``job.models``.
    matrices : mapping of str to ndarray, shape (n, p) or (n, 1 + variants, p)
        Models that do not train on variants take the first of each clip. Those that are
        ``Remembering`` keep the embeddings of networks for the next model of the same rows.
    labels : sequence of int, shape (n,)
        Emotion codes.
    actors : sequence of int, shape (n,)
        Inner folds, of models that need them, never cut through one.
    fitted : dict, optional
        Models of the same rows by name: those in it are not fitted again, those fitted join it.
    searched : mapping, optional
        What searches have chosen already; others are done here.
    part : tuple of int
        The inner folds whose training sides these rows are; none for those of a whole fold.

    Raises
    ------
    EvaluationError
        If there are fewer than two emotions to tell apart, the classifier cannot be fitted, or
        inner folds need more actors.
    JobError
        If a network names a device that is not where it is fitted.
    """
    fitted, searched = {} if fitted is None else fitted, searched or {}
    matrices = remembering(matrices)
    if model in fitted:
        return fitted[model]
    codes, people = np.asarray(labels, np.int16), np.asarray(actors)
    if len(set(codes.tolist())) < 2:
        raise EvaluationError(
            f"model {model}: the training clips show fewer than two emotions; there is nothing "
            "to tell apart"
        )
    if job.models[model].kind == FUSION:
        fitted[model] = _fit_fusion(job, model, matrices, codes, people, fitted, searched, part)
    elif job.models[model].embeddings:
        fitted[model] = _fit_on_embeddings(
            job, model, matrices, codes, people, fitted, searched, part
        )
    else:
        chosen = searched.get((model, part))
        if chosen is None and job.models[model].search:
            chosen = _searched(job, model, matrices, codes, people)
        fitted[model] = _fit_classifier(job, model, matrices, codes, people, chosen or {})
    return fitted[model]


def _fit_classifier(
    job: Job,
    model: str,
    matrices: Matrices,
    labels: Labels,
    actors: npt.NDArray[Any],
    chosen: Parameters,
) -> FittedModel:
    settings = job.models[model]
    fitted = FittedModel(model_features(job, model), job.data.emotion_codes, None, chosen=chosen)
    parameters = {**settings.parameters, **chosen}
    X, count = _rows(job, model, matrices)
    estimator = _estimator(job, model, parameters, len(labels), count)
    temperature = None
    if settings.calibrate:
        temperature = _temperature(job, model, parameters, X, labels, actors, count)
    _fit(estimator, model, X, labels, _groups(job, model, actors))
    if count > 1:
        estimator = estimator.estimator_  # of clips alone
    return replace(fitted, estimator=estimator, temperature=temperature)


def _rows(job: Job, model: str, matrices: Matrices) -> tuple[Any, int]:
    """What a model is fitted on: a row for each clip, and how many variants are in it."""
    features = model_features(job, model)
    if job.models[model].augment:
        return joined_variants(matrices, features)
    return joined(originals(matrices), features), 1


def _estimator(
    job: Job,
    model: str,
    parameters: Mapping[str, Any],
    n_clips: int,
    count: int,
    shapes: Sequence[tuple[int, ...]] = (),
) -> Any:
    """The unfitted classifier of a model, with parameters fit for the number of clips.

    With a `count` above 1 a clip's row holds as many variants of it. Of a network, `shapes` are
    those of what it reads; by default of its features.
    """
    settings = job.models[model]
    chosen = _fitting(parameters, n_clips * count)
    if is_network(settings.kind):
        shapes = shapes or [
            tuple(reduced_dims(job, name).values()) for name in model_features(job, model)
        ]
        chosen |= {"shapes": tuple(shapes), "scale": settings.scale}
    estimator = make_classifier(settings.kind, chosen, job.seed)
    if settings.scale and not is_network(settings.kind):
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        estimator = make_pipeline(StandardScaler(), estimator)
    if count == 1:
        return estimator
    from emodask.models.fitted_on_variants import FittedOnVariants

    return FittedOnVariants(estimator, count)


def _groups(job: Job, model: str, actors: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """What a classifier is fitted with beside labels: a network holds people out too."""
    return (actors,) if is_network(job.models[model].kind) else ()


def _fit(
    estimator: Any,
    model: str,
    X: Any,
    labels: Labels,
    groups: tuple[npt.NDArray[Any], ...] = (),
) -> None:
    with warnings.catch_warnings():
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            estimator.fit(X, labels, *groups)
        except UsageError as error:  # a device that is not there says nothing of the clips
            raise JobError(f"model {model}: {error}") from error
        except (ValueError, NotImplementedError) as error:
            raise EvaluationError(f"model {model}: {str(error).splitlines()[0]}") from error


def _searched(
    job: Job, model: str, matrices: Matrices, labels: Labels, actors: npt.NDArray[Any]
) -> dict[str, Any]:
    """The parameters with the best UAR on actors of the training side that were left out."""
    folds = inner_folds(actors, model)

    def score(parameters: Parameters) -> float:
        said = [
            try_parameters(job, model, matrices, labels, actors, parameters, *fold)
            for fold in folds
        ]
        return trial_uar(labels, [held_out for _, held_out in folds], said)

    search = job.models[model].search
    assert search is not None
    return best_parameters(search, score, job.seed)


def try_parameters(
    job: Job,
    model: str,
    matrices: Matrices,
    labels: Labels,
    actors: npt.NDArray[Any],
    parameters: Parameters,
    train: npt.NDArray[np.intp],
    held_out: npt.NDArray[np.intp],
) -> Labels:
    """What a model with these parameters, fitted on some rows, says of others.

    Raises
    ------
    EvaluationError
        If it cannot be fitted; naming the parameters.
    """
    settings = job.models[model]
    X, count = _rows(job, model, matrices)
    try:
        chosen = {**settings.parameters, **parameters}
        estimator = _estimator(job, model, chosen, len(train), count)
        _fit(estimator, model, X[train], labels[train], _groups(job, model, actors[train]))
    except EvaluationError as error:
        tried = ", ".join(f"{name} = {value!r}" for name, value in parameters.items())
        raise EvaluationError(f"{error} (its search tried {tried})") from error
    return np.asarray(estimator.predict(X[held_out]), np.int16)


def trial_uar(
    labels: Labels, held_out: Sequence[npt.NDArray[np.intp]], said: Sequence[Labels]
) -> float:
    """UAR over all held-out rows of what :func:`try_parameters` said of them."""
    from sklearn.metrics import recall_score

    predicted = np.empty_like(labels)
    for rows, verdicts in zip(held_out, said, strict=True):
        predicted[rows] = verdicts
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro"))


def _temperature(
    job: Job,
    model: str,
    parameters: Mapping[str, Any],
    X: Any,
    labels: Labels,
    actors: npt.NDArray[Any],
    count: int,
) -> Temperature:
    """The temperature of a classifier, from its scores of actors that it did not meet."""
    known = np.unique(labels)
    scores = np.empty((len(labels), len(known)))
    for train, held_out in inner_folds(actors, model):
        absent = set(known.tolist()) - set(labels[train].tolist())
        if absent:
            raise EvaluationError(
                f"model {model}: cannot be calibrated: too few actors of the training side show "
                f"{emotion_name(min(absent))}; leave calibrate out, or add clips"
            )
        stranger = _estimator(job, model, parameters, len(train), count)
        _fit(stranger, model, X[train], labels[train], _groups(job, model, actors[train]))
        scores[held_out] = decision_scores(stranger, X[held_out])
    return learn_temperature(scores, np.searchsorted(known, labels))


def _fit_on_embeddings(
    job: Job,
    model: str,
    matrices: Matrices,
    labels: Labels,
    actors: npt.NDArray[Any],
    fitted: dict[str, Fitted],
    searched: Mapping[SearchKey, Parameters],
    part: tuple[int, ...],
) -> FittedModel:
    settings = job.models[model]
    networks: dict[str, FittedModel] = {}
    for name in settings.embeddings:
        network = fit_model(job, name, matrices, labels, actors, fitted, searched, part)
        assert isinstance(network, FittedModel)  # jobs name networks alone
        networks[name] = network
    X = joined_embeddings(networks, originals(matrices), settings.features)
    estimator = _estimator(job, model, settings.parameters, len(labels), 1, [(X.shape[1],)])
    _fit(estimator, model, X, labels, _groups(job, model, actors))
    return FittedModel(
        model_features(job, model),
        job.data.emotion_codes,
        estimator,
        embeddings=networks,
        beside=settings.features,
    )


def _fit_fusion(
    job: Job,
    model: str,
    matrices: Matrices,
    labels: Labels,
    actors: npt.NDArray[Any],
    fitted: dict[str, Fitted],
    searched: Mapping[SearchKey, Parameters],
    part: tuple[int, ...],
) -> FittedFusion:
    settings = job.models[model]
    rule = settings.rule or "mean"
    members = {
        name: fit_model(job, name, matrices, labels, actors, fitted, searched, part)
        for name in settings.members
    }
    weights = None
    if rule in LEARNT:
        said = _said_of_strangers(job, model, matrices, labels, actors, searched, part)
        columns = np.searchsorted(job.data.emotion_codes, labels)
        weights = learn_weights(said, columns, rule, inner_folds(actors, model))
    return FittedFusion(model_features(job, model), job.data.emotion_codes, rule, members, weights)


def _said_of_strangers(
    job: Job,
    model: str,
    matrices: Matrices,
    labels: Labels,
    actors: npt.NDArray[Any],
    searched: Mapping[SearchKey, Parameters],
    part: tuple[int, ...],
) -> npt.NDArray[np.float64]:
    """What each member says of clips of actors it was not fitted on, (members, n, classes)."""
    members = job.models[model].members
    said = np.zeros((len(members), len(labels), len(job.data.emotion_codes)))
    for number, (train, held_out) in enumerate(inner_folds(actors, model)):
        known = remembering({name: matrix[train] for name, matrix in matrices.items()})
        others = {name: matrix[held_out] for name, matrix in matrices.items()}
        unknown = remembering(originals(others))
        shared: dict[str, Fitted] = {}
        for place, member in enumerate(members):
            found = fit_model(
                job,
                member,
                known,
                labels[train],
                actors[train],
                shared,
                searched,
                (*part, number),
            )
            said[place, held_out] = found.predict_proba(unknown)
    return said


def _fitting(parameters: Mapping[str, Any], n_clips: int) -> dict[str, Any]:
    """Parameters fit for a small training set: no mini-batch larger than it."""
    chosen = dict(parameters)
    size = chosen.get("batch_size")
    if isinstance(size, int) and size > n_clips:
        chosen["batch_size"] = n_clips
    return chosen
