"""Fitted models: a classifier with the features it reads, or a late fusion of such models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.models.classifiers import decision_scores, probabilities
from emodask.models.fusion import combine
from emodask.models.remembering import remembering
from emodask.models.temperature import Temperature

Matrices = Mapping[str, Any]
"""Reduced features by name, each an ndarray of float32 (n, p); on training sides
(n, 1 + variants, p) where clips have variants to train on. A feature that is streamed is a
:class:`~emodask.store.StreamedMatrix`, or of a few clips in memory an ndarray too.
:class:`~emodask.models.remembering.Remembering` ones keep what networks made of them."""

Judgement = tuple[npt.NDArray[np.int16], npt.NDArray[np.float64]]
"""Emotion codes, shape (n,), and probabilities, shape (n, classes)."""


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
        The networks whose last hidden layers it reads, by name; ``features`` are then those that
        the networks read too.
    beside : tuple of str
        The features that it reads beside them.
    """

    features: tuple[str, ...]
    classes: tuple[int, ...]
    estimator: Any
    temperature: Temperature | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)
    embeddings: Mapping[str, FittedModel] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def training(self) -> dict[str, Any]:
        """How the training of a network went, as plain JSON values; empty of other classifiers."""
        return getattr(self.estimator, "training_", {})

    def judge(self, matrices: Matrices) -> Judgement:
        """Emotion codes, shape (n,), and probabilities, shape (n, classes).

        Codes are those of :meth:`predict`, probabilities those of :meth:`predict_proba`; what the
        classifier reads is made once, and a network is run once.
        """
        X = self.join(matrices)
        chances = self._chances(X)
        if self._takes_likeliest:
            return _likeliest(self.classes, chances), chances
        return np.asarray(self.estimator.predict(X), np.int16), chances

    def predict(self, matrices: Matrices) -> npt.NDArray[np.int16]:
        """Emotion codes, shape (n,): of a network or a calibrated model, the most probable."""
        if self._takes_likeliest:
            return self.judge(matrices)[0]
        return np.asarray(self.estimator.predict(self.join(matrices)), np.int16)

    def predict_proba(self, matrices: Matrices) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, classes); 0 for an emotion that was never trained."""
        return self._chances(self.join(matrices))

    @property
    def _takes_likeliest(self) -> bool:
        """Whether the verdict is the emotion of the largest probability; not of every classifier.

        The votes of a support vector machine, for one, may differ from its probabilities.
        """
        return self.temperature is not None or hasattr(self.estimator, "embed")

    def _chances(self, X: Any) -> npt.NDArray[np.float64]:
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
        rows = remembering(matrices)
        return rows.embeddings(
            self, lambda: np.asarray(self.estimator.embed(self.join(rows)), np.float32)
        )

    def join(self, matrices: Matrices) -> Any:
        """What the classifier reads, side by side, shape (n, p)."""
        if self.embeddings:
            return joined_embeddings(self.embeddings, matrices, self.beside)
        return joined(matrices, self.features)


def joined(matrices: Matrices, features: tuple[str, ...]) -> Any:
    """Features side by side, shape (n, p); one alone as it is, whether held or streamed."""
    if len(features) == 1:
        return matrices[features[0]]
    return np.concatenate([matrices[name] for name in features], axis=1)


def joined_embeddings(
    networks: Mapping[str, FittedModel], matrices: Matrices, beside: tuple[str, ...] = ()
) -> npt.NDArray[np.float32]:
    """Features, then what the last hidden layers of networks say, side by side, shape (n, p)."""
    rows = remembering(matrices)  # networks may read the same other
    learnt = [network.embed(rows) for network in networks.values()]
    return np.concatenate([*(rows[name] for name in beside), *learnt], axis=1)


def _likeliest(classes: tuple[int, ...], chances: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    return np.asarray(classes, np.int16)[chances.argmax(axis=1)]


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

    def judge(self, matrices: Matrices) -> Judgement:
        """Emotion codes, shape (n,), and probabilities, shape (n, classes)."""
        chances = self.predict_proba(matrices)
        return _likeliest(self.classes, chances), chances

    def predict(self, matrices: Matrices) -> npt.NDArray[np.int16]:
        """Emotion codes, shape (n,)."""
        return self.judge(matrices)[0]

    def predict_proba(self, matrices: Matrices) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, classes); 0 for an emotion that was never trained."""
        rows = remembering(matrices)  # members may read the same network
        said = [member.predict_proba(rows) for member in self.members.values()]
        return combine(said, self.rule, self.weights)


Fitted = FittedModel | FittedFusion
