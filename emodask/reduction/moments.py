"""The first pass: count, mean, squared norm and Gram matrices of centred data, without centring it.

Each chunk is centred at a mean of its own; two chunks' sums are moved to their common mean before
they are added, the rule of Chan, Golub & LeVeque ("Algorithms for Computing the Sample Variance",
The American Statistician 37, 1983) extended from variances to Gram matrices. So one pass gives what
a pass for the mean and one over the centred data would, with no cancellation of large sums.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError
from emodask.reduction.chunks import Floats, Groups, Rows, reduce_chunks, slabs_by_group
from emodask.reduction.subsets import Subsets
from emodask.reduction.unfolding import gram, square_norm

Matrices: TypeAlias = tuple[npt.NDArray[np.float64], ...]
ByGroup: TypeAlias = "dict[int, Moments]"


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
    X : NumPy array, dask array or ChunkedRows, (n, d1, ..., dk)
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
    return moments_of_subsets(X, Subsets.whole(X.shape[0]), modes, centred)[0]


def moments_of_subsets(
    X: Rows, subsets: Subsets, modes: tuple[int, ...] = (), centred: bool = False
) -> list[Moments]:
    """Moments of several subsets of the rows of ``X`` in one pass.

    Rows that belong to the same subsets are summed once; a subset's moments are put together from
    those sums.

    Parameters
    ----------
    X, modes, centred
        See :func:`moments`.
    subsets : Subsets

    Returns
    -------
    list of Moments
        One for each subset.

    Raises
    ------
    EvaluationError
        If a subset has no rows, or one holds NaN or infinite values.

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [6.0]])
    >>> folds = Subsets.of(3, [[0, 1], [1, 2]])
    >>> [found.mean for found in moments_of_subsets(X, folds, centred=True)]
    [1.5, 4.0]
    """
    subsets.check_none_is_empty()
    merge = _merged if centred else _added
    one = _centred if centred else _plain
    by_group = reduce_chunks(
        X,
        functools.partial(_chunk, one=one),
        functools.partial(_merged_groups, merge=merge),
        modes,
        subsets.groups,
    )
    found = [
        functools.reduce(merge, (by_group[group] for group in subsets.groups_of(index)))
        for index in range(len(subsets))
    ]
    return [each.moved(each.mean) for each in found] if centred else found


def _merged_groups(
    left: ByGroup, right: ByGroup, merge: Callable[[Moments, Moments], Moments]
) -> ByGroup:
    both = {group: merge(left[group], right[group]) for group in left.keys() & right.keys()}
    return left | right | both


def _chunk(
    chunk: npt.NDArray[Any],
    first: int,
    groups: Groups | None,
    modes: tuple[int, ...],
    one: Callable[[Floats, npt.NDArray[np.intp], tuple[int, ...], float | None], Moments],
) -> ByGroup:
    found: ByGroup = {}
    for group, rows, slab in slabs_by_group(chunk, first, groups):
        known = found.get(group)
        of_slab = one(slab, rows, modes, known.centre if known else None)
        found[group] = _added(known, of_slab) if known else of_slab
    return found


def _plain(
    slab: Floats, rows: npt.NDArray[np.intp], modes: tuple[int, ...], _: float | None
) -> Moments:
    square = _finite_square(slab, rows)
    return Moments(slab.size, 0.0, 0.0, square, tuple(gram(slab, mode) for mode in modes), ())


def _centred(
    slab: Floats, rows: npt.NDArray[np.intp], modes: tuple[int, ...], centre: float | None
) -> Moments:
    """Moments about a centre in the slab's own type, by default the nearest to its mean."""
    _finite_square(slab, rows)
    leading = slab.sum(axis=tuple(range(2, slab.ndim)), dtype=np.float64)
    trailing = slab.reshape(-1, *slab.shape[2:]).sum(axis=0, dtype=np.float64)
    if centre is None:
        centre = float(slab.dtype.type(leading.sum() / slab.size))
    sums = []
    for mode in modes:
        others = tuple(axis for axis in range(trailing.ndim) if axis != mode - 2)
        row_sums = leading.sum(axis=0) if mode == 1 else trailing.sum(axis=others)
        sums.append(row_sums - centre * (slab.size // slab.shape[mode]))
    total = float(leading.sum()) - centre * slab.size
    slab = slab - slab.dtype.type(centre)
    grams = tuple(gram(slab, mode) for mode in modes)
    return Moments(slab.size, centre, total, square_norm(slab), grams, tuple(sums))


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


def _finite_square(slab: Floats, numbers: npt.NDArray[np.intp]) -> float:
    """Squared norm of a slab; a norm that is not finite shows a row that is not."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = square_norm(slab)
    if np.isfinite(square):
        return square
    rows = slab.reshape(len(slab), -1)
    for what, bad in (("NaN", np.isnan(rows)), ("infinite values", np.isinf(rows))):
        if bad.any():
            row = numbers[np.flatnonzero(bad.any(axis=1))[0]]
            raise EvaluationError(f"row {row} holds {what}; leave such clips out before fitting")
    row = numbers[np.abs(rows).max(axis=1).argmax()]
    raise EvaluationError(f"row {row} holds numbers too large to square in {slab.dtype}")
