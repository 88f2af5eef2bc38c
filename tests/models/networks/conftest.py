"""Rows of numbers that networks can learn from in a few epochs."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest

from emodask import networks


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
