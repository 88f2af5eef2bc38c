"""Streamed features: an address that batches are read from, whatever is cut out of it."""

from __future__ import annotations

import os
import pickle
import tracemalloc

import numpy as np
import pytest
import zarr

from emodask.errors import StoreError
from emodask.store import StoreAddress, StreamedMatrix, streamed
from emodask.store.layout import FORMAT

BATCH = 4
ROWS = 42
SHAPE = (2, 5, 3)


@pytest.fixture
def levels():
    return np.random.default_rng(0).integers(0, 256, (ROWS, *SHAPE), np.uint8)


@pytest.fixture
def address(tmp_path, levels):
    """A store with one array of pictures, the last chunk of which is not full."""
    found = StoreAddress.of(tmp_path / "s.zarr")
    group = zarr.create_group(found.zarr_store(), attributes={"emodask": {"format": FORMAT}})
    put(group, "pictures", levels, BATCH)
    return found


def put(group, name, values, rows):
    chunks = (rows, *values.shape[1:])
    array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks)
    array[:] = values


@pytest.fixture
def decoded(monkeypatch):
    """The numbers of the chunks that are decoded."""
    numbers = []
    real = streamed._Chunks._decode

    def spy(self, number):
        numbers.append(number)
        return real(self, number)

    monkeypatch.setattr(streamed._Chunks, "_decode", spy)
    return numbers


def test_what_is_read_are_the_numbers_of_the_rows_in_the_order_asked_for(address, levels):
    rows = np.array([40, 3, 0, 17, 41, 16])
    matrix = StreamedMatrix.of(address, "pictures", rows)
    flat = levels.reshape(ROWS, -1).astype(np.float32)
    assert (matrix.shape, matrix.ndim, len(matrix)) == ((6, 30), 2, 6)
    for places in (slice(None), [5, 0, 0], np.arange(6) % 2 == 0, np.array([], np.intp)):
        found = matrix.read(places)
        assert found.dtype == np.float32
        assert np.array_equal(found, flat[rows][places])
    part = matrix[np.array([True, False, True, True, False, False])][[2, 0]]
    assert np.array_equal(part.read(), flat[[17, 40]])
    assert np.array_equal(matrix[2:4].read([1]), flat[[17]])


def test_cutting_rows_out_reads_nothing(address, decoded):
    matrix = StreamedMatrix.of(address, "pictures", np.arange(ROWS))
    assert len(matrix[np.arange(0, ROWS, 3)][2:]) == 12
    assert decoded == []


def test_sent_to_a_worker_it_is_an_address(address, levels):
    matrix = StreamedMatrix.of(address, "pictures", np.arange(ROWS))
    matrix.read()
    sent = pickle.dumps(matrix[[3, 30]])
    assert len(sent) < 2000
    there = pickle.loads(sent)
    assert (there.name, there.shape) == ("pictures", (2, 30))
    assert np.array_equal(there.read(), levels[[3, 30]].reshape(2, -1))


@pytest.mark.parametrize("kept", [1, 3, 100])
def test_an_epoch_reads_each_chunk_once_and_each_row_once(address, decoded, kept):
    rows = np.setdiff1d(np.arange(ROWS), [0, 17, 18, 19, 20])
    matrix = StreamedMatrix.of(address, "pictures", rows, cache_bytes=kept * BATCH * 30)
    order = matrix.epoch(7)
    assert sorted(order) == list(range(len(rows)))
    for start in range(0, len(order), 5):
        matrix.read(order[start : start + 5])
    assert sorted(decoded) == sorted(set((rows // BATCH).tolist()))


def test_an_epoch_is_shuffled_by_its_seed_alone(address):
    matrix = StreamedMatrix.of(address, "pictures", np.arange(ROWS), cache_bytes=3 * BATCH * 30)
    order = matrix.epoch(7)
    matrix.read(order[:9])
    assert np.array_equal(order, pickle.loads(pickle.dumps(matrix)).epoch(7))
    assert not np.array_equal(order, matrix.epoch(8))
    first = (order[: 2 * BATCH + 2] // BATCH).tolist()  # the last chunk holds two rows
    assert len(set(first)) == 3
    assert first != sorted(first)


def test_what_is_cut_out_shares_the_chunks_that_are_kept(address, decoded):
    matrix = StreamedMatrix.of(address, "pictures", np.arange(ROWS))
    for part in (matrix[:20], matrix[1::2], matrix[[2]]):
        part.read()
    assert sorted(decoded) == list(range(11))


def test_memory_does_not_grow_with_clips(tmp_path):
    peaks = {}
    for n_clips in (24, 96):
        place = StoreAddress.of(tmp_path / f"{n_clips}.zarr")
        group = zarr.create_group(place.zarr_store(), attributes={"emodask": {"format": FORMAT}})
        put(group, "pictures", np.zeros((n_clips, 2, 128, 256), np.uint8), BATCH)
        chunk = BATCH * 2 * 128 * 256
        matrix = StreamedMatrix.of(place, "pictures", np.arange(n_clips), cache_bytes=2 * chunk)
        matrix.read([0])  # imports
        order = matrix.epoch(0)
        tracemalloc.start()
        for start in range(0, n_clips, 2):
            matrix.read(order[start : start + 2])
        peaks[n_clips] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[96] < 1.2 * peaks[24]
    assert peaks[96] < 8 * chunk


def test_a_chunk_that_does_not_decode_is_said_with_its_rows(address):
    chunk = os.path.join(address.url, "pictures", "c", "5", "0", "0", "0")
    with open(chunk, "wb") as file:
        file.write(b"torn")
    matrix = StreamedMatrix.of(address, "pictures", np.arange(ROWS))
    assert matrix.read([0]).shape == (1, 30)
    with pytest.raises(StoreError, match="pictures: rows 20 to 23 cannot be decoded"):
        matrix.read([20])
    with pytest.raises(StoreError, match="no array faces"):
        StreamedMatrix.of(address, "faces", np.arange(ROWS))
