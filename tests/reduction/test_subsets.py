"""Fits on many subsets at once: each what it would be alone, and no pass more than one needs."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emodask.errors import EvaluationError
from emodask.reduction import TensorReducer, hooi, moments
from emodask.reduction.chunks import reduce_chunks
from emodask.reduction.subsets import Subsets
from tests.oracles.tucker import largest_angle
from tests.reduction.conftest import planted_tensor

Planted = Callable[..., np.ndarray]


@given(st.lists(st.lists(st.integers(0, 14), min_size=1), min_size=1, max_size=6))
@settings(max_examples=60)
def test_groups_partition_the_rows_of_the_subsets(subsets: list[list[int]]) -> None:
    found = Subsets.of(15, subsets)
    assert len(found) == len(subsets)
    for index, rows in enumerate(subsets):
        inside = np.isin(found.groups, found.groups_of(index))
        assert np.flatnonzero(inside).tolist() == sorted(set(rows))
    assert (found.groups == -1).sum() == 15 - len({row for rows in subsets for row in rows})


@given(
    st.lists(st.sets(st.integers(0, 29), min_size=8), min_size=1, max_size=5),
    st.sampled_from([(9, 7), (5, 8, 4), (6, 5, 3, 2)]),
    st.booleans(),
)
@settings(max_examples=25)
def test_each_fit_is_what_its_rows_give_alone(
    subsets: list[set[int]], shape: tuple[int, ...], lazy: bool
) -> None:
    X = 40 + planted_tensor((30, *shape), (2, 2), (1, 2), 0.2, seed=1)
    rows = [sorted(subset) for subset in subsets]
    reducer = TensorReducer([2, 2], [1, 2], tol=1e-10)
    together = reducer.fit_subsets(da.from_array(X, chunks=(7, *shape)) if lazy else X, rows)
    for chosen, found in zip(rows, together, strict=True):
        alone = TensorReducer([2, 2], [1, 2], tol=1e-10).fit(X[chosen])
        assert found.scaler_.mean_ == pytest.approx(alone.scaler_.mean_, rel=1e-12)
        assert found.scaler_.deviation_ == pytest.approx(alone.scaler_.deviation_, rel=1e-9)
        assert found.tucker_ is not None
        assert alone.tucker_ is not None
        assert found.tucker_.reconstruction_error_ == pytest.approx(
            alone.tucker_.reconstruction_error_, abs=1e-7
        )
        for ours, theirs in zip(found.tucker_.factors_, alone.tucker_.factors_, strict=True):
            assert largest_angle(ours, theirs) < 1e-4


def test_far_more_subsets_than_fit_one_product_are_fitted_alike(planted: Planted) -> None:
    X = planted((40, 6, 9, 4, 2), (3, 3, 1), (1, 2, 4), noise=0.3).astype(np.float32)
    folds = [np.delete(np.arange(40), i) for i in range(40)]
    together = TensorReducer([3, 3, 1], [1, 2, 4]).fit_subsets(X, folds)
    for index in (0, 17, 39):
        alone = TensorReducer([3, 3, 1], [1, 2, 4]).fit(X[folds[index]])
        np.testing.assert_allclose(together[index].transform(X), alone.transform(X), atol=2e-4)


def test_many_folds_take_as_many_passes_as_the_slowest(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def counted(*args: object) -> object:
        passes.append(args)
        return reduce_chunks(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(hooi, "reduce_chunks", counted)
    monkeypatch.setattr(moments, "reduce_chunks", counted)
    X = planted((24, 9, 11, 5), (3, 2, 2), (1, 2, 3), noise=0.2)
    folds = [np.delete(np.arange(24), slice(i, i + 4)) for i in range(0, 24, 4)]
    found = TensorReducer([3, 2, 2], [1, 2, 3]).fit_subsets(X, folds)
    assert len(passes) == 2 + max(one.tucker_.n_iter_ for one in found if one.tucker_)


def test_an_empty_subset_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no clips to fit on"):
        TensorReducer([2], [1]).fit_subsets(np.ones((4, 3)), [[0, 1], []])
