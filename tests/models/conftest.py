"""A little numbers that several tests of models share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from emodask.job import Job, parse_job
from tests.conftest import SMALL


@dataclass(frozen=True, eq=False)
class Reduced:
    """Reduced features of clips: ``spline`` tells emotions below 5 apart, ``hog3d`` those above."""

    matrices: dict[str, np.ndarray]
    labels: np.ndarray
    actors: np.ndarray

    def of(self, rows: np.ndarray) -> Reduced:
        """Some of the clips."""
        matrices = {name: matrix[rows] for name, matrix in self.matrices.items()}
        return replace(self, matrices=matrices, labels=self.labels[rows], actors=self.actors[rows])

    def __iter__(self) -> Any:
        """As ``fit_model`` takes them."""
        return iter((self.matrices, self.labels, self.actors))


@pytest.fixture(scope="session")
def reduced() -> Reduced:
    """Clips of six actors, two of each emotion, as reduced features."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(1, 9), 12)
    centres = 3 * np.eye(8)[labels - 1]

    def only(known: np.ndarray) -> np.ndarray:
        noise = rng.normal(size=(96, 8))
        return (noise + centres * known[:, None]).astype(np.float32)

    matrices = {"hog3d": only(labels > 4), "spline": only(labels <= 4)}
    return Reduced(matrices, labels, np.repeat(np.arange(1, 7), 16))


def job_of(**models: dict[str, Any]) -> Job:
    """The small job with other models."""
    return parse_job({**SMALL, "models": models}, "job.toml")
