"""What an evaluation applies to one feature array: scaling, partial Tucker, flattening."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from emodask.errors import BundleError, UsageError
from emodask.reduction.chunks import Floats, as_rows, map_rows, working_dtype
from emodask.reduction.hooi import Decomposition, decompose
from emodask.reduction.moments import moments_of_subsets
from emodask.reduction.partial_tucker import PartialTucker, checked_ranks, checked_rows
from emodask.reduction.scaling import ScalarScaler
from emodask.reduction.subsets import Subsets
from emodask.reduction.unfolding import project


class TensorReducer(TransformerMixin, BaseEstimator):
    """Standardise by one mean and deviation, reduce by partial Tucker, flatten to a matrix.

    Equals :class:`ScalarScaler` followed by :class:`PartialTucker`, but neither copies the array
    nor spends a pass on the mean: the Gram matrices of centred data come from the same pass.

    Parameters
    ----------
    ranks, modes : sequence of int, or None
        As for :class:`PartialTucker`; None or empty: scale and flatten only.
    tol, n_iter_max
        As for :class:`PartialTucker`.
    centre : bool
        Whether the mean is taken away where there are no modes.

    Attributes
    ----------
    scaler_ : ScalarScaler
    tucker_ : PartialTucker or None
        Fitted on the scaled numbers; None without modes.
    feature_shape_ : tuple of int
        Shape of one row, ``X.shape[1:]``.
    n_components_ : int
        Columns of the transformed matrix.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(3, 2, size=(20, 6, 5)).astype(np.float32)
    >>> reducer = TensorReducer(ranks=[2, 3], modes=[1, 2]).fit(X)
    >>> reducer.transform(X).shape
    (20, 6)
    >>> again = TensorReducer.from_arrays(reducer.to_arrays())
    >>> bool((again.transform(X) == reducer.transform(X)).all())
    True
    """

    def __init__(
        self,
        ranks: Sequence[int] | None = None,
        modes: Sequence[int] | None = None,
        tol: float = 1e-4,
        n_iter_max: int = 100,
        centre: bool = True,
    ) -> None:
        self.ranks = ranks
        self.modes = modes
        self.tol = tol
        self.n_iter_max = n_iter_max
        self.centre = centre

    def fit(self, X: Any, y: object = None) -> TensorReducer:
        """Find mean, deviation and factors.

        Parameters
        ----------
        X : NumPy or dask array, (n, d1, ..., dk)
            Neither changed nor copied; a dask array is read once in each pass.
        y : ignored

        Returns
        -------
        TensorReducer
            Itself.

        Raises
        ------
        UsageError
            If ranks and modes do not fit each other or the array.
        EvaluationError
            If all numbers are equal, there are no rows, or one holds NaN or infinite values.
        """
        X = as_rows(X)
        return self._fit_each(X, Subsets.whole(X.shape[0]), [self])[0]

    def fit_subsets(
        self, X: Any, subsets: Sequence[Sequence[int] | npt.NDArray[np.intp]]
    ) -> list[TensorReducer]:
        """Fit one copy of this on each of several subsets of the rows, with shared passes.

        Each copy is what :meth:`fit` gives for its rows, but for rounding. The folds of a
        cross-validation cost as many reads of the array as one of them.

        Parameters
        ----------
        X : NumPy array, dask array or ChunkedRows, (n, d1, ..., dk)
        subsets : sequence of sequences of int
            Rows of each subset.

        Returns
        -------
        list of TensorReducer

        Raises
        ------
        UsageError, EvaluationError
            See :meth:`fit`; if any subset is at fault.

        Examples
        --------
        >>> X = np.random.default_rng(0).normal(size=(6, 4, 3))
        >>> folds = TensorReducer([2], [1]).fit_subsets(X, [[0, 1, 2, 3], [2, 3, 4, 5]])
        >>> alone = TensorReducer([2], [1]).fit(X[2:])
        >>> np.allclose(folds[1].transform(X), alone.transform(X))
        True
        """
        X = as_rows(X)
        copies = [clone(self) for _ in subsets]
        return self._fit_each(X, Subsets.of(X.shape[0], subsets), copies)

    def _fit_each(
        self, X: Any, subsets: Subsets, reducers: list[TensorReducer]
    ) -> list[TensorReducer]:
        ranks, modes = checked_ranks(self.ranks, self.modes, X.shape)
        first_passes = moments_of_subsets(X, subsets, modes, centred=True)
        for reducer, first_pass in zip(reducers, first_passes, strict=True):
            reducer.scaler_ = ScalarScaler().adopt(first_pass)
            reducer.feature_shape_ = tuple(int(size) for size in X.shape[1:])
            reducer.tucker_ = None
            if not (self.centre or modes):
                reducer.scaler_.mean_ = 0.0
        if modes:
            # Dividing by the deviation changes neither the factors nor the relative error.
            found = decompose(X, first_passes, subsets, modes, ranks, self.tol, self.n_iter_max)
            for reducer, decomposition in zip(reducers, found, strict=True):
                tucker = PartialTucker(ranks, modes, self.tol, self.n_iter_max)
                reducer.tucker_ = tucker.adopt(decomposition, reducer.feature_shape_)
        return reducers

    def transform(self, X: Any) -> Any:
        """Scale, project on the factors and flatten.

        Parameters
        ----------
        X : NumPy or dask array, (n, d1, ..., dk)

        Returns
        -------
        NumPy or lazy dask array of float32, (n, n_components_)

        Raises
        ------
        UsageError
            If a row has another shape than those fitted.
        """
        check_is_fitted(self)
        X = checked_rows(X, self.feature_shape_)
        factors = self.tucker_.typed_factors(working_dtype(X.dtype)) if self.tucker_ else {}
        reduction = functools.partial(_reduced, scaler=self.scaler_, factors=factors)
        return map_rows(X, reduction, (self.n_components_,), np.float32)

    @property
    def n_components_(self) -> int:
        """Columns of the transformed matrix."""
        check_is_fitted(self, "scaler_")
        return math.prod(self.tucker_.core_shape_ if self.tucker_ else self.feature_shape_)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything fitted, as plain arrays that need no pickle to store.

        Returns
        -------
        dict of str to ndarray
            ``mean``, ``deviation``, ``feature_shape``, ``ranks``, ``modes``, ``tol``,
            ``n_iter_max`` and, with modes, ``reconstruction_error``, ``n_iter``, ``factor_0``, ...
        """
        check_is_fitted(self)
        tucker = self.tucker_
        arrays = {
            "mean": np.array(self.scaler_.mean_, np.float64),
            "deviation": np.array(self.scaler_.deviation_, np.float64),
            "feature_shape": np.array(self.feature_shape_, np.int64),
            "ranks": np.array([f.shape[1] for f in tucker.factors_] if tucker else [], np.int64),
            "modes": np.array(tucker.modes if tucker else [], np.int64),
            "tol": np.array(self.tol, np.float64),
            "n_iter_max": np.array(self.n_iter_max, np.int64),
        }
        if tucker:
            arrays["reconstruction_error"] = np.array(tucker.reconstruction_error_, np.float64)
            arrays["n_iter"] = np.array(tucker.n_iter_, np.int64)
            arrays |= {f"factor_{i}": f.copy() for i, f in enumerate(tucker.factors_)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TensorReducer:
        """Rebuild a fitted reducer from :meth:`to_arrays`.

        Raises
        ------
        BundleError
            If an array is absent or contradicts the others.
        """
        try:
            ranks, modes, shape = (
                tuple(int(value) for value in arrays[name])
                for name in ("ranks", "modes", "feature_shape")
            )
            checked_ranks(ranks, modes, (1, *shape))
            reducer = cls(ranks, modes, float(arrays["tol"]), int(arrays["n_iter_max"]))
            reducer.scaler_ = ScalarScaler()
            reducer.scaler_.mean_ = _number_above(arrays, "mean", -np.inf)
            reducer.scaler_.deviation_ = _number_above(arrays, "deviation", 0.0)
            reducer.feature_shape_ = shape
            reducer.tucker_ = None
            if modes:
                factors = tuple(
                    _factor(arrays, f"factor_{i}", (shape[mode - 1], rank))
                    for i, (mode, rank) in enumerate(zip(modes, ranks, strict=True))
                )
                found = Decomposition(
                    factors, float(arrays["reconstruction_error"]), int(arrays["n_iter"])
                )
                tucker = PartialTucker(ranks, modes, reducer.tol, reducer.n_iter_max)
                reducer.tucker_ = tucker.adopt(found, shape)
        except KeyError as error:
            raise BundleError(f"the saved reduction lacks its array {error}") from error
        except (UsageError, TypeError, ValueError) as error:
            raise BundleError(f"the saved reduction is damaged: {error}") from error
        return reducer


def _reduced(slab: Floats, scaler: ScalarScaler, factors: dict[int, Floats]) -> Floats:
    return project(scaler.scaled(slab), factors).reshape(len(slab), -1)


def _number_above(arrays: Mapping[str, npt.NDArray[Any]], name: str, bound: float) -> float:
    value = float(arrays[name])
    if not bound < value < np.inf:
        raise ValueError(f"{name} is {value}, expected a finite number above {bound}")
    return value


def _factor(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    factor = np.array(arrays[name], np.float64)
    if factor.shape != shape or not np.isfinite(factor).all():
        raise ValueError(
            f"{name} has shape {factor.shape} or holds NaN, expected finite numbers of {shape}"
        )
    return factor
