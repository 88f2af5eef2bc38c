"""Plain reference: bootstrap over actors that repeats the clips and asks scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt


def bootstrap_interval(
    true: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    actors: npt.NDArray[np.int64],
    metric: Callable[..., Any],
    seed: int,
    n_draws: int,
) -> list[float]:
    """2.5 and 97.5 percentiles of a metric of the clips of actors drawn with replacement."""
    present = np.unique(actors)
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(n_draws):
        times = rng.multinomial(len(present), np.full(len(present), 1 / len(present)))
        rows = np.concatenate(
            [np.tile(np.flatnonzero(actors == a), t) for a, t in zip(present, times, strict=True)]
        )
        scores.append(metric(true[rows], predicted[rows]))
    return [float(q) for q in np.percentile(scores, [2.5, 97.5])]
