"""Promises of passes over a store: every row once, one chunk at a time, the same sums anywhere."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
import zarr

from emodask.cluster import connect
from emodask.errors import EvaluationError, StoreError
from emodask.evaluation import passes
from emodask.evaluation.passes import StoredRows
from emodask.reduction import TensorReducer
from emodask.reduction.chunks import reduce_chunks
from emodask.store import StoreAddress

ROWS, SHAPE, BATCH = 107, (6, 5), 4


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    rng = np.random.default_rng(5)
    return (rng.normal(3, 1, (ROWS, *SHAPE)) * rng.normal(1, 0.3, (1, *SHAPE))).astype(np.float32)


@pytest.fixture(scope="module")
def address(numbers, tmp_path_factory, small_store) -> StoreAddress:
    """A store with one feature array, its attributes those of any store."""
    folder = tmp_path_factory.mktemp("passes") / "s.zarr"
    group = zarr.create_group(str(folder))
    group.attrs.update(dict(zarr.open_group(small_store.url, mode="r").attrs))
    array = group.create_array("f", shape=numbers.shape, dtype="f4", chunks=(BATCH, *SHAPE))
    array[:] = numbers
    return StoreAddress.of(folder)


@pytest.mark.parametrize(
    "rows",
    [
        np.arange(ROWS),
        np.array([3]),
        np.arange(0, ROWS, 5),
        np.setdiff1d(np.arange(ROWS), np.arange(20, 61)),
    ],
    ids=["all", "one", "every fifth", "with a gap"],
)
def test_chunks_give_every_row_once_in_order(address, numbers, rows):
    stored = StoredRows.of(address, "f", rows)
    assert stored.shape == (len(rows), *SHAPE)
    seen = np.full(stored.shape, np.nan, np.float32)
    for first, chunk in stored.chunks():
        assert np.isnan(seen[first : first + len(chunk)]).all()
        seen[first : first + len(chunk)] = chunk
    assert np.array_equal(seen, numbers[rows])


def test_the_sum_of_a_pass_is_that_of_the_rows_whichever_are_wanted(address, numbers):
    rows = np.arange(2, ROWS, 3)
    groups = np.arange(len(rows)) % 3 - 1

    def total(chunk, first, of_rows, shared):
        return chunk[of_rows >= 0].sum(dtype=np.float64) * shared

    found = reduce_chunks(StoredRows.of(address, "f", rows), total, float.__add__, 2.0, groups)
    assert found == pytest.approx(2 * numbers[rows[groups >= 0]].sum(dtype=np.float64))


def test_chunks_without_a_wanted_row_are_not_read(address, monkeypatch):
    reads = []
    real = passes._read

    def spy(address, name, block):
        for first, chunk in real(address, name, block):
            reads.append(first)
            yield first, chunk

    monkeypatch.setattr(passes, "_read", spy)
    groups = np.full(ROWS, -1)
    groups[41] = 0
    reduce_chunks(
        StoredRows.of(address, "f", np.arange(ROWS)), lambda *_: 1, int.__add__, None, groups
    )
    assert reads == [40]


def test_a_fit_from_a_store_is_that_in_memory_and_the_same_bits_on_a_cluster(address, numbers):
    rows = np.setdiff1d(np.arange(ROWS), [0, 17, 18, 90])
    reducer = TensorReducer(ranks=[2, 3], modes=[1, 2])
    folds = [np.arange(0, 60), np.arange(30, len(rows)), np.arange(len(rows))]
    in_memory = reducer.fit_subsets(numbers[rows], folds)
    here = reducer.fit_subsets(StoredRows.of(address, "f", rows), folds)
    told = []
    with connect("local", workers=2) as client:
        stored = StoredRows.of(address, "f", rows, client, lambda *news: told.append(news))
        there = reducer.fit_subsets(stored, folds)
    for one, two, three in zip(in_memory, here, there, strict=True):
        np.testing.assert_allclose(one.tucker_.factors_[0], two.tucker_.factors_[0], atol=1e-5)
        for name, array in two.to_arrays().items():
            assert np.array_equal(array, three.to_arrays()[name]), name
    assert told[0] == (0, 7)
    assert told[7] == (7, 7)


def test_a_pass_holds_a_chunk_at_a_time(address, numbers, tmp_path):
    big = np.random.default_rng(0).random((64, 2**18), np.float32)
    group = zarr.open_group(address.url, mode="r+")
    group.create_array("big", shape=big.shape, dtype="f4", chunks=(2, 2**18))[:] = big
    chunk = 2 * 2**18 * 4
    stored = StoredRows.of(address, "big", np.arange(64))
    reduce_chunks(stored, lambda chunk, *_: float(chunk[0, 0]), float.__add__)  # imports
    del big
    tracemalloc.start()
    reduce_chunks(stored, lambda chunk, *_: float(chunk[0, 0]), float.__add__)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * chunk


def test_what_is_wrong_with_a_row_is_said_with_its_number(address, numbers, tmp_path):
    broken = numbers.copy()
    broken[50, 0, 0] = np.nan
    group = zarr.open_group(address.url, mode="r+")
    group.create_array("broken", shape=broken.shape, dtype="f4", chunks=(BATCH, *SHAPE))
    group["broken"][:] = broken
    stored = StoredRows.of(address, "broken", np.arange(ROWS))
    with pytest.raises(EvaluationError, match="row 50 holds NaN"):
        TensorReducer([2], [1]).fit(stored)
    with pytest.raises(StoreError):
        StoredRows.of(address, "status" * 2, np.arange(ROWS))


def test_a_chunk_that_does_not_decode_is_said_with_its_rows(address):
    folder = os.path.join(address.url, "torn")
    group = zarr.open_group(address.url, mode="r+")
    group.create_array("torn", shape=(40, 3), dtype="f4", chunks=(4, 3))[:] = 1
    chunk = os.path.join(folder, "c", "5", "0")
    with open(chunk, "wb") as file:
        file.write(b"garbage")
    with pytest.raises(StoreError, match=r"torn: rows 20 to 23 cannot be decoded: .*verify"):
        TensorReducer([2], [1]).fit(StoredRows.of(address, "torn", np.arange(40)))
