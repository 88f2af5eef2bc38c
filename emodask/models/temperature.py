"""Scores -> probabilities: one temperature, and an offset for each emotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Temperature:
    """A softmax of scores, made as sure as their classifier turned out to be right.

    Attributes
    ----------
    factor : float
        What scores are multiplied by: the inverse of the temperature.
    offsets : tuple of float
        What is added to each emotion's score then.
    """

    factor: float
    offsets: tuple[float, ...]

    def probabilities(self, scores: Floats) -> Floats:
        """Probabilities of scores, both of shape (n, classes)."""
        from scipy.special import softmax

        return np.asarray(softmax(self.factor * scores + np.array(self.offsets), axis=1))


def learn_temperature(scores: npt.ArrayLike, labels: npt.NDArray[np.intp]) -> Temperature:
    """Learn temperature and offsets from what a classifier said of clips unknown to it.

    Bias-corrected temperature scaling (Alexandari, Kundaje & Shrikumar, "Maximum likelihood with
    bias-corrected calibration is hard-to-beat at label shift adaptation", ICML 2020): they
    minimise the log loss, each emotion counting alike, plus the squared offsets by the number of
    clips, which keeps the offset of an emotion of few clips small. L-BFGS with the exact gradient
    finds the same numbers every time.

    Parameters
    ----------
    scores : array-like, shape (n, classes)
        Of clips that the classifier was not trained on.
    labels : ndarray of int, shape (n,)
        Columns of the true emotions.

    Examples
    --------
    >>> scores = np.array([[9.0, 0.0], [8.0, 0.0], [0.0, 9.0], [7.0, 0.0]])  # sure, once wrong
    >>> found = learn_temperature(scores, np.array([0, 0, 1, 1]))
    >>> found.factor < 1, bool(found.probabilities(scores)[3, 0] < 0.95)
    (True, True)
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    given = np.asarray(scores, np.float64)
    n, classes = given.shape
    rows = np.arange(n)
    shares = 1 / np.bincount(labels, minlength=classes)[labels]
    shares = shares / shares.sum()
    unit = given.std() or 1.0  # the search begins where scores are of the size of logits
    given = given / unit

    def loss(flat: Floats) -> tuple[float, Floats]:
        factor, offsets = np.exp(flat[0]), flat[1:]
        logs = log_softmax(factor * given + offsets, axis=1)
        slope = np.exp(logs)
        slope[rows, labels] -= 1
        slope *= shares[:, None]
        value = -(shares @ logs[rows, labels]) + (offsets**2).sum() / n
        by_offset = slope.sum(axis=0) + 2 * offsets / n
        return float(value), np.append((slope * given).sum() * factor, by_offset)

    # Where nothing in the scores helps, or nothing is ever wrong, the temperature has no optimum.
    bounds = [(-7.0, 7.0), *[(None, None)] * classes]
    found = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Temperature(float(np.exp(found[0]) / unit), tuple(found[1:].tolist()))
