"""Rows of numbers that networks can learn from in a few epochs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from emodask import networks
from emodask.job import Job, parse_job
from tests.conftest import SMALL


@pytest.fixture(autouse=True)
def _installed() -> None:
    """Skip where PyTorch is absent; fail in CI."""
    if not networks.installed():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(networks.ABSENT)


@dataclass(frozen=True, eq=False)
class Separable:
    """Rows around the centre of their class, of six actors."""

    X: np.ndarray
    y: np.ndarray
    actors: np.ndarray

    @classmethod
    def of(cls, *shape: int) -> Separable:
        """Ninety-six rows of a shape, of the codes 2, 3, 5 and 8."""
        rng = np.random.default_rng(0)
        y = np.tile([2, 3, 5, 8], 24)
        centres = rng.normal(size=(9, int(np.prod(shape))))
        X = centres[y] + rng.normal(size=(96, centres.shape[1]))
        return cls(X.astype(np.float32), y, np.repeat(np.arange(1, 7), 16))


TINY = {"epochs": 3, "learning_rate": 0.01, "device": "cpu"}
HEAD = {"kind": "dense-head", "parameters": {"hidden": [8], **TINY}}


def job_of(**models: dict[str, Any]) -> Job:
    """Models of a job whose features are reduced to 2 x 4 numbers of a voice, 2 x 3 of a face."""
    reductions = {
        "spline": {"dims": ["basis", "feature"], "ranks": [2, 4]},
        "hog3d": {"dims": ["cell_y", "cell_x", "cell_t", "bin", "angle"], "ranks": [2, 3, 1, 1, 1]},
    }
    return parse_job({**SMALL, "reductions": reductions, "models": models}, "job.toml")


@pytest.fixture(scope="session")
def clips() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Reduced features, emotions and actors of clips, as ``fit_model`` takes them."""
    voice, face = Separable.of(8), Separable.of(6)
    return {"spline": voice.X, "hog3d": face.X}, voice.y, voice.actors
