"""Tensors with planted subspaces for the tests of reductions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


def planted_tensor(
    shape: tuple[int, ...],
    ranks: tuple[int, ...],
    modes: tuple[int, ...],
    noise: float,
    seed: int = 0,
) -> np.ndarray:
    """Tensor of low rank on ``modes`` with unit deviation, plus white noise; float64."""
    rng = np.random.default_rng(seed)
    core = list(shape)
    for rank, mode in zip(ranks, modes, strict=True):
        core[mode] = rank
    tensor = rng.normal(size=core)
    for rank, mode in zip(ranks, modes, strict=True):
        basis = np.linalg.qr(rng.normal(size=(shape[mode], rank)))[0]
        tensor = np.moveaxis(np.tensordot(tensor, basis, axes=(mode, 1)), -1, mode)
    return tensor / tensor.std() + noise * rng.normal(size=shape)


@pytest.fixture
def planted() -> Callable[..., np.ndarray]:
    """The function :func:`planted_tensor`."""
    return planted_tensor
