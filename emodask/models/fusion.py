"""Late fusion: the probabilities of several models made into one, by rules that are arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RULES = ("mean", "product", "weighted")

_LEAST = 1e-6
"""A probability below this counts as this: no model alone can rule an emotion out."""


def combine(probabilities: npt.ArrayLike, rule: str, weights: Floats | None = None) -> Floats:
    """Make one set of probabilities of those of several models.

    Parameters
    ----------
    probabilities : array-like, shape (models, n, classes)
        Rows add up to 1.
    rule : str
        ``mean`` of the probabilities; ``product`` of them, as if each model saw the emotion
        independently of the others; or ``weighted``, the mean with weights.
    weights : ndarray, shape (models, classes), optional
        For ``weighted``; columns add up to 1.

    Returns
    -------
    ndarray of float64, shape (n, classes)
        Rows add up to 1; 0 where every model says 0.

    Examples
    --------
    >>> said = [[[0.5, 0.5]], [[0.9, 0.1]]]
    >>> combine(said, "mean").round(3).tolist(), combine(said, "product").round(3).tolist()
    ([[0.7, 0.3]], [[0.9, 0.1]])
    """
    said = np.asarray(probabilities, np.float64)
    if rule == "product":
        logs = np.log(np.maximum(said, _LEAST)).sum(axis=0)
        fused = np.exp(logs - logs.max(axis=1, keepdims=True))
        fused[(said == 0).all(axis=0)] = 0
    elif weights is not None:
        fused = np.einsum("mc,mnc->nc", weights, said)
    else:
        fused = said.mean(axis=0)
    total = fused.sum(axis=1, keepdims=True)
    return np.where(total > 0, fused / np.where(total > 0, total, 1), said.mean(axis=0))


def learn_weights(probabilities: npt.ArrayLike, labels: npt.NDArray[np.intp]) -> Floats:
    """Weights of each model for each emotion, from what the models said of clips unknown to them.

    The weights minimise the log loss of the fused probabilities, each emotion counting alike, plus
    half the squared logarithms of the weights by the number of clips: a normal prior around the
    plain mean, which few clips hardly move. A grid would need values to the power of models and
    emotions, and counting hits, which is all that a grid could add, is a step function that a
    handful of clips decides. The loss is smooth, and L-BFGS with its exact gradient finds the same
    weights every time.

    Parameters
    ----------
    probabilities : array-like, shape (models, n, classes)
        Of clips that the models were not trained on.
    labels : ndarray of int, shape (n,)
        Columns of the true emotions.

    Returns
    -------
    ndarray of float64, shape (models, classes)
        Columns add up to 1.

    Examples
    --------
    >>> hears, sees = [[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.4, 0.6]]
    >>> weights = learn_weights([hears, sees], np.array([0, 1]))
    >>> bool(weights[0, 0] > 0.5), np.allclose(weights.sum(axis=0), 1)
    (True, True)
    """
    from scipy.optimize import minimize
    from scipy.special import softmax

    said = np.maximum(np.asarray(probabilities, np.float64), _LEAST)
    models, n, classes = said.shape
    shares = 1 / np.bincount(labels, minlength=classes)[labels]
    shares = shares / shares.sum()
    rows = np.arange(n)

    def loss(flat: Floats) -> tuple[float, Floats]:
        logits = flat.reshape(models, classes)
        weights = softmax(logits, axis=0)
        fused = np.einsum("mc,mnc->nc", weights, said)
        total = fused.sum(axis=1)
        true = fused[rows, labels]
        slope = np.repeat((shares / total)[:, None], classes, axis=1)
        slope[rows, labels] -= shares / true
        by_weight = np.einsum("nc,mnc->mc", slope, said)
        by_logit = weights * (by_weight - (weights * by_weight).sum(axis=0))
        value = shares @ (np.log(total) - np.log(true)) + 0.5 * (logits**2).sum() / n
        return float(value), (by_logit + logits / n).ravel()

    found = minimize(loss, np.zeros(models * classes), jac=True, method="L-BFGS-B")
    return np.asarray(softmax(found.x.reshape(models, classes), axis=0), np.float64)
