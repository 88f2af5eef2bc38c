"""The control: what a UAR would be if verdicts had nothing to do with the emotions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

N_PERMUTATIONS = 1000
_KEYS_AT_ONCE = 2_000_000
"""How many random keys are held in memory together."""


def permutation_control(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    actors: npt.ArrayLike,
    seed: int = 0,
    n_permutations: int = N_PERMUTATIONS,
) -> dict[str, Any]:
    """UAR after the true labels have been permuted within each actor, many times.

    Each actor keeps all verdicts and all labels, only their pairing is lost: what a model gains by
    knowing who speaks, or which emotions are frequent, stays in the control. The p-value counts
    the permutations that do at least as well, the real pairing among them (Phipson & Smyth, Stat.
    Appl. Genet. Mol. Biol. 9:1, 2010).

    Parameters
    ----------
    true, predicted : (n,) int arrays
        Emotion codes, n at least 1.
    actors : (n,) int array
        Actor of each clip.
    seed : int
        Fixes the permutations.
    n_permutations : int
        How many.

    Returns
    -------
    dict
        ``uar``, the mean over permutations; ``high``, which 95 % of them do not exceed;
        ``p_value``; ``permutations``.

    Examples
    --------
    >>> emotions, people = [3, 4, 5, 6] * 6, [1, 2, 3, 4, 5, 6] * 4
    >>> found = permutation_control(emotions, emotions, sorted(people))
    >>> 0.15 < found["uar"] < 0.35, found["p_value"] < 0.01
    (True, True)
    """
    _, labels = np.unique(np.asarray(true), return_inverse=True)
    verdicts = np.searchsorted(np.unique(np.asarray(true)), np.asarray(predicted))
    # A verdict that is nobody's label is never right.
    verdicts = np.where(np.isin(predicted, true), verdicts, -1)
    support = np.bincount(labels)
    share = 1 / (support * len(support))
    _, person = np.unique(np.asarray(actors), return_inverse=True)
    order = np.argsort(person, kind="stable")
    labels, verdicts, person = labels[order], verdicts[order], person[order]
    real = share[labels[labels == verdicts]].sum()
    rng = np.random.default_rng(seed)
    scores = np.empty(n_permutations)
    step = max(1, _KEYS_AT_ONCE // len(labels))
    for first in range(0, n_permutations, step):
        size = (min(step, n_permutations - first), len(labels))
        # Sorting by actor and then by chance leaves everybody in place and shuffles their clips.
        shuffled = labels[np.argsort(person + rng.random(size), axis=1)]
        scores[first : first + size[0]] = np.where(shuffled == verdicts, share[shuffled], 0).sum(1)
    as_good = int((scores >= real - 1e-12).sum())
    return {
        "uar": float(scores.mean()),
        "high": float(np.quantile(scores, 0.95)),
        "p_value": (1 + as_good) / (1 + n_permutations),
        "permutations": n_permutations,
    }
