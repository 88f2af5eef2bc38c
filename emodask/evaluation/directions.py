"""Figures fold by fold, for protocols whose folds ask questions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emodask.evaluation.clips import Clips
from emodask.evaluation.folds import Prediction
from emodask.evaluation.metrics import summarise
from emodask.evaluation.results import interval_text, percent


def by_fold(
    clips: Clips, predictions: Sequence[Prediction], emotions: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """What a model reaches in each fold alone: ``n_clips``, UAR with its interval, accuracy, F1."""
    kept = ("uar", "uar_ci95", "accuracy", "macro_f1")
    found = {}
    for part in predictions:
        at = np.searchsorted(clips.rows, part.rows)
        figures = summarise(clips.emotion[at], part.predicted, clips.actor[at], emotions, seed)
        found[part.fold] = {"n_clips": len(at), **{key: figures[key] for key in kept}}
    return found


def fold_sentences(model: str, folds: dict[str, dict[str, Any]]) -> list[str]:
    """One line a fold, for the notes of a report.

    Examples
    --------
    >>> figures = {"n_clips": 14, "uar": 0.3, "uar_ci95": None, "accuracy": 0.25}
    >>> fold_sentences("mlp", {"test-tess": figures})
    ['mlp, test-tess: UAR 30.0 %, accuracy 25.0 %, 14 clips']
    """
    lines = []
    for fold, figures in folds.items():
        interval = interval_text(figures["uar_ci95"])
        lines.append(
            f"{model}, {fold}: UAR {percent(figures['uar'], ' %')}"
            + (f" [{interval}]" if interval else "")
            + f", accuracy {percent(figures['accuracy'], ' %')}, {figures['n_clips']} clips"
        )
    return lines
