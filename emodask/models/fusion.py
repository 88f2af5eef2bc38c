"""Late fusion: the probabilities of several models made into one, by rules that are arrays only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RULES = ("mean", "product", "weighted", "stacked")
LEARNT = ("weighted", "stacked")
"""Rules that learn from what models say of clips unknown to them."""

_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""scikit-learn's C of a stack, one of which is chosen: the larger, the freer."""

_NEVER = -1e4
"""An intercept that leaves an emotion a probability of 0."""

LEAST = 1e-6
"""A probability below this counts as this: no model alone can rule an emotion out."""


def combine(probabilities: npt.ArrayLike, rule: str, weights: Floats | None = None) -> Floats:
    """Make one set of probabilities of those of several models.

    Parameters
    ----------
    probabilities : array-like, shape (models, n, classes)
        Rows add up to 1.
    rule : str
        ``mean`` of the probabilities; ``product`` of them, as if each model saw the emotion
        independently of the others; ``weighted``, the mean with weights; or ``stacked``, a softmax
        of sums of their logarithms with weights.
    weights : ndarray, optional
        For rules that learn: what :func:`learn_weights` gave.

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
        logs = np.log(np.maximum(said, LEAST)).sum(axis=0)
        fused = np.exp(logs - logs.max(axis=1, keepdims=True))
        fused[(said == 0).all(axis=0)] = 0
    elif rule == "stacked" and weights is not None:
        from scipy.special import softmax

        fused = softmax(_centred_logs(said) @ weights[:-1] + weights[-1], axis=1)
        fused[(said == 0).all(axis=0)] = 0
    elif weights is not None:
        fused = np.einsum("mc,mnc->nc", weights, said)
    else:
        fused = said.mean(axis=0)
    total = fused.sum(axis=1, keepdims=True)
    return np.where(total > 0, fused / np.where(total > 0, total, 1), said.mean(axis=0))


def weights_shape(rule: str, models: int, classes: int) -> tuple[int, int]:
    """The shape of what a rule learns."""
    return (models * classes + 1, classes) if rule == "stacked" else (models, classes)


def learn_weights(
    probabilities: npt.ArrayLike,
    labels: npt.NDArray[np.intp],
    rule: str = "weighted",
    folds: Sequence[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = (),
) -> Floats:
    """Weights of a rule, from what the models said of clips unknown to them.

    Parameters
    ----------
    probabilities : array-like, shape (models, n, classes)
        Of clips that the models were not trained on.
    labels : ndarray of int, shape (n,)
        Columns of the true emotions.
    rule : str
        ``weighted`` gives each model a weight for each emotion; ``stacked`` fits a logistic
        regression on the logarithms of all probabilities (Wolpert, "Stacked generalization", Neural
        Networks 5, 1992), with a ridge penalty chosen by log loss on ``folds``. Each emotion counts
        alike.
    folds : sequence of (train, held out)
        For ``stacked``: rows of this same set.

    Returns
    -------
    ndarray of float64, shape :func:`weights_shape`
        Of ``weighted``, columns add up to 1. Of ``stacked``, the last row is the intercept, at
        which an emotion that no label shows has probability 0.

    Examples
    --------
    >>> hears, sees = [[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.4, 0.6]]
    >>> weights = learn_weights([hears, sees], np.array([0, 1]))
    >>> bool(weights[0, 0] > 0.5), np.allclose(weights.sum(axis=0), 1)
    (True, True)
    """
    said = np.asarray(probabilities, np.float64)
    if rule == "stacked":
        return _learn_stack(said, labels, folds)
    return _learn_shares(np.maximum(said, LEAST), labels)


def _centred_logs(said: Floats) -> Floats:
    """Logarithms of probabilities, each model's around 0, side by side: (n, models x classes)."""
    logs = np.log(np.maximum(said, LEAST))
    logs -= logs.mean(axis=2, keepdims=True)
    return np.concatenate(list(logs), axis=1)


def _learn_stack(
    said: Floats,
    labels: npt.NDArray[np.intp],
    folds: Sequence[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]],
) -> Floats:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    models, _, classes = said.shape
    logs = _centred_logs(said)
    # One scale for each model, not each column: how sure it is of what, is what it says.
    scales = np.repeat([part.std() or 1.0 for part in np.split(logs, models, axis=1)], classes)
    X, known = logs / scales, np.unique(labels)

    def fitted(penalty: float, rows: npt.NDArray[np.intp]) -> LogisticRegression:
        stack = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)
        return stack.fit(X[rows], labels[rows])

    def loss(penalty: float) -> float:
        each = 1 / np.bincount(labels)[labels]
        total = 0.0
        for train, held_out in folds:
            if len(np.unique(labels[train])) < len(known):
                continue
            chances = fitted(penalty, train).predict_proba(X[held_out])
            total += log_loss(
                labels[held_out],
                chances,
                labels=known,
                sample_weight=each[held_out],
                normalize=False,
            )
        return total

    stack = fitted(min(_PENALTIES, key=loss), np.arange(len(labels)))
    slopes, offsets = stack.coef_, stack.intercept_
    if len(known) == 2:  # one row, for the second against the first
        slopes, offsets = np.stack([-slopes[0], slopes[0]]) / 2, np.repeat(offsets, 2) * [-0.5, 0.5]
    weights = np.zeros(weights_shape("stacked", models, classes))
    weights[:-1, known] = slopes.T / scales[:, None]
    weights[-1] = _NEVER
    weights[-1, known] = offsets
    return weights


def _learn_shares(said: Floats, labels: npt.NDArray[np.intp]) -> Floats:
    """Weights of each model for each emotion, with a normal prior of their logits around the mean.

    They minimise the log loss of the fused probabilities, plus half the squared logits by the
    number of clips, which few clips hardly move. A grid would need values to the power of models
    and emotions, and counting hits, which is all that a grid could add, is a step function that a
    handful of clips decides. The loss is smooth, and L-BFGS with its exact gradient finds the same
    weights every time.
    """
    from scipy.optimize import minimize
    from scipy.special import softmax

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
