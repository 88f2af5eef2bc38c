"""Partial Tucker decomposition as a scikit-learn transformer that never needs the whole array."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from emodask.errors import UsageError
from emodask.reduction.chunks import Floats, as_rows, map_rows, working_dtype
from emodask.reduction.hooi import Decomposition, decompose
from emodask.reduction.moments import moments
from emodask.reduction.subsets import Subsets
from emodask.reduction.unfolding import project


class PartialTucker(TransformerMixin, BaseEstimator):
    """Reduce some axes of tensors to few components each (Tucker decomposition, fitted by HOOI).

    Gives the subspaces and the error of ``tensorly.decomposition.partial_tucker`` with
    ``init="svd"``, from one pass over the chunks for the start and one for each sweep; beyond the
    input it needs memory for a chunk's intermediate products alone.

    Parameters
    ----------
    ranks : sequence of int
        Components to keep on each mode.
    modes : sequence of int
        Axes of the input to reduce, from 1 on: axis 0, the clips, is never reduced.
    tol : float
        Stop when a sweep changes the relative error by less, or by no more than rounding can.
    n_iter_max : int
        Most sweeps after the start; 0 keeps the truncated higher-order SVD.

    Attributes
    ----------
    factors_ : list of ndarray of float64, (d, rank)
        Orthonormal columns, one matrix for each mode; in each column the entry of largest
        absolute value is positive.
    reconstruction_error_ : float
        ``sqrt(||X||² - ||core||²) / ||X||`` of the fitted rows, in Frobenius norms.
    n_iter_ : int
        Sweeps made after the start.
    spectra_ : list of ndarray of float64, (d,)
        For each mode, the eigenvalues of the fitted rows' Gram matrix, the largest first, as
        shares of their sum: what is left of it from rank r on is the squared relative error of
        cutting that mode alone to r. Empty in a reduction that was read back.
    feature_shape_, core_shape_ : tuple of int
        Shape of one row, ``X.shape[1:]``, and of its core array.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6, 5)).astype(np.float32)
    >>> tucker = PartialTucker(ranks=[2, 3], modes=[1, 2]).fit(X)
    >>> tucker.transform(X).shape, tucker.inverse_transform(tucker.transform(X)).shape
    ((20, 2, 3), (20, 6, 5))
    """

    def __init__(
        self,
        ranks: Sequence[int],
        modes: Sequence[int],
        tol: float = 1e-4,
        n_iter_max: int = 100,
    ) -> None:
        self.ranks = ranks
        self.modes = modes
        self.tol = tol
        self.n_iter_max = n_iter_max

    def fit(self, X: Any, y: object = None) -> PartialTucker:
        """Find the factors.

        Parameters
        ----------
        X : NumPy or dask array, (n, d1, ..., dk)
            float16 and float32 are computed in float32 with sums in float64; other real types in
            float64.
            A dask array is read once in each pass, under the active scheduler.
        y : ignored

        Returns
        -------
        PartialTucker
            Itself.

        Raises
        ------
        UsageError
            If ranks and modes do not fit each other or the array.
        EvaluationError
            If there are no rows, or one holds NaN or infinite values.
        """
        X = as_rows(X)
        ranks, modes = checked_ranks(self.ranks, self.modes, X.shape)
        if not modes:
            raise UsageError("PartialTucker needs at least one mode to reduce, found none")
        first_pass = moments(X, modes)
        subsets = Subsets.whole(X.shape[0])
        (found,) = decompose(X, [first_pass], subsets, modes, ranks, self.tol, self.n_iter_max)
        return self.adopt(found, tuple(int(size) for size in X.shape[1:]))

    def adopt(self, found: Decomposition, feature_shape: tuple[int, ...]) -> PartialTucker:
        """Take a decomposition made already; returns itself."""
        self.factors_ = list(found.factors)
        self.reconstruction_error_ = found.error
        self.n_iter_ = found.n_iter
        self.spectra_ = list(found.spectra)
        self.feature_shape_ = feature_shape
        return self

    def transform(self, X: Any) -> Any:
        """Project on the factors: the core array.

        Parameters
        ----------
        X : NumPy or dask array, (n, d1, ..., dk)

        Returns
        -------
        NumPy or lazy dask array, (n, r1, ..., rk)
            float32 for float16 and float32, else float64; axes that are no modes keep their length.

        Raises
        ------
        UsageError
            If a row has another shape than those fitted.
        """
        check_is_fitted(self)
        X = checked_rows(X, self.feature_shape_)
        dtype = working_dtype(X.dtype)
        projection = functools.partial(project, factors=self.typed_factors(dtype))
        return map_rows(X, projection, self.core_shape_, dtype)

    def inverse_transform(self, X: Any) -> Any:
        """Reconstruct from core arrays, the best approximation that the factors allow.

        Parameters
        ----------
        X : NumPy or dask array, (n, r1, ..., rk)

        Returns
        -------
        NumPy or lazy dask array, (n, d1, ..., dk)

        Raises
        ------
        UsageError
            If a row has another shape than :meth:`transform` gives.
        """
        check_is_fitted(self)
        X = checked_rows(X, self.core_shape_)
        dtype = working_dtype(X.dtype)
        transposed = {mode: factor.T for mode, factor in self.typed_factors(dtype).items()}
        reconstruction = functools.partial(project, factors=transposed)
        return map_rows(X, reconstruction, self.feature_shape_, dtype)

    def typed_factors(self, dtype: np.dtype[Any]) -> dict[int, Floats]:
        """Factors by mode, in the type to compute in."""
        return {int(m): f.astype(dtype) for m, f in zip(self.modes, self.factors_, strict=True)}

    @property
    def core_shape_(self) -> tuple[int, ...]:
        """Shape of one row's core array."""
        check_is_fitted(self, "factors_")
        shape = list(self.feature_shape_)
        for mode, factor in zip(self.modes, self.factors_, strict=True):
            shape[mode - 1] = factor.shape[1]
        return tuple(shape)


def checked_ranks(
    ranks: Sequence[int] | None, modes: Sequence[int] | None, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ranks and modes as tuples, after checking them against an array's shape; None is empty.

    Raises
    ------
    UsageError
        If there are not as many ranks as modes, a mode is no axis beyond the first or comes
        twice, or a rank is not between 1 and its axis's length.

    Examples
    --------
    >>> checked_ranks([2, 3], [1, 2], (10, 4, 5))
    ((2, 3), (1, 2))
    """
    try:
        ranks = tuple(operator.index(rank) for rank in (ranks if ranks is not None else ()))
        modes = tuple(operator.index(mode) for mode in (modes if modes is not None else ()))
    except TypeError:
        raise UsageError(f"ranks {ranks} and modes {modes} must be lists of integers") from None
    if len(ranks) != len(modes):
        raise UsageError(f"ranks {ranks} and modes {modes} differ in number; give one rank a mode")
    if len(set(modes)) != len(modes):
        raise UsageError(f"modes {modes} name an axis twice")
    for rank, mode in zip(ranks, modes, strict=True):
        if not 1 <= mode < len(shape):
            raise UsageError(
                f"mode {mode} cannot be reduced in an array of shape {shape}: modes are axes "
                f"1 to {len(shape) - 1}; axis 0, the clips, stays"
            )
        if not 1 <= rank <= shape[mode]:
            raise UsageError(
                f"rank {rank} on mode {mode} must lie between 1 and the axis's length {shape[mode]}"
            )
    return ranks, modes


def checked_rows(X: Any, row_shape: tuple[int, ...]) -> Any:
    """``X`` as :func:`~emodask.reduction.chunks.as_rows` gives it, its rows of the given shape.

    Raises
    ------
    UsageError
        If the rows have another shape.

    Examples
    --------
    >>> checked_rows(np.zeros((2, 3)), (3,)).shape
    (2, 3)
    """
    X = as_rows(X)
    if tuple(X.shape[1:]) != tuple(row_shape):
        raise UsageError(f"rows have shape {tuple(X.shape[1:])}, expected {tuple(row_shape)}")
    return X
