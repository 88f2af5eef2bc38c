"""PartialTucker: parity with tensorly, chunking, memory, scikit-learn manners, bad input."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import dask
import dask.array as da
import numpy as np
import pytest
from dask.delayed import delayed
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from emodask.errors import EvaluationError, UsageError
from emodask.reduction import PartialTucker, hooi
from emodask.reduction.chunks import reduce_chunks
from tests.oracles.tucker import largest_angle, reference_tucker
from tests.reduction.conftest import planted_tensor

Planted = Callable[..., np.ndarray]
CASES = [
    ((20, 9, 11, 5, 4, 2), (3, 2, 2, 1), (1, 2, 3, 5)),
    ((40, 14, 30), (4, 12), (1, 2)),
    ((15, 6, 8, 70), (2, 3), (2, 3)),
    ((15, 6, 8, 7), (3, 2), (3, 1)),
    ((30, 12), (4,), (1,)),
]


@pytest.mark.parametrize(("shape", "ranks", "modes"), CASES)
def test_subspaces_and_error_equal_tensorly_at_convergence(
    planted: Planted, shape: tuple[int, ...], ranks: tuple[int, ...], modes: tuple[int, ...]
) -> None:
    X = planted(shape, ranks, modes, noise=0.3)
    factors, error = reference_tucker(X, ranks, modes, tol=1e-13)
    tucker = PartialTucker(ranks, modes, tol=1e-13, n_iter_max=500).fit(X)
    assert tucker.reconstruction_error_ == pytest.approx(error, abs=1e-9)
    for ours, theirs in zip(tucker.factors_, factors, strict=True):
        assert largest_angle(ours, theirs) < 1e-6


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(("shape", "ranks", "modes"), CASES)
def test_error_equals_tensorlys_with_default_tolerance_in_float32(
    planted: Planted,
    shape: tuple[int, ...],
    ranks: tuple[int, ...],
    modes: tuple[int, ...],
    noise: float,
) -> None:
    X = planted(shape, ranks, modes, noise=noise).astype(np.float32)
    _, error = reference_tucker(X, ranks, modes, tol=1e-4)
    tucker = PartialTucker(ranks, modes).fit(X)
    assert tucker.reconstruction_error_ < error + 2e-4


def test_reported_error_is_that_of_the_kept_factors(planted: Planted) -> None:
    X = planted((20, 9, 11, 5), (3, 2), (1, 2), noise=0.5)
    tucker = PartialTucker([3, 2], [1, 2]).fit(X)
    rest = X - tucker.inverse_transform(tucker.transform(X))
    explicit = np.linalg.norm(rest) / np.linalg.norm(X)
    assert tucker.reconstruction_error_ == pytest.approx(explicit, rel=1e-9)


def test_sweeps_never_raise_the_error(planted: Planted) -> None:
    X = planted((12, 7, 8, 6), (2, 2, 2), (1, 2, 3), noise=5.0)
    errors = [
        PartialTucker([2, 2, 2], [1, 2, 3], tol=0, n_iter_max=n).fit(X).reconstruction_error_
        for n in range(8)
    ]
    assert all(after <= before for before, after in pairwise(errors))
    assert errors[-1] < errors[0]


def test_harmful_simultaneous_update_is_replaced_by_mode_by_mode_updates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix = np.array([[1, 0, 0], [0, 0.5, 3], [0, 2, -1.08]])
    start = np.array([0.0, 1.0, 0.0])
    u, v = (product / np.linalg.norm(product) for product in (matrix @ start, matrix.T @ start))
    assert abs(u @ matrix @ v) < abs(start @ matrix @ start)
    v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
    plain, starts = hooi.leading, [start[:, None], start[:, None]]
    monkeypatch.setattr(hooi, "leading", lambda g, r: starts.pop() if starts else plain(g, r))
    tucker = PartialTucker([1, 1], [1, 2], n_iter_max=1).fit(matrix[None])
    expected = np.sqrt(1 - (u @ matrix @ v) ** 2 / np.square(matrix).sum())
    assert tucker.reconstruction_error_ == pytest.approx(expected, abs=1e-9)
    assert largest_angle(tucker.factors_[0], u[:, None]) < 1e-7
    assert largest_angle(tucker.factors_[1], v[:, None]) < 1e-7


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-6), (np.float32, 1e-3)])
def test_planted_low_rank_is_recovered(planted: Planted, dtype: type, bound: float) -> None:
    X = planted((20, 9, 11, 5, 4, 2), (3, 2, 2, 1), (1, 2, 3, 5), noise=0).astype(dtype)
    tucker = PartialTucker([3, 2, 2, 1], [1, 2, 3, 5]).fit(X)
    assert tucker.reconstruction_error_ < bound
    restored = tucker.inverse_transform(tucker.transform(X))
    np.testing.assert_allclose(restored, X, atol=bound * 0.1)


def test_full_ranks_lose_nothing() -> None:
    X = np.random.default_rng(1).normal(size=(6, 4, 5))
    tucker = PartialTucker([4, 5], [1, 2]).fit(X)
    assert tucker.reconstruction_error_ < 1e-6
    np.testing.assert_allclose(tucker.inverse_transform(tucker.transform(X)), X, atol=1e-12)


def test_rows_beyond_the_planted_rank_and_zeros_are_fine() -> None:
    lonely = np.random.default_rng(2).normal(size=(1, 6, 5))
    assert PartialTucker([5, 4], [1, 2]).fit(lonely).transform(lonely).shape == (1, 5, 4)
    assert PartialTucker([2], [1]).fit(np.zeros((3, 4))).reconstruction_error_ == 0


@st.composite
def chunked(draw: st.DrawFn) -> tuple[np.ndarray, da.Array]:
    shape = tuple(draw(st.integers(4, 7)) for _ in range(draw(st.integers(3, 4))))
    X = planted_tensor((draw(st.integers(1, 30)), *shape[1:]), (2, 1), (1, 2), 0.1, seed=3)
    chunks = []
    for size in X.shape:
        cuts = draw(st.sets(st.integers(1, size), max_size=5)) | {0, size}
        chunks.append(tuple(np.diff(sorted(cuts)).tolist()))
    return X, da.from_array(X, chunks=tuple(chunks))


@given(chunked())
@settings(max_examples=25, deadline=None)
def test_any_chunking_gives_what_numpy_gives(pair: tuple[np.ndarray, da.Array]) -> None:
    X, lazy = pair
    with dask.config.set(scheduler="synchronous"):
        eager = PartialTucker([2, 1], [1, 2]).fit(X)
        tucker = PartialTucker([2, 1], [1, 2]).fit(lazy)
        core = tucker.transform(lazy)
        assert isinstance(core, da.Array)
        assert core.dtype == X.dtype
        np.testing.assert_allclose(core.compute(), eager.transform(X), atol=1e-7)
        restored = tucker.inverse_transform(core)
        assert isinstance(restored, da.Array)
        np.testing.assert_allclose(
            restored.compute(), eager.inverse_transform(eager.transform(X)), atol=1e-7
        )
    assert tucker.n_iter_ == eager.n_iter_
    assert tucker.reconstruction_error_ == pytest.approx(eager.reconstruction_error_, abs=1e-9)
    for a, b in zip(tucker.factors_, eager.factors_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_empty_dask_blocks_are_passed_over(planted: Planted) -> None:
    X = planted((6, 4, 5), (2, 2), (1, 2), noise=0.1)
    lazy = da.concatenate([da.from_array(X[:0]), da.from_array(X)])
    np.testing.assert_allclose(
        PartialTucker([2, 2], [1, 2]).fit(lazy).factors_[0],
        PartialTucker([2, 2], [1, 2]).fit(X).factors_[0],
        atol=1e-9,
    )


def test_fit_inside_a_task_under_the_synchronous_scheduler(planted: Planted) -> None:
    X = planted((20, 6, 5), (2, 2), (1, 2), noise=0.1)

    def task() -> float:
        with dask.config.set(scheduler="synchronous"):
            lazy = da.from_array(X, chunks=(3, 6, 5))
            return PartialTucker([2, 2], [1, 2]).fit(lazy).reconstruction_error_

    expected = PartialTucker([2, 2], [1, 2]).fit(X).reconstruction_error_
    assert delayed(task)().compute(scheduler="threads") == pytest.approx(expected, abs=1e-9)


def test_each_sweep_is_one_pass(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []

    def counted(*args: object) -> object:
        passes.append(args)
        return reduce_chunks(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(hooi, "reduce_chunks", counted)
    X = planted((20, 9, 11, 5), (3, 2, 2), (1, 2, 3), noise=0.2)
    tucker = PartialTucker([3, 2, 2], [1, 2, 3]).fit(X)
    assert len(passes) == tucker.n_iter_ + 1


def test_fit_of_numpy_rows_needs_less_memory_than_two_chunks() -> None:
    X = np.random.default_rng(4).normal(size=(60, 24, 36, 90, 2)).astype(np.float32)
    tracemalloc.start()
    PartialTucker([4, 4, 1], [1, 2, 4], n_iter_max=1).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 12 * X[0].nbytes


def test_repeated_fits_are_identical_and_leave_the_input_alone(planted: Planted) -> None:
    X = planted((20, 9, 11), (3, 2), (1, 2), noise=0.5).astype(np.float32)
    before = X.copy()
    tucker = PartialTucker([3, 2], [1, 2])
    first = [f.copy() for f in tucker.fit(X).factors_]
    again = tucker.fit(X).factors_
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    tucker.inverse_transform(tucker.transform(X))
    np.testing.assert_array_equal(X, before)


def test_factors_are_orthonormal_with_fixed_signs(planted: Planted) -> None:
    X = planted((20, 9, 11), (3, 2), (1, 2), noise=0.5)
    for factor in PartialTucker([3, 2], [1, 2]).fit(-X).factors_:
        np.testing.assert_allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-12)
        assert (np.take_along_axis(factor, np.abs(factor).argmax(0)[None], 0) > 0).all()


def test_layout_and_integer_types_do_not_matter() -> None:
    X = np.random.default_rng(5).integers(0, 255, size=(10, 6, 7), dtype=np.uint8)
    expected = PartialTucker([2, 2], [1, 2]).fit(X.astype(np.float64)).transform(X)
    fortran = np.asfortranarray(X)
    actual = PartialTucker([2, 2], [1, 2]).fit(fortran).transform(fortran)
    np.testing.assert_allclose(actual, expected, atol=1e-9)
    assert actual.dtype == np.float64


def test_clone_and_parameters_follow_scikit_learn(planted: Planted) -> None:
    X = planted((8, 5, 4), (2, 2), (1, 2), noise=0.1)
    fitted = PartialTucker([2, 2], modes=[1, 2], tol=1e-5, n_iter_max=7).fit(X)
    copy = clone(fitted)
    assert copy.get_params() == dict(ranks=[2, 2], modes=[1, 2], tol=1e-5, n_iter_max=7)
    assert not hasattr(copy, "factors_")
    for method in (copy.transform, copy.inverse_transform):
        with pytest.raises(NotFittedError):
            method(X)
    assert copy.set_params(ranks=[1, 1]).fit_transform(X).shape == (8, 1, 1)


@pytest.mark.parametrize(
    ("ranks", "modes", "message"),
    [
        ([5, 2], [1, 2], "rank 5 on mode 1 must lie between 1 and the axis's length 4"),
        ([0, 2], [1, 2], "rank 0"),
        ([2], [0], "axis 0, the clips, stays"),
        ([2], [3], "mode 3 cannot be reduced"),
        ([2], [-1], "mode -1 cannot be reduced"),
        ([2, 2], [1, 1], "twice"),
        ([2], [1, 2], "differ in number"),
        ([1.5], [1], "integers"),
        ([], [], "at least one mode"),
    ],
)
def test_ranks_and_modes_that_do_not_fit_are_refused(
    ranks: list[int], modes: list[int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        PartialTucker(ranks, modes).fit(np.ones((6, 4, 5)))


def test_rows_of_another_shape_are_refused() -> None:
    tucker = PartialTucker([2], [1]).fit(np.random.default_rng(6).normal(size=(6, 4, 5)))
    with pytest.raises(UsageError, match=r"rows have shape \(5, 4\), expected \(4, 5\)"):
        tucker.transform(np.ones((6, 5, 4)))
    with pytest.raises(UsageError, match=r"expected \(2, 5\)"):
        tucker.inverse_transform(np.ones((6, 4, 5)))


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinite values")])
def test_a_row_that_is_not_finite_is_named(lazy: bool, value: float, name: str) -> None:
    X = np.ones((40, 4, 5), np.float32)
    X[29, 1, 1] = value
    with pytest.raises(EvaluationError, match=f"row 29 holds {name}"):
        PartialTucker([2], [1]).fit(da.from_array(X, chunks=(7, 2, 5)) if lazy else X)


def test_input_that_is_no_tensor_of_known_rows_is_refused() -> None:
    with pytest.raises(EvaluationError, match="0 rows"):
        PartialTucker([2], [1]).fit(np.ones((0, 4)))
    with pytest.raises(UsageError, match=r"shape \(4,\)"):
        PartialTucker([2], [1]).fit(np.ones(4))
    with pytest.raises(UsageError, match="real numbers"):
        PartialTucker([2], [1]).fit(np.ones((4, 4), complex))
    lazy = da.from_array(np.ones((4, 4)))
    with pytest.raises(UsageError, match="chunk sizes are unknown"):
        PartialTucker([2], [1]).fit(lazy[lazy[:, 0] > 0])


def test_numpy_input_never_imports_dask() -> None:
    code = (
        "import sys, numpy as np; from emodask.reduction import TensorReducer;"
        "TensorReducer([2], [1]).fit_transform(np.random.default_rng(0).normal(size=(4, 4, 3)));"
        "sys.exit('dask' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
