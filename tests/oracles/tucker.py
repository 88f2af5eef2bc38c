"""Partial Tucker as tensorly computes it, and how two sets of factors compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import subspace_angles
from tensorly.decomposition import partial_tucker


def reference_tucker(
    X: np.ndarray, ranks: Sequence[int], modes: Sequence[int], tol: float, n_iter_max: int = 500
) -> tuple[list[np.ndarray], float]:
    """Factors and relative error of tensorly's HOOI, started from the higher-order SVD.

    It is called with ascending modes, the only order in which it skips the right one.
    """
    order = sorted(range(len(modes)), key=lambda i: modes[i])
    (core, ascending), _ = partial_tucker(
        X,
        [ranks[i] for i in order],
        modes=[modes[i] for i in order],
        init="svd",
        tol=tol,
        n_iter_max=n_iter_max,
    )
    factors = [ascending[order.index(i)] for i in range(len(modes))]
    reconstructed = core
    for factor, mode in zip(factors, modes, strict=True):
        product = np.tensordot(reconstructed, factor, axes=(mode, 1))
        reconstructed = np.moveaxis(product, -1, mode)
    return factors, float(np.linalg.norm(X - reconstructed) / np.linalg.norm(X))


def largest_angle(a: np.ndarray, b: np.ndarray) -> float:
    """Largest principal angle in radians between the subspaces two factors span."""
    return float(np.max(subspace_angles(a, b)))
