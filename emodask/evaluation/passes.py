"""Passes over a feature of a store: chunk by chunk, in blocks that are tasks of a cluster."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import zarr

from emodask.cluster import killed_its_workers, run_bag, single_threaded
from emodask.errors import ClusterError, EmodaskError, EvaluationError
from emodask.features import VARIANT
from emodask.sources.location import reason
from emodask.store import StoreAddress, open_group, stored_array
from emodask.store.decoding import decode_rows, rows_decoded_together

if TYPE_CHECKING:
    from distributed import Client

    from emodask.reduction.chunks import ChunkFunction, Groups

T = TypeVar("T")

_CHUNKS_PER_BLOCK = 4
_MOST_BLOCKS = 256


@dataclass(frozen=True, eq=False)
class StoredRows:
    """One feature of some rows of a store: passed over, never held.

    A :class:`~emodask.reduction.chunks.ChunkedRows`. A pass is cut into blocks of chunks, by the
    store's layout alone: sums are the same bit by bit whatever computes them. At any time a process
    holds one chunk and the bytes that it was decoded from.

    Attributes
    ----------
    address : StoreAddress
    name : str
        The feature array.
    rows : ndarray of intp, shape (n,)
        Which rows of the store, ascending.
    shape : tuple of int
        ``(n, d1, ..., dk)``
    dtype : dtype
    variants : int
        Variants of each clip that the array holds beside the clip itself; passes leave them out.
    client : distributed.Client or None
        Where passes run; None: in this process.
    on_block : callable or None
        Called with blocks done and blocks in all, for each block of a pass.
    """

    address: StoreAddress
    name: str
    rows: npt.NDArray[np.intp]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk_rows: int
    variants: int = 0
    client: Client | None = field(default=None, repr=False)
    on_block: Callable[[int, int], None] | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        address: StoreAddress,
        name: str,
        rows: npt.NDArray[np.intp],
        client: Client | None = None,
        on_block: Callable[[int, int], None] | None = None,
    ) -> StoredRows:
        """Look up the array's shape and type.

        Raises
        ------
        StoreError
            If there is no such store or array.
        """
        array = stored_array(open_group(address), name)
        variants = array.shape[1] - 1 if _has_variants(array) else 0
        shape = (len(rows), *array.shape[2 if variants else 1 :])
        chunk_rows = rows_decoded_together(array)
        return cls(address, name, rows, shape, array.dtype, chunk_rows, variants, client, on_block)

    def chunks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """First row and numbers of every chunk; they hold until the next is asked for."""
        return _read(self.address, self.name, _Block(0, self.rows, None))

    def variant_chunks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """As :meth:`chunks`, with the variants of each clip: (rows, 1 + variants, d1, ..., dk)."""
        return _read(self.address, self.name, _Block(0, self.rows, None), with_variants=True)

    def reduce_chunks(
        self,
        function: ChunkFunction[T],
        combine: Callable[[T, T], T],
        shared: object,
        groups: Groups | None,
    ) -> T:
        """See :func:`emodask.reduction.chunks.reduce_chunks`.

        Raises
        ------
        EmodaskError
            What a block failed with.
        """
        blocks = self._blocks(groups)
        work = functools.partial(_reduce, self.address, self.name, function, combine, shared)
        tell = self.on_block or (lambda done, total: None)
        tell(0, len(blocks))
        results: dict[int, T] = {}
        total: T | None = None
        following = 0
        for done, (block, result) in enumerate(run_bag(work, blocks, self.client), start=1):
            if isinstance(result, EmodaskError):
                raise result
            if killed_its_workers(result):
                raise ClusterError(
                    f"{self.address}/{self.name}: every worker that read {block} died; see the "
                    "workers' logs, or give them more memory"
                )
            if isinstance(result, Exception):
                raise EvaluationError(
                    f"{self.address}/{self.name}: {block}: {type(result).__name__}: "
                    f"{reason(result)}"
                ) from result
            results[block.number] = result
            # In the order of the rows, whichever block ends first: sums depend on their order.
            while following in results:
                part = results.pop(following)
                total = part if total is None else combine(total, part)
                following += 1
            tell(done, len(blocks))
        assert total is not None
        return total

    def _blocks(self, groups: Groups | None) -> list[_Block]:
        chunk_of_row = self.rows // self.chunk_rows
        starts = np.flatnonzero(np.diff(chunk_of_row, prepend=-1))
        size = max(_CHUNKS_PER_BLOCK, -(-len(starts) // _MOST_BLOCKS))
        cuts = [*starts[::size].tolist(), len(self.rows)]
        spans = [
            slice(start, stop)
            for start, stop in itertools.pairwise(cuts)
            if groups is None or (groups[start:stop] >= 0).any()
        ]
        return [
            _Block(span.start, self.rows[span], None if groups is None else groups[span], number)
            for number, span in enumerate(spans)
        ]


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows of a few chunks: ``first`` is the place of the first among all rows of the pass."""

    first: int
    rows: npt.NDArray[np.intp]
    groups: Groups | None
    number: int = 0

    def __str__(self) -> str:
        return f"rows {self.rows[0]} to {self.rows[-1]}"


def _reduce(
    address: StoreAddress,
    name: str,
    function: ChunkFunction[T],
    combine: Callable[[T, T], T],
    shared: object,
    block: _Block,
) -> T:
    def of(first: int, count: int) -> Groups | None:
        place = first - block.first
        return None if block.groups is None else block.groups[place : place + count]

    with single_threaded():
        parts = (
            function(chunk, first, of(first, len(chunk)), shared)
            for first, chunk in _read(address, name, block)
        )
        return functools.reduce(combine, parts)


def _has_variants(array: zarr.Array[Any]) -> bool:
    names = getattr(array.metadata, "dimension_names", None) or ()
    return names[1:2] == (VARIANT,)


def _read(
    address: StoreAddress, name: str, block: _Block, with_variants: bool = False
) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """First row and numbers of every chunk of a block, all read into one buffer."""
    array: zarr.Array[Any] = stored_array(open_group(address), name)
    size = rows_decoded_together(array)
    first_alone = _has_variants(array) and not with_variants
    chunk_of_row = block.rows // size
    buffer = np.empty((min(size, array.shape[0]), *array.shape[1:]), array.dtype)
    for number in np.unique(chunk_of_row):
        places = np.flatnonzero(chunk_of_row == number)
        if block.groups is not None and (block.groups[places] < 0).all():
            continue
        start = int(number) * size
        chunk = buffer[: min(size, array.shape[0] - start)]
        decode_rows(array, address, name, start, chunk)
        if first_alone:
            chunk = chunk[:, 0]
        wanted = block.rows[places] - start
        yield (
            block.first + int(places[0]),
            chunk if len(wanted) == len(chunk) else chunk[wanted],
        )
