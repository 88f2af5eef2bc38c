"""XGBoost's trees as a classifier of emotion codes that is stored without pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin


class XGBoost(ClassifierMixin, BaseEstimator):
    """``xgboost.XGBClassifier`` on any labels, one thread by default.

    XGBoost itself wants labels 0, 1, 2, ...; this encodes them and gives them back. Copies, whether
    sent to a worker or stored in a bundle, hold the trees in XGBoost's own UBJSON format, which
    other versions of it read too.

    Parameters
    ----------
    **parameters
        Those of ``XGBClassifier``; ``n_jobs`` is 1 unless given, so that sums are exact.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    """

    def __init__(self, **parameters: Any) -> None:
        self.parameters = {"n_jobs": 1, **parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """XGBoost's parameters and their values."""
        return {**_classifier({}).get_params(), **self.parameters}

    def set_params(self, **parameters: Any) -> XGBoost:
        """Change some parameters."""
        self.parameters = {**self.parameters, **parameters}
        return self

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> XGBoost:
        """Grow trees.

        Raises
        ------
        ValueError
            If XGBoost refuses a parameter's value.
        """
        self.classes_, encoded = np.unique(y, return_inverse=True)
        self._trees = _classifier(self.parameters).fit(X, encoded)
        return self

    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Labels, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, n_classes)."""
        chances = np.asarray(self._trees.predict_proba(X), np.float64)
        return chances / chances.sum(axis=1, keepdims=True)

    def _validate_params(self) -> None:
        """Refuse impossible values: XGBoost looks at them only when it fits."""
        trees = self.parameters.get("n_estimators")
        few = {"n_estimators": 1} if trees is None or (isinstance(trees, int) and trees > 1) else {}
        rows = np.zeros((4, 1), np.float32)
        try:
            _classifier({**self.parameters, **few}).fit(rows, np.array([0, 1, 0, 1]))
        except (ValueError, TypeError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ValueError(_without_place(lines[0]) if lines else repr(error)) from error

    def __getstate__(self) -> dict[str, Any]:
        """Parameters, labels and the trees as bytes."""
        state = {key: value for key, value in self.__dict__.items() if key != "_trees"}
        if hasattr(self, "_trees"):
            state["trees"] = bytes(self._trees.get_booster().save_raw("ubj"))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the trees from their bytes."""
        trees = state.pop("trees", None)
        self.__dict__.update(state)
        if trees is not None:
            self._trees = _classifier(self.parameters)
            self._trees.load_model(bytearray(trees))


def _classifier(parameters: dict[str, Any]) -> Any:
    import xgboost

    return xgboost.XGBClassifier(**parameters)


def _without_place(line: str) -> str:
    """A message of XGBoost without the time and the source line that it begins with."""
    return line.rsplit("] ", 1)[-1] if line.startswith("[") else line
