"""Higher-order orthogonal iteration from chunk-wise Gram matrices: the fit behind PartialTucker.

De Lathauwer, De Moor & Vandewalle, "On the Best Rank-1 and Rank-(R1, R2, ..., RN) Approximation of
Higher-Order Tensors", SIAM J. Matrix Anal. Appl. 21 (2000). A factor is the leading eigenvectors of
the Gram matrix of the data projected on the other factors, and Gram matrices add up over rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emodask.reduction.chunks import Floats, Rows, reduce_chunks, slabs, working_dtype
from emodask.reduction.moments import Matrices, Moments
from emodask.reduction.unfolding import gram, mode_product

Factors: TypeAlias = tuple[npt.NDArray[np.float64], ...]


@dataclass(frozen=True)
class Decomposition:
    """Orthonormal factors, one (d, r) for each mode; their relative error; sweeps it took."""

    factors: Factors
    error: float
    n_iter: int


@dataclass(frozen=True)
class Projection:
    """Settings of one pass: what to subtract, and the factors to project on, by mode."""

    centre: float
    factors: dict[int, Floats]


@dataclass(frozen=True)
class Sweep:
    """Sums of one pass: the core's squared norm, and each mode's Gram matrix given the others."""

    core_square: float
    grams: Matrices

    def __add__(self, other: Sweep) -> Sweep:
        grams = tuple(a + b for a, b in zip(self.grams, other.grams, strict=True))
        return Sweep(self.core_square + other.core_square, grams)


def decompose(
    X: Rows,
    first_pass: Moments,
    modes: tuple[int, ...],
    ranks: tuple[int, ...],
    tol: float,
    n_iter_max: int,
) -> Decomposition:
    """Best approximation of ``X`` minus the moments' centre by orthonormal factors on ``modes``.

    The start is the truncated higher-order SVD. A sweep is one pass over the chunks that measures
    the present factors and gives every mode's next one (all updated at once). Where that raises
    the error, the sweep is made again mode by mode, which cannot.

    Parameters
    ----------
    X : NumPy or dask array, (n, d1, ..., dk)
    first_pass : Moments
        Of ``X``, with the Gram matrices of ``modes``.
    modes, ranks : tuple of int
        Axes to reduce and what to.
    tol : float
        Stop when the relative error changes by less, or by no more than rounding can.
    n_iter_max : int
        Most sweeps after the start.

    Returns
    -------
    Decomposition

    Examples
    --------
    >>> from emodask.reduction.moments import moments
    >>> X = np.einsum("i,j,k->ijk", *(np.arange(1.0, n) for n in (5, 4, 6)))
    >>> found = decompose(X, moments(X, (1, 2)), (1, 2), (1, 1), 1e-4, 100)
    >>> found.error < 1e-6, [f.shape for f in found.factors]
    (True, [(3, 1), (5, 1)])
    """
    dtype = working_dtype(X.dtype)
    rounding = 4 * float(np.finfo(dtype).eps)

    def measured(factors: Factors) -> tuple[Sweep, float]:
        typed = {m: f.astype(dtype) for m, f in zip(modes, factors, strict=True)}
        sweep = reduce_chunks(X, _sweep_chunk, Sweep.__add__, Projection(first_pass.centre, typed))
        return sweep, _relative_error(first_pass.square, sweep.core_square)

    factors = tuple(leading(g, r) for g, r in zip(first_pass.grams, ranks, strict=True))
    sweep, error = measured(factors)
    n_iter = 0
    while n_iter < n_iter_max:
        n_iter += 1
        update = tuple(leading(g, r) for g, r in zip(sweep.grams, ranks, strict=True))
        next_sweep, next_error = measured(update)
        if next_error**2 > error**2 + rounding:
            update = factors
            for index, rank in enumerate(ranks):
                grams = (measured(update)[0] if index else sweep).grams
                factor = leading(grams[index], rank)
                update = (*update[:index], factor, *update[index + 1 :])
            next_sweep, next_error = measured(update)
        settled = abs(error - next_error) < tol or abs(error**2 - next_error**2) <= rounding
        if next_error <= error:
            factors, sweep, error = update, next_sweep, next_error
        if settled:
            break
    return Decomposition(factors, error, n_iter)


def leading(matrix: npt.NDArray[np.float64], rank: int) -> npt.NDArray[np.float64]:
    """Eigenvectors of the ``rank`` largest eigenvalues, the largest first, signs fixed.

    Each column's entry of largest absolute value is positive.

    Examples
    --------
    >>> leading(np.diag([1.0, 3.0, 2.0]), 2)
    array([[0., 0.],
           [1., 0.],
           [0., 1.]])
    """
    vectors = np.linalg.eigh(matrix)[1][:, : -rank - 1 : -1]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(rank)]
    signed: npt.NDArray[np.float64] = vectors * np.where(largest < 0, -1.0, 1.0) + 0.0
    return signed


def by_reduction(factors: dict[int, Floats]) -> list[int]:
    """Modes ordered by how much their factors reduce, the most first.

    Examples
    --------
    >>> by_reduction({1: np.ones((4, 2)), 2: np.ones((9, 1))})
    [2, 1]
    """
    return sorted(factors, key=lambda mode: factors[mode].shape[1] / factors[mode].shape[0])


def project(tensor: Floats, factors: dict[int, Floats]) -> Floats:
    """Multiply by all factors (d, r), the strongest reduction first.

    Examples
    --------
    >>> project(np.ones((5, 3, 4)), {1: np.ones((3, 2)), 2: np.ones((4, 1))}).shape
    (5, 2, 1)
    """
    for mode in by_reduction(factors):
        tensor = mode_product(tensor, factors[mode], mode)
    return tensor


def _relative_error(square: float, core_square: float) -> float:
    return float(np.sqrt(max(0.0, square - core_square) / square)) if square > 0 else 0.0


def _sweep_chunk(chunk: npt.NDArray[Any], first: int, projection: Projection) -> Sweep:
    factors = projection.factors
    grams = {mode: np.zeros((len(factor),) * 2) for mode, factor in factors.items()}
    core_square = 0.0
    for _, slab in slabs(chunk):
        partial = slab - slab.dtype.type(projection.centre) if projection.centre else slab
        # One product with the strongest factor serves all other modes, and so on down the order.
        remaining = dict.fromkeys(by_reduction(factors))
        while remaining:
            mode = next(iter(remaining))
            del remaining[mode]
            others = project(partial, {m: factors[m] for m in remaining})
            grams[mode] += gram(others, mode)
            partial = mode_product(partial, factors[mode], mode)
        core_square += float(np.square(partial, dtype=np.float64).sum())
    return Sweep(core_square, tuple(grams[mode] for mode in factors))
