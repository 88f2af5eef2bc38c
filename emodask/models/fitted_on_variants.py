"""A classifier fitted on clips and variants of them, that judges clips alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.metaestimators import available_if


def _has(method: str) -> Any:
    return available_if(lambda self: hasattr(self.estimator, method))


class FittedOnVariants(ClassifierMixin, BaseEstimator):
    """A classifier fitted on clips and variants of them, that judges the clips alone.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Of rows of p numbers.
    count : int
        A row given here has ``count * p`` numbers: the clip itself, then its variants.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> X, y = np.array([[0.0, 10.0], [4.0, 5.0]]), np.array([1, 2])
    >>> model = FittedOnVariants(KNeighborsClassifier(1), count=2).fit(X, y)
    >>> model.estimator_.n_samples_fit_, model.estimator_.predict([[11.0]]), model.predict(X)
    (4, array([1]), array([1, 2]))
    """

    def __init__(self, estimator: Any, count: int) -> None:
        self.estimator = estimator
        self.count = count

    def fit(
        self, X: npt.NDArray[Any], y: npt.NDArray[Any], groups: npt.NDArray[Any] | None = None
    ) -> FittedOnVariants:
        """Fit on every variant, each with the label of its clip, and its group if any are given."""
        rows = np.ascontiguousarray(X).reshape(len(X) * self.count, -1)
        further = () if groups is None else (np.repeat(groups, self.count),)
        self.estimator_ = clone(self.estimator).fit(rows, np.repeat(y, self.count), *further)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes of the clips themselves."""
        return np.asarray(self.estimator_.predict(self._originals(X)))

    @_has("predict_proba")
    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Probabilities of the clips themselves."""
        return np.asarray(self.estimator_.predict_proba(self._originals(X)))

    @_has("decision_function")
    def decision_function(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Scores of the clips themselves."""
        return np.asarray(self.estimator_.decision_function(self._originals(X)))

    def _originals(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return X[:, : X.shape[1] // self.count]
