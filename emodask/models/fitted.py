"""Fitted models: a classifier with the features it reads, or a late fusion of such models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.models.classifiers import decision_scores, probabilities
from emodask.models.fusion import combine
from emodask.models.temperature import Temperature

Matrices = Mapping[str, Any]
"""Reduced features by name, each an ndarray of float32 (n, p); on training sides
(n, 1 + variants, p) where clips have variants to train on. A feature that is streamed is a
:class:`~emodask.store.StreamedMatrix`, or of a few clips in memory an ndarray too."""


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
    temperature : Temperature, optional
        Of a calibrated model, for the classes that the classifier knows.
    chosen : mapping of str to value
        Parameters that a search chose; empty without one, and in a bundle that was read back.
    embeddings : mapping of str to FittedModel
        The networks whose last hidden layers it reads in place of features, by name.
    """

    features: tuple[str, ...]
    classes: tuple[int, ...]
    estimator: Any
    temperature: Temperature | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)
    embeddings: Mapping[str, FittedModel] = field(default_factory=dict)

    @property
    def training(self) -> dict[str, Any]:
        """How the training of a network went, as plain JSON values; empty of other classifiers."""
        return getattr(self.estimator, "training_", {})

    def predict(self, matrices: Matrices) -> npt.NDArray[np.int16]:
        """Emotion codes, shape (n,): of a calibrated model, the most probable."""
        if self.temperature is not None:
            likeliest = self.predict_proba(matrices).argmax(axis=1)
            return np.asarray(self.classes, np.int16)[likeliest]
        return np.asarray(self.estimator.predict(self.join(matrices)), np.int16)

    def predict_proba(self, matrices: Matrices) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, classes); 0 for an emotion that was never trained."""
        X = self.join(matrices)
        if self.temperature is not None:
            known = self.temperature.probabilities(decision_scores(self.estimator, X))
        else:
            known = probabilities(self.estimator, X)
        result = np.zeros((len(known), len(self.classes)))
        columns = [self.classes.index(int(code)) for code in self.estimator.classes_]
        result[:, columns] = known
        return result

    def embed(self, matrices: Matrices) -> npt.NDArray[np.float32]:
        """What the last hidden layer of a network says, shape (n, k)."""
        return np.asarray(self.estimator.embed(self.join(matrices)), np.float32)

    def join(self, matrices: Matrices) -> Any:
        """What the classifier reads, side by side, shape (n, p)."""
        if self.embeddings:
            return joined_embeddings(self.embeddings, matrices)
        return joined(matrices, self.features)


def joined(matrices: Matrices, features: tuple[str, ...]) -> Any:
    """Features side by side, shape (n, p); one alone as it is, whether held or streamed."""
    if len(features) == 1:
        return matrices[features[0]]
    return np.concatenate([matrices[name] for name in features], axis=1)


def joined_embeddings(
    networks: Mapping[str, FittedModel], matrices: Matrices
) -> npt.NDArray[np.float32]:
    """What the last hidden layers of networks say, side by side, shape (n, p)."""
    return np.concatenate([network.embed(matrices) for network in networks.values()], axis=1)


@dataclass(frozen=True, eq=False)
class FittedFusion:
    """Fitted models whose probabilities become one.

    Attributes
    ----------
    features : tuple of str
        What the members read, together.
    classes : tuple of int
        Emotion codes of the job: the columns of :meth:`predict_proba`.
    rule : str
        See :func:`emodask.models.fusion.combine`.
    members : mapping of str to FittedModel or FittedFusion
        By their names in the job.
    weights : ndarray or None
        What :func:`emodask.models.fusion.learn_weights` gave, of a rule that learns.
    """

    features: tuple[str, ...]
    classes: tuple[int, ...]
    rule: str
    members: Mapping[str, Fitted]
    weights: npt.NDArray[np.float64] | None = None

    def predict(self, matrices: Matrices) -> npt.NDArray[np.int16]:
        """Emotion codes, shape (n,)."""
        return np.asarray(self.classes, np.int16)[self.predict_proba(matrices).argmax(axis=1)]

    def predict_proba(self, matrices: Matrices) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, classes); 0 for an emotion that was never trained."""
        said = [member.predict_proba(matrices) for member in self.members.values()]
        return combine(said, self.rule, self.weights)


Fitted = FittedModel | FittedFusion
