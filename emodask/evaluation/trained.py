"""How networks were trained in the folds, as ``metrics.json`` holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def trained(folds: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What ``metrics.json`` says of the training of a network; nothing of other models.

    Parameters
    ----------
    folds : sequence of (str, mapping)
        Name of each fold, and how training went there: ``parameters``, ``epochs``, ``best_epoch``
        and ``history``.

    Examples
    --------
    >>> went = {"parameters": 9, "epochs": 1, "best_epoch": 1, "history": [{"epoch": 1}]}
    >>> trained([("actor-01", went)])["training"]["parameters"]
    9
    >>> trained([("actor-01", {})])
    {}
    """
    found = [(fold, went) for fold, went in folds if went]
    if not found:
        return {}
    return {
        "training": {
            "parameters": max(went["parameters"] for _, went in found),
            "folds": [
                {"fold": fold, **{key: went[key] for key in ("epochs", "best_epoch", "history")}}
                for fold, went in found
            ],
        }
    }
