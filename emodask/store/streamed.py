"""An array too large to hold of all clips at once: an address that batches are read from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import zarr

from emodask.store.address import StoreAddress, open_group, stored_array
from emodask.store.decoding import decode_rows, rows_decoded_together

CACHE_BYTES = 192 << 20
"""Of decoded chunks that are kept: of six pictures of 256 x 256 a clip, those of 480 clips."""

Places: TypeAlias = Any  # whatever NumPy takes as an index of one axis


@dataclass(frozen=True, eq=False)
class StreamedMatrix:
    """One feature of some rows of a store, read batch by batch: never held as a whole.

    It stands where models get reduced features, ``(n, p)``, with the numbers of each clip side by
    side in C order. Sent to a worker it is an address and the numbers of rows. What is cut out of
    it shares its decoded chunks, of which at most ``cache_bytes`` are kept, at least one chunk.

    Attributes
    ----------
    address : StoreAddress
    name : str
        The feature array.
    rows : ndarray of intp, shape (n,)
        Which rows of the store, in any order.
    row_shape : tuple of int
        ``(d1, ..., dk)`` of one clip.
    dtype : dtype
        As it is stored; what is read is float32.
    chunk_rows : int
        Rows that are decoded together.
    cache_bytes : int
    """

    address: StoreAddress
    name: str
    rows: npt.NDArray[np.intp]
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk_rows: int
    cache_bytes: int = CACHE_BYTES
    _chunks: _Chunks | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self._chunks is None:
            found = _Chunks(self.address, self.name, self.chunk_rows, self.pool)
            object.__setattr__(self, "_chunks", found)

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self.row_shape, self.dtype, self.chunk_rows, self.cache_bytes)
        return StreamedMatrix, (self.address, self.name, self.rows, *settings)

    @classmethod
    def of(
        cls,
        address: StoreAddress,
        name: str,
        rows: npt.NDArray[np.intp],
        cache_bytes: int = CACHE_BYTES,
    ) -> StreamedMatrix:
        """Look up the array's shape and type.

        Raises
        ------
        StoreError
            If there is no such store or array.
        """
        array = stored_array(open_group(address), name)
        chunk_rows = rows_decoded_together(array)
        return cls(address, name, rows, array.shape[1:], array.dtype, chunk_rows, cache_bytes)

    @property
    def shape(self) -> tuple[int, int]:
        """Clips, and the numbers of one."""
        return len(self.rows), int(np.prod(self.row_shape))

    @property
    def ndim(self) -> int:
        """2, as of a matrix."""
        return 2

    @property
    def pool(self) -> int:
        """How many decoded chunks are kept."""
        one = self.chunk_rows * self.shape[1] * self.dtype.itemsize
        return max(1, self.cache_bytes // max(1, one))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: Places) -> StreamedMatrix:
        settings = (self.row_shape, self.dtype, self.chunk_rows, self.cache_bytes, self._chunks)
        return StreamedMatrix(self.address, self.name, self.rows[places], *settings)

    def read(self, places: Places = slice(None)) -> npt.NDArray[np.float32]:
        """The numbers of some rows, shape (k, p); every chunk that they lie in is decoded once.

        Raises
        ------
        StoreError
            If a chunk cannot be read or decoded.
        """
        assert self._chunks is not None
        rows = self.rows[places]
        result = np.empty((len(rows), self.shape[1]), np.float32)
        for number, at in self._chunks.order(rows // self.chunk_rows):
            chunk = self._chunks.decoded(number)
            result[at] = chunk[rows[at] - number * self.chunk_rows].reshape(len(at), -1)
        return result

    def epoch(self, seed: int) -> npt.NDArray[np.intp]:
        """A random order of all rows that decodes about every chunk once, batch after batch.

        Chunks are shuffled; then rows within as many chunks as are kept.

        Parameters
        ----------
        seed : int

        Returns
        -------
        ndarray of intp, shape (n,)
            Places for :meth:`read`.
        """
        rng = np.random.default_rng(seed)
        number = self.rows // self.chunk_rows
        chunks = rng.permutation(np.unique(number))
        pools = [
            rng.permutation(np.flatnonzero(np.isin(number, chunks[start : start + self.pool])))
            for start in range(0, len(chunks), self.pool)
        ]
        return np.concatenate(pools) if pools else np.empty(0, np.intp)


class _Chunks:
    """The chunks of an array that were decoded last, shared by all that is cut out of it."""

    def __init__(self, address: StoreAddress, name: str, chunk_rows: int, most: int) -> None:
        self._address, self._name = address, name
        self._chunk_rows, self._most = chunk_rows, most
        self._array: zarr.Array[Any] | None = None
        self._kept: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def order(self, numbers: npt.NDArray[np.intp]) -> list[tuple[int, npt.NDArray[np.intp]]]:
        """Chunks and the places of their rows: what is kept first, lest it be let go of unread.

        And then as rows come: the last are those that the next batch begins with.
        """
        found = list(dict.fromkeys(numbers.tolist()))
        with self._lock:
            found.sort(key=lambda number: number not in self._kept)
        return [(number, np.flatnonzero(numbers == number)) for number in found]

    def decoded(self, number: int) -> npt.NDArray[Any]:
        """One chunk, (rows, d1, ..., dk)."""
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            while len(self._kept) >= self._most:  # before the next takes memory
                self._kept.popitem(last=False)
            self._kept[number] = self._decode(number)
            return self._kept[number]

    def _decode(self, number: int) -> npt.NDArray[Any]:
        if self._array is None:
            self._array = stored_array(open_group(self._address), self._name)
        start = number * self._chunk_rows
        stop = min(start + self._chunk_rows, self._array.shape[0])
        chunk = np.empty((stop - start, *self._array.shape[1:]), self._array.dtype)
        decode_rows(self._array, self._address, self._name, start, chunk)
        return chunk
