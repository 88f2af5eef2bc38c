"""Passes over the rows of an array, chunk by chunk: NumPy's, dask's or one that lies elsewhere.

A chunk is a run of consecutive rows (clips). Inside a chunk the work goes slab by slab: a slab is
as many rows as fit the processor's cache, at least one, C-contiguous, float32 or float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError, UsageError

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Groups: TypeAlias = npt.NDArray[np.integer[Any]]
T = TypeVar("T")
ChunkFunction: TypeAlias = Callable[[npt.NDArray[Any], int, Groups | None, Any], T]
"""Of a chunk, its first row, the group of each of its rows, and what all calls share."""

ROWS_PER_CHUNK = 12
NUMBERS_PER_SLAB = 2**20
_FAN_IN = 8


@runtime_checkable
class ChunkedRows(Protocol):
    """Rows that lie elsewhere: read chunk by chunk, where and in how many processes they choose."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and the shape of one: ``(n, d1, ..., dk)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""

    def chunks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """First row and numbers of every chunk; they hold until the next is asked for."""

    def reduce_chunks(
        self,
        function: ChunkFunction[T],
        combine: Callable[[T, T], T],
        shared: object,
        groups: Groups | None,
    ) -> T:
        """What :func:`reduce_chunks` asks for."""


Rows: TypeAlias = Any  # a NumPy or dask array, or ChunkedRows; dask's type would import dask


def is_dask(X: object) -> bool:
    """Whether ``X`` is a dask array, found out without importing dask.

    Examples
    --------
    >>> is_dask(np.zeros(3))
    False
    """
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


def working_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Type that the numbers are computed in: float32 for float16 and float32, else float64.

    Examples
    --------
    >>> working_dtype("float16").name, working_dtype("float32").name, working_dtype("uint8").name
    ('float32', 'float32', 'float64')
    """
    single = np.dtype(dtype) in (np.float16, np.float32)
    return np.dtype(np.float32) if single else np.dtype(np.float64)


def as_rows(X: Any) -> Any:
    """Check that ``X`` holds rows of real numbers; give it as rows that can be passed over.

    Parameters
    ----------
    X : array_like, dask array or ChunkedRows, (n, d1, ..., dk)
        Anything that NumPy makes an array of, or a dask array of any chunking.

    Returns
    -------
    NumPy array, dask array or ChunkedRows, (n, d1, ..., dk)
        A dask array is rechunked so that only the first axis is cut.

    Raises
    ------
    UsageError
        If there are fewer than two axes, the numbers are not real, or row counts are unknown.

    Examples
    --------
    >>> as_rows([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    lies_elsewhere = is_dask(X) or isinstance(X, ChunkedRows)
    if not lies_elsewhere:
        X = np.asarray(X)
    if X.dtype.kind not in "buif":
        raise UsageError(f"expected an array of real numbers, found dtype {X.dtype}")
    if len(X.shape) < 2:
        raise UsageError(f"expected rows of features (n, d1, ...), found shape {X.shape}")
    if not is_dask(X):
        return X
    if any(np.isnan(size) for sizes in X.chunks for size in sizes):
        raise UsageError("the dask array's chunk sizes are unknown; call compute_chunk_sizes()")
    return X.rechunk({axis: -1 for axis in range(1, X.ndim)})


def slabs(chunk: npt.NDArray[Any]) -> Iterator[tuple[int, Floats]]:
    """First row and numbers of each slab: contiguous, copied only where layout or type differ.

    Examples
    --------
    >>> [(start, slab.shape) for start, slab in slabs(np.zeros((3, 2**20), np.float32))]
    [(0, (1, 1048576)), (1, (1, 1048576)), (2, (1, 1048576))]
    """
    for _, rows, slab in slabs_by_group(chunk, 0, None):
        yield int(rows[0]), slab


def slabs_by_group(
    chunk: npt.NDArray[Any], first: int, groups: Groups | None
) -> Iterator[tuple[int, npt.NDArray[np.intp], Floats]]:
    """Slabs that hold rows of one group each.

    Parameters
    ----------
    chunk : ndarray, (rows, d1, ..., dk)
    first : int
        Row of the chunk's first.
    groups : ndarray of int, (rows,), or None
        Group of each row, below 0 for rows to leave out; None: all are of group 0.

    Yields
    ------
    group : int
    rows : ndarray of int
        Which rows the slab holds, counted from the array's first.
    slab : ndarray of float32 or float64, C-contiguous

    Examples
    --------
    >>> chunk = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> for group, rows, slab in slabs_by_group(chunk, 10, np.array([0, 1, -1, 0])):
    ...     print(group, rows, slab.ravel())
    0 [10 13] [1. 4.]
    1 [11] [2.]
    """
    size = max(1, NUMBERS_PER_SLAB // max(1, int(np.prod(chunk.shape[1:]))))
    dtype = working_dtype(chunk.dtype)
    of_row = np.zeros(len(chunk), np.intp) if groups is None else groups
    for group in np.unique(of_row[of_row >= 0]):
        at = np.flatnonzero(of_row == group)
        for start in range(0, len(at), size):
            rows = at[start : start + size]
            consecutive = rows[-1] - rows[0] == len(rows) - 1
            # A slice is a view; picking rows one by one is a copy.
            taken = chunk[rows[0] : rows[-1] + 1] if consecutive else chunk[rows]
            yield int(group), first + rows, np.ascontiguousarray(taken, dtype=dtype)


def reduce_chunks(
    X: Rows,
    function: ChunkFunction[T],
    combine: Callable[[T, T], T],
    shared: object = None,
    groups: Groups | None = None,
) -> T:
    """One pass over ``X``: ``function`` of every chunk, combined to one value.

    Parameters
    ----------
    X : NumPy array, dask array or ChunkedRows, (n, d1, ..., dk)
        As :func:`as_rows` gives it. NumPy arrays are sliced, never copied; dask's are computed
        block by block under whatever scheduler is active and combined in a tree.
    function : callable
        ``function(chunk, first_row, groups_of_its_rows, shared)``.
    combine : callable
        ``combine(left, right)``, associative.
    shared : object
        Handed to every call; sent to a dask worker as one task, not one for each block.
    groups : ndarray of int, (n,), optional
        A number for each row, handed on with its chunk.

    Raises
    ------
    EvaluationError
        If there are no rows.

    Examples
    --------
    >>> reduce_chunks(np.ones((30, 2)), lambda chunk, *rest: len(chunk), int.__add__)
    30
    """
    if X.shape[0] == 0:
        raise EvaluationError("there are no clips to fit on: the array has 0 rows")
    if isinstance(X, ChunkedRows):
        return X.reduce_chunks(function, combine, shared, groups)

    def of(start: int, stop: int) -> Groups | None:
        return None if groups is None else groups[start:stop]

    if not is_dask(X):
        parts = (
            function(X[i : i + ROWS_PER_CHUNK], i, of(i, i + ROWS_PER_CHUNK), shared)
            for i in range(0, len(X), ROWS_PER_CHUNK)
        )
        return functools.reduce(combine, parts)

    from dask import delayed

    common = delayed(shared, traverse=False)
    firsts = [int(first) for first in np.cumsum([0, *X.chunks[0]])]
    blocks = zip(X.to_delayed().ravel(), firsts, firsts[1:], strict=False)
    tasks = [
        delayed(function)(block, start, of(start, stop), common)
        for block, start, stop in blocks
        if stop > start
    ]
    while len(tasks) > 1:
        sets = [tasks[i : i + _FAN_IN] for i in range(0, len(tasks), _FAN_IN)]
        tasks = [delayed(functools.reduce)(combine, part) for part in sets]
    result: T = tasks[0].compute()
    return result


def map_rows(
    X: Rows, function: Callable[[Floats], Floats], shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Any:
    """Apply a function of slabs to all rows: lazily for dask arrays, at once for others.

    Parameters
    ----------
    X : NumPy array, dask array or ChunkedRows, (n, d1, ..., dk)
        As :func:`as_rows` gives it.
    function : callable
        Turns a slab (rows, d1, ..., dk) into (rows, \\*shape); must not change its argument.
    shape : tuple of int
        Shape of one resulting row, with no more axes than one of ``X``.
    dtype : dtype
        Of the result.

    Returns
    -------
    NumPy or dask array, (n, \\*shape)

    Examples
    --------
    >>> map_rows(np.ones((3, 2)), lambda slab: 2 * slab, (2,), "float64").sum()
    np.float64(12.0)
    """
    apply = functools.partial(_map_chunk, function=function, shape=shape, dtype=np.dtype(dtype))
    if isinstance(X, ChunkedRows):
        whole = np.empty((X.shape[0], *shape), dtype)
        for first, chunk in X.chunks():
            whole[first : first + len(chunk)] = apply(chunk)
        return whole
    if not is_dask(X):
        return apply(X)
    return X.map_blocks(
        apply,
        dtype=dtype,
        chunks=(X.chunks[0], *((size,) for size in shape)),
        drop_axis=list(range(1 + len(shape), X.ndim)),
        meta=np.empty((0,) * (1 + len(shape)), dtype),
    )


def _map_chunk(
    chunk: npt.NDArray[Any],
    function: Callable[[Floats], Floats],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> npt.NDArray[Any]:
    result = np.empty((len(chunk), *shape), dtype)
    for start, slab in slabs(chunk):
        result[start : start + len(slab)] = function(slab)
    return result
