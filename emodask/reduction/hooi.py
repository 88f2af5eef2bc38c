"""Higher-order orthogonal iteration from chunk-wise Gram matrices: the fit behind PartialTucker.

De Lathauwer, De Moor & Vandewalle, "On the Best Rank-1 and Rank-(R1, R2, ..., RN) Approximation of
Higher-Order Tensors", SIAM J. Matrix Anal. Appl. 21 (2000). A factor is the leading eigenvectors of
the Gram matrix of the data projected on the other factors, and Gram matrices add up over rows.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emodask.reduction.chunks import (
    Floats,
    Groups,
    Rows,
    reduce_chunks,
    slabs_by_group,
    working_dtype,
)
from emodask.reduction.moments import Matrices, Moments
from emodask.reduction.subsets import Subsets
from emodask.reduction.unfolding import by_reduction, gram, mode_product, project

Factors: TypeAlias = tuple[npt.NDArray[np.float64], ...]

_GROWTH = 2
"""Times a slab's memory that its products with several subsets' factors may take at once."""


@dataclass(frozen=True)
class Decomposition:
    """Orthonormal factors, one (d, r) for each mode; their relative error; sweeps it took.

    ``spectra`` are the eigenvalues of each mode's Gram matrix, the largest first, as shares of
    their sum: of the first pass, so of the whole data; empty where that is not known any more.
    """

    factors: Factors
    error: float
    n_iter: int
    spectra: tuple[npt.NDArray[np.float64], ...] = ()


@dataclass(frozen=True)
class Projection:
    """Settings of one pass: what to subtract, and the factors to project on, by mode."""

    centre: float
    factors: dict[int, Floats]

    @functools.cached_property
    def column_sums(self) -> dict[int, Floats]:
        """Of each factor: what it projects a constant on."""
        return {mode: factor.sum(axis=0) for mode, factor in self.factors.items()}


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
    first_passes: Sequence[Moments],
    subsets: Subsets,
    modes: tuple[int, ...],
    ranks: tuple[int, ...],
    tol: float,
    n_iter_max: int,
) -> list[Decomposition]:
    """Best approximation of each subset of rows by orthonormal factors of its own on ``modes``.

    What is approximated is the rows minus the centre of their moments. The subsets share passes:
    each reads ``X`` once and measures the present factors of all subsets that have not settled.

    Parameters
    ----------
    X : NumPy array, dask array or ChunkedRows, (n, d1, ..., dk)
    first_passes : sequence of Moments
        Of each subset, with the Gram matrices of ``modes``.
    subsets : Subsets
    modes, ranks : tuple of int
        Axes to reduce and what to.
    tol : float
        Stop when the relative error changes by less, or by no more than rounding can.
    n_iter_max : int
        Most sweeps after the start.

    Returns
    -------
    list of Decomposition

    Examples
    --------
    >>> from emodask.reduction.moments import moments
    >>> X = np.einsum("i,j,k->ijk", *(np.arange(1.0, n) for n in (5, 4, 6)))
    >>> all_rows = Subsets.whole(len(X))
    >>> found, = decompose(X, [moments(X, (1, 2))], all_rows, (1, 2), (1, 1), 1e-4, 100)
    >>> found.error < 1e-6, [f.shape for f in found.factors]
    (True, [(3, 1), (5, 1)])
    """
    dtype = working_dtype(X.dtype)
    rounding = 4 * float(np.finfo(dtype).eps)
    fits = [_iterations(first, ranks, tol, n_iter_max, rounding) for first in first_passes]
    measured = {index: next(fit) for index, fit in enumerate(fits)}
    found: dict[int, Decomposition] = {}
    while measured:
        projections = {
            index: Projection(
                first_passes[index].centre,
                {m: f.astype(dtype) for m, f in zip(modes, factors, strict=True)},
            )
            for index, factors in measured.items()
        }
        sweeps = reduce_chunks(
            X, _sweep_chunk, _added, (projections, subsets.members), subsets.groups
        )
        for index in list(measured):
            try:
                measured[index] = fits[index].send(sweeps[index])
            except StopIteration as end:
                found[index] = end.value
                del measured[index]
    return [found[index] for index in range(len(fits))]


def _iterations(
    first_pass: Moments, ranks: tuple[int, ...], tol: float, n_iter_max: int, rounding: float
) -> Generator[Factors, Sweep, Decomposition]:
    """The iteration of one subset: yields factors to measure, is sent the sweep that did.

    The start is the truncated higher-order SVD. A sweep measures the present factors and gives
    every mode's next one (all updated at once). Where that raises the error, the sweep is made
    again mode by mode, which cannot.
    """

    def updated(sweep: Sweep) -> Factors:
        return tuple(leading(g, r) for g, r in zip(sweep.grams, ranks, strict=True))

    def error_of(sweep: Sweep) -> float:
        return _relative_error(first_pass.square, sweep.core_square)

    factors = tuple(leading(g, r) for g, r in zip(first_pass.grams, ranks, strict=True))
    sweep = yield factors
    error = error_of(sweep)
    n_iter = 0
    while n_iter < n_iter_max:
        n_iter += 1
        update = updated(sweep)
        next_sweep = yield update
        if error_of(next_sweep) ** 2 > error**2 + rounding:
            update = factors
            for index, rank in enumerate(ranks):
                grams = ((yield update) if index else sweep).grams
                factor = leading(grams[index], rank)
                update = (*update[:index], factor, *update[index + 1 :])
            next_sweep = yield update
        next_error = error_of(next_sweep)
        settled = abs(error - next_error) < tol or abs(error**2 - next_error**2) <= rounding
        if next_error <= error:
            factors, sweep, error = update, next_sweep, next_error
        if settled:
            break
    return Decomposition(factors, error, n_iter, tuple(map(spectrum, first_pass.grams)))


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


def spectrum(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Eigenvalues of a Gram matrix, the largest first, as shares of their sum.

    Examples
    --------
    >>> spectrum(np.diag([1.0, 3.0, 0.0]))
    array([0.75, 0.25, 0.  ])
    """
    values = np.maximum(np.linalg.eigvalsh(matrix)[::-1], 0.0)
    total = values.sum()
    shares: npt.NDArray[np.float64] = values / total if total > 0 else values
    return shares


def _relative_error(square: float, core_square: float) -> float:
    return float(np.sqrt(max(0.0, square - core_square) / square)) if square > 0 else 0.0


def _added(left: dict[int, Sweep], right: dict[int, Sweep]) -> dict[int, Sweep]:
    both = {index: left[index] + right[index] for index in left.keys() & right.keys()}
    return left | right | both


def _sweep_chunk(
    chunk: npt.NDArray[Any],
    first: int,
    groups: Groups | None,
    wanted: tuple[dict[int, Projection], npt.NDArray[np.bool_]],
) -> dict[int, Sweep]:
    projections, members = wanted
    centre = next(iter(projections.values())).centre
    found: dict[int, Sweep] = {}
    for group, _, slab in slabs_by_group(chunk, first, groups):
        inside = [index for index in projections if members[group, index]]
        # Subtracted once for all subsets; what their own centres differ by is left to the sweeps.
        centred = slab - slab.dtype.type(centre) if centre and inside else slab
        for some in _few_at_a_time(inside, projections):
            sweeps = _sweep_slab(centred, [projections[index] for index in some], centre)
            found = _added(found, dict(zip(some, sweeps, strict=True)))
    return found


def _few_at_a_time(
    inside: list[int], projections: dict[int, Projection]
) -> Iterator[tuple[int, ...]]:
    """Subsets whose products with a slab take no more than ``_GROWTH`` times its memory."""
    if not inside:
        return
    factors = projections[inside[0]].factors
    strongest = [factors[mode] for mode in by_reduction(factors)[:2]]
    few = max(1, min(_GROWTH * len(factor) // factor.shape[1] for factor in strongest))
    for start in range(0, len(inside), few):
        yield tuple(inside[start : start + few])


def _sweep_slab(slab: Floats, projections: list[Projection], subtracted: float) -> list[Sweep]:
    """Sums of one slab of which ``subtracted`` has been subtracted, for each projection.

    For a mode, the plain formula is ``gram(project(slab, all other factors), mode)``. One product
    with the strongest factor serves all other modes, and so on down the order; so two products
    have the whole slab as an operand, and those are made for all projections at once.

    The rest of a projection's centre is subtracted from projected tensors, far smaller ones: a
    constant tensor's projection is the outer product of the factors' column sums.
    """
    order = by_reduction(projections[0].factors)
    products = {
        mode: _products(slab, [p.factors[mode] for p in projections], mode) for mode in order[:2]
    }
    sweeps = []
    for index, projection in enumerate(projections):
        factors, rest = projection.factors, projection.centre - subtracted
        grams = {}
        partial = slab
        for place, mode in enumerate(order):
            others = {m: factors[m] for m in order[place + 1 :]}
            if place == 0 and others:
                del others[order[1]]
                projected = project(products[order[1]][index], others)
            else:
                projected = project(partial, others)
            grams[mode] = gram(_less_constant(projected, projection, rest, skip=mode), mode)
            partial = mode_product(partial, factors[mode], mode) if place else products[mode][index]
        core = _less_constant(partial, projection, rest)
        square = float(np.square(core, dtype=np.float64).sum())
        sweeps.append(Sweep(square, tuple(grams[mode] for mode in factors)))
    return sweeps


def _products(tensor: Floats, factors: Sequence[Floats], mode: int) -> list[Floats]:
    """Products with several factors along one axis, as one."""
    if len(factors) == 1:
        return [mode_product(tensor, factors[0], mode)]
    together = mode_product(tensor, np.concatenate(factors, axis=1), mode)
    cuts = np.cumsum([factor.shape[1] for factor in factors])[:-1]
    return [np.ascontiguousarray(part) for part in np.split(together, cuts, axis=mode)]


def _less_constant(
    projected: Floats, projection: Projection, constant: float, skip: int | None = None
) -> Floats:
    """Subtract the projection of a constant tensor on all factors but one."""
    if not constant:
        return projected
    image, shape = np.array(constant), [1] * projected.ndim
    for mode in sorted(projection.factors):
        if mode != skip:
            image = np.multiply.outer(image, projection.column_sums[mode])
            shape[mode] = projected.shape[mode]
    less: Floats = projected - image.astype(projected.dtype).reshape(shape)
    return less
