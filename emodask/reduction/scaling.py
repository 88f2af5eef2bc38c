"""Standardisation by one mean and one deviation over all numbers of the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from emodask.errors import EvaluationError
from emodask.reduction.chunks import Floats, as_rows, map_rows, working_dtype
from emodask.reduction.moments import Moments, moments

_ROUNDING = 1e-13  # relative spread that float64 sums of equal numbers may show


class ScalarScaler(TransformerMixin, BaseEstimator):
    """Subtract the mean of all numbers and divide by their population deviation.

    Unlike scikit-learn's StandardScaler it has one mean and one deviation for a whole feature
    array, so relations between features stay as they are.

    Attributes
    ----------
    mean_ : float
        Mean over all numbers of the fitted rows, accumulated in float64.
    deviation_ : float
        Their population standard deviation.

    Examples
    --------
    >>> scaler = ScalarScaler().fit(np.array([[1.0, 2.0], [3.0, 6.0]]))
    >>> scaler.mean_, round(scaler.deviation_, 6)
    (3.0, 1.870829)
    >>> scaler.inverse_transform(scaler.transform(np.array([[3.0, 6.0]])))
    array([[3., 6.]])
    """

    def fit(self, X: Any, y: object = None) -> ScalarScaler:
        """Find mean and deviation in one pass over the chunks.

        Parameters
        ----------
        X : NumPy or dask array, (n, d1, ..., dk)
        y : ignored

        Returns
        -------
        ScalarScaler
            Itself.

        Raises
        ------
        EvaluationError
            If all numbers are equal, there are no rows, or one holds NaN or infinite values.
        """
        return self.adopt(moments(as_rows(X), centred=True))

    def adopt(self, found: Moments) -> ScalarScaler:
        """Take mean and deviation from moments known already; returns itself."""
        mean, deviation = found.mean, found.deviation
        if not deviation > _ROUNDING * abs(mean):
            raise EvaluationError(
                f"all numbers equal {mean:g}, so their deviation is 0 and nothing can be scaled; "
                "fit on rows that differ"
            )
        self.mean_, self.deviation_ = mean, deviation
        return self

    def transform(self, X: Any) -> Any:
        """Scale: ``(X - mean_) / deviation_``.

        Parameters
        ----------
        X : NumPy or dask array, (n, d1, ..., dk)

        Returns
        -------
        NumPy or lazy dask array, (n, d1, ..., dk)
            float32 for float16 and float32, else float64.
        """
        check_is_fitted(self)
        X = as_rows(X)
        return map_rows(X, self.scaled, tuple(X.shape[1:]), working_dtype(X.dtype))

    def inverse_transform(self, X: Any) -> Any:
        """Undo :meth:`transform`: ``X * deviation_ + mean_``, of the same shape and type."""
        check_is_fitted(self)
        X = as_rows(X)
        return map_rows(X, self._unscaled, tuple(X.shape[1:]), working_dtype(X.dtype))

    def scaled(self, slab: Floats) -> Floats:
        """Scale an array of float32 or float64 in its own type."""
        result: Floats = np.subtract(slab, slab.dtype.type(self.mean_))
        result /= slab.dtype.type(self.deviation_)
        return result

    def _unscaled(self, slab: Floats) -> Floats:
        result: Floats = np.multiply(slab, slab.dtype.type(self.deviation_))
        result += slab.dtype.type(self.mean_)
        return result
