"""The first pass: count, mean, squared norm and Gram matrices of centred data, without centring it.

Each chunk is centred at a mean of its own; two chunks' sums are moved to their common mean before
they are added, the rule of Chan, Golub & LeVeque ("Algorithms for Computing the Sample Variance",
The American Statistician 37, 1983) extended from variances to Gram matrices. So one pass gives what
a pass for the mean and one over the centred data would, with no cancellation of large sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError
from emodask.reduction.chunks import Floats, Rows, reduce_chunks, slabs
from emodask.reduction.unfolding import gram, square_norm

Matrices: TypeAlias = tuple[npt.NDArray[np.float64], ...]


@dataclass(frozen=True)
class Moments:
    """Sums over all rows seen, of the numbers minus ``centre``.

    Attributes
    ----------
    count : int
        How many numbers.
    centre : float
        What was subtracted from each.
    total, square : float
        Their sum and the sum of their squares.
    grams : tuple of ndarray of float64, (d, d)
        For each mode, the Gram matrix of the unfolding.
    sums : tuple of ndarray of float64, (d,)
        For each mode, the row sums of the unfolding; empty where nothing is to be centred.
    """

    count: int
    centre: float
    total: float
    square: float
    grams: Matrices
    sums: Matrices

    @property
    def mean(self) -> float:
        """Mean of the numbers."""
        return self.centre + self.total / self.count

    @property
    def deviation(self) -> float:
        """Population standard deviation of the numbers."""
        return float(np.sqrt(max(0.0, self.moved(self.mean).square) / self.count))

    def moved(self, centre: float) -> Moments:
        """Give the same sums about another centre.

        With ``delta`` the move, ``s`` the row sums and ``c`` the columns of an unfolding, the Gram
        matrix becomes ``G - delta (s 1' + 1 s') + delta² c 1 1'``.
        """
        delta = centre - self.centre
        columns = [self.count / len(s) for s in self.sums]
        return replace(
            self,
            centre=centre,
            total=self.total - delta * self.count,
            square=self.square - delta * (2 * self.total - delta * self.count),
            grams=tuple(
                g - delta * np.add.outer(s, s) + delta**2 * c
                for g, s, c in zip(self.grams, self.sums, columns, strict=True)
            ),
            sums=tuple(s - delta * c for s, c in zip(self.sums, columns, strict=True)),
        )


def moments(X: Rows, modes: tuple[int, ...] = (), centred: bool = False) -> Moments:
    """Moments of all numbers of ``X`` in one pass: about their mean, or about 0.

    Parameters
    ----------
    X : NumPy or dask array, (n, d1, ..., dk)
        As :func:`~emodask.reduction.chunks.as_rows` gives it.
    modes : tuple of int
        Axes to give Gram matrices for.
    centred : bool
        Whether the moments are about the mean (else about 0).

    Raises
    ------
    EvaluationError
        If there are no rows, or one holds NaN or infinite values.

    Examples
    --------
    >>> found = moments(np.array([[1.0, 2.0], [3.0, 6.0]]), centred=True)
    >>> found.mean, found.square
    (3.0, 14.0)
    """
    if not centred:
        return reduce_chunks(X, _plain, _added, modes)
    found = reduce_chunks(X, _centred, _merged, modes)
    return found.moved(found.mean)


def _plain(chunk: npt.NDArray[Any], first: int, modes: tuple[int, ...]) -> Moments:
    square = 0.0
    grams = [np.zeros((chunk.shape[mode],) * 2) for mode in modes]
    for start, slab in slabs(chunk):
        square += _finite_square(slab, first + start)
        for total, mode in zip(grams, modes, strict=True):
            total += gram(slab, mode)
    return Moments(chunk.size, 0.0, 0.0, square, tuple(grams), ())


def _centred(chunk: npt.NDArray[Any], first: int, modes: tuple[int, ...]) -> Moments:
    centre: np.floating[Any] | None = None
    total = square = 0.0
    grams = [np.zeros((chunk.shape[mode],) * 2) for mode in modes]
    sums = [np.zeros(chunk.shape[mode]) for mode in modes]
    for start, slab in slabs(chunk):
        _finite_square(slab, first + start)
        if centre is None:
            centre = slab.dtype.type(slab.mean(dtype=np.float64))
        leading = slab.sum(axis=tuple(range(2, slab.ndim)), dtype=np.float64)
        trailing = slab.reshape(-1, *slab.shape[2:]).sum(axis=0, dtype=np.float64)
        total += float(leading.sum()) - float(centre) * slab.size
        slab = slab - centre
        square += square_norm(slab)
        for index, mode in enumerate(modes):
            grams[index] += gram(slab, mode)
            others = tuple(axis for axis in range(trailing.ndim) if axis != mode - 2)
            row_sums = leading.sum(axis=0) if mode == 1 else trailing.sum(axis=others)
            sums[index] += row_sums - float(centre) * (slab.size // slab.shape[mode])
    assert centre is not None
    return Moments(chunk.size, float(centre), total, square, tuple(grams), tuple(sums))


def _added(left: Moments, right: Moments) -> Moments:
    return replace(
        left,
        count=left.count + right.count,
        total=left.total + right.total,
        square=left.square + right.square,
        grams=tuple(a + b for a, b in zip(left.grams, right.grams, strict=True)),
        sums=tuple(a + b for a, b in zip(left.sums, right.sums, strict=True)),
    )


def _merged(left: Moments, right: Moments) -> Moments:
    share = right.count / (left.count + right.count)
    mean = left.mean + (right.mean - left.mean) * share
    return _added(left.moved(mean), right.moved(mean))


def _finite_square(slab: Floats, first: int) -> float:
    """Squared norm of a slab; a norm that is not finite shows a row that is not."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = square_norm(slab)
    if np.isfinite(square):
        return square
    rows = slab.reshape(len(slab), -1)
    for what, bad in (("NaN", np.isnan(rows)), ("infinite values", np.isinf(rows))):
        if bad.any():
            row = first + int(np.flatnonzero(bad.any(axis=1))[0])
            raise EvaluationError(f"row {row} holds {what}; leave such clips out before fitting")
    row = first + int(np.abs(rows).max(axis=1).argmax())
    raise EvaluationError(f"row {row} holds numbers too large to square in {slab.dtype}")
