"""ScalarScaler and TensorReducer: exact statistics, parity of the fused pass, saving, bad input."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from emodask.errors import BundleError, EvaluationError, UsageError
from emodask.reduction import PartialTucker, ScalarScaler, TensorReducer
from emodask.reduction.chunks import as_rows
from emodask.reduction.moments import moments

Planted = Callable[..., np.ndarray]


def offset_rows(n: int = 50, mean: float = 7.0, dtype: type = np.float32) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(mean, 2.0, size=(n, 6, 5, 3)) + rng.normal(size=(n, 1, 1, 1))
    return rows.astype(dtype)


@pytest.mark.parametrize("mean", [0.0, 7.0, -1e4])
def test_mean_and_deviation_are_those_of_all_numbers(mean: float) -> None:
    X = offset_rows(mean=mean)
    scaler = ScalarScaler().fit(X)
    assert scaler.mean_ == pytest.approx(X.mean(dtype=np.float64), rel=1e-9, abs=1e-9)
    assert scaler.deviation_ == pytest.approx(X.std(dtype=np.float64), rel=1e-6)


@given(st.integers(1, 40), st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_scaling_does_not_depend_on_chunking(n: int, sizes: list[int], width: int) -> None:
    X = offset_rows(n)
    cuts = [0, *[c for c in np.cumsum(sizes).tolist() if c < n], n]
    lazy = da.from_array(X, chunks=(tuple(np.diff(cuts).tolist()), width, -1, -1))
    eager = ScalarScaler().fit(X)
    scaler = ScalarScaler().fit(lazy)
    assert scaler.mean_ == pytest.approx(eager.mean_, rel=1e-7)
    assert scaler.deviation_ == pytest.approx(eager.deviation_, rel=1e-6)
    scaled = eager.transform(lazy)
    assert isinstance(scaled, da.Array)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled.compute(), eager.transform(X))


def test_moments_of_centred_data_equal_those_of_an_explicitly_centred_copy() -> None:
    X = offset_rows(dtype=np.float64)
    X[30:] += 100
    found = moments(as_rows(X), (1, 2, 3), centred=True)
    centred = X - X.mean()
    for mode, gram, sums in zip((1, 2, 3), found.grams, found.sums, strict=True):
        unfolding = np.moveaxis(centred, mode, 0).reshape(X.shape[mode], -1)
        np.testing.assert_allclose(gram, unfolding @ unfolding.T, rtol=1e-9)
        np.testing.assert_allclose(sums, unfolding.sum(axis=1), atol=1e-7)
    assert found.square == pytest.approx(np.square(centred).sum(), rel=1e-12)


def test_inverse_transform_undoes_scaling() -> None:
    X = offset_rows()
    scaler = ScalarScaler().fit(X)
    before = X.copy()
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, atol=1e-5)
    lazy = scaler.inverse_transform(scaler.transform(da.from_array(X, chunks=4)))
    np.testing.assert_allclose(lazy.compute(), X, atol=1e-5)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("value", [0.0, 3.25, 0.1])
def test_numbers_that_are_all_equal_are_refused(value: float) -> None:
    for X in (np.full((30, 4), value), np.full((30, 4, 3), value, np.float32)):
        with pytest.raises(EvaluationError, match="deviation is 0"):
            ScalarScaler().fit(X)


@pytest.mark.parametrize("estimator", [ScalarScaler(), TensorReducer([2], [1]), TensorReducer()])
def test_a_row_with_nan_is_named(estimator: ScalarScaler | TensorReducer) -> None:
    X = offset_rows()
    X[29, 1, 2] = np.nan
    with pytest.raises(EvaluationError, match="row 29 holds NaN"):
        estimator.fit(X)
    with pytest.raises(EvaluationError, match="row 29 holds NaN"):
        estimator.fit(da.from_array(X, chunks=(4, 3, -1, -1)))


def test_numbers_too_large_to_square_are_named() -> None:
    X = offset_rows()
    X[13] *= 1e25
    with pytest.raises(EvaluationError, match="row 13 holds numbers too large"):
        ScalarScaler().fit(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lazy", [False, True])
def test_reducer_equals_scaling_then_tucker(planted: Planted, dtype: type, lazy: bool) -> None:
    X = (planted((30, 8, 9, 5), (3, 2), (1, 2), noise=0.2) * 3 + 5).astype(dtype)
    X[20:] += 4
    scaled = ScalarScaler().fit(X).transform(X)
    tucker = PartialTucker([3, 2], [1, 2], tol=1e-8).fit(scaled)
    rows = da.from_array(X, chunks=(7, 4, 9, 2)) if lazy else X
    reducer = TensorReducer([3, 2], [1, 2], tol=1e-8).fit(rows)
    bound = 1e-4 if dtype == np.float32 else 1e-6
    assert reducer.tucker_.reconstruction_error_ == pytest.approx(
        tucker.reconstruction_error_, abs=bound
    )
    for ours, explicit in zip(reducer.tucker_.factors_, tucker.factors_, strict=True):
        np.testing.assert_allclose(ours, explicit, atol=20 * bound)
    matrix = reducer.transform(rows)
    assert isinstance(matrix, da.Array) == lazy
    assert matrix.shape == (30, reducer.n_components_) == (30, 30)
    assert matrix.dtype == np.float32
    expected = reducer.tucker_.transform(scaled).reshape(30, -1)
    np.testing.assert_allclose(np.asarray(matrix), expected, atol=1e-4)


@pytest.mark.parametrize("empty", [None, []])
def test_without_modes_only_scaling_and_flattening_remain(empty: list[int] | None) -> None:
    X = offset_rows()
    reducer = TensorReducer(empty, empty).fit(X)
    expected = ScalarScaler().fit(X).transform(X).reshape(len(X), -1)
    np.testing.assert_array_equal(reducer.transform(X), expected)
    again = TensorReducer.from_arrays(reducer.to_arrays())
    np.testing.assert_array_equal(again.transform(X), expected)


def test_arrays_round_trip_without_pickle(tmp_path: object) -> None:
    X = offset_rows()
    reducer = TensorReducer([2, 3], (1, 2), tol=1e-3).fit(X)
    np.savez(f"{tmp_path}/reducer.npz", **reducer.to_arrays())
    with np.load(f"{tmp_path}/reducer.npz", allow_pickle=False) as arrays:
        again = TensorReducer.from_arrays(arrays)
    np.testing.assert_array_equal(again.transform(X), reducer.transform(X))
    assert again.to_arrays().keys() == reducer.to_arrays().keys()
    assert again.get_params() == {
        "ranks": (2, 3),
        "modes": (1, 2),
        "tol": 1e-3,
        "n_iter_max": 100,
        "centre": True,
    }
    assert again.tucker_.reconstruction_error_ == reducer.tucker_.reconstruction_error_


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("factor_1", None, "lacks its array 'factor_1'"),
        ("mean", None, "lacks its array 'mean'"),
        ("factor_0", np.ones((6, 3)), "factor_0 has shape"),
        ("factor_0", np.full((6, 2), np.nan), "factor_0"),
        ("deviation", np.array(0.0), "deviation is 0.0"),
        ("modes", np.array([1, 9]), "mode 9"),
        ("ranks", np.array(2), "damaged"),
    ],
)
def test_damaged_arrays_are_refused(name: str, value: np.ndarray | None, message: str) -> None:
    arrays = TensorReducer([2, 3], [1, 2]).fit(offset_rows()).to_arrays()
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    with pytest.raises(BundleError, match=message):
        TensorReducer.from_arrays(arrays)


def test_estimators_follow_scikit_learn() -> None:
    X = offset_rows()
    reducer = TensorReducer(ranks=[2], modes=[1])
    for estimator in (ScalarScaler(), reducer):
        with pytest.raises(NotFittedError):
            estimator.transform(X)
    with pytest.raises(NotFittedError):
        reducer.to_arrays()
    first = reducer.fit_transform(X)
    np.testing.assert_array_equal(first, reducer.fit(X).transform(X))
    np.testing.assert_array_equal(first, clone(reducer).fit(X).transform(X))
    with pytest.raises(UsageError, match="rows have shape"):
        reducer.transform(X[:, 1:])
    with pytest.raises(UsageError, match="rank 9"):
        TensorReducer([9], [1]).fit(X)
