"""The mistakes that a model was surest of: the first clips to look at and listen to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import emotion_name

MOST = 20


def confident_mistakes(
    clip_ids: Sequence[str] | npt.NDArray[Any],
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    actors: npt.ArrayLike,
    probability: npt.ArrayLike,
    classes: Sequence[int],
    most: int = MOST,
) -> list[dict[str, Any]]:
    """The wrong verdicts of the highest probability, surest first.

    Parameters
    ----------
    clip_ids : sequence of n str
    true, predicted, actors : (n,) int arrays
        RAVDESS emotion codes, and actor codes.
    probability : (n, k) float array
        What the model gave each emotion.
    classes : sequence of k int
        Emotion codes of its columns.
    most : int
        How many to give.

    Returns
    -------
    list of dict
        ``clip_id``, ``actor``, the names ``true`` and ``predicted``, ``probability`` of the
        verdict and ``true_probability`` of the truth.

    Examples
    --------
    >>> true, predicted, chances = [3, 5, 3], [3, 3, 5], [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]
    >>> found = confident_mistakes("abc", true, predicted, [1, 1, 2], chances, [3, 5])
    >>> [(m["clip_id"], m["predicted"], m["true"], m["probability"]) for m in found]
    [('b', 'happy', 'angry', 0.8), ('c', 'angry', 'happy', 0.6)]
    """
    truth, verdict = np.asarray(true), np.asarray(predicted)
    people, chances = np.asarray(actors), np.asarray(probability, dtype=np.float64)
    column = {int(code): place for place, code in enumerate(classes)}
    wrong = np.flatnonzero(truth != verdict)
    sure = np.array([chances[i, column[int(verdict[i])]] for i in wrong])
    # Ties by name: the same predictions give the same list, in whatever order they come.
    ranked = sorted(range(len(wrong)), key=lambda r: (-sure[r], str(clip_ids[int(wrong[r])])))[
        :most
    ]
    return [
        {
            "clip_id": str(clip_ids[i]),
            "actor": int(people[i]),
            "true": emotion_name(int(truth[i])),
            "predicted": emotion_name(int(verdict[i])),
            "probability": round(float(sure[r]), 6),
            "true_probability": round(float(chances[i, column[int(truth[i])]]), 6),
        }
        for r, i in ((r, int(wrong[r])) for r in ranked)
    ]
