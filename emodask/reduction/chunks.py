"""Passes over the rows of an array, chunk by chunk: slices of NumPy arrays or blocks of dask's.

A chunk is a run of consecutive rows (clips). Inside a chunk the work goes slab by slab: a slab is
as many rows as fit the processor's cache, at least one, C-contiguous, float32 or float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError, UsageError

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Rows: TypeAlias = Any  # a NumPy or dask array; naming dask's type would import dask
T = TypeVar("T")

ROWS_PER_CHUNK = 12
NUMBERS_PER_SLAB = 2**20
_FAN_IN = 8


def is_dask(X: object) -> bool:
    """Whether ``X`` is a dask array, found out without importing dask.

    Examples
    --------
    >>> is_dask(np.zeros(3))
    False
    """
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


def working_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Type that the numbers are computed in: float32 stays, all others become float64.

    Examples
    --------
    >>> working_dtype("float32").name, working_dtype("uint8").name
    ('float32', 'float64')
    """
    return np.dtype(np.float32) if np.dtype(dtype) == np.float32 else np.dtype(np.float64)


def as_rows(X: Any) -> Any:
    """Check that ``X`` holds rows of real numbers; give it as a NumPy or row-chunked dask array.

    Parameters
    ----------
    X : array_like or dask array, (n, d1, ..., dk)
        Anything that NumPy makes an array of, or a dask array of any chunking.

    Returns
    -------
    NumPy or dask array, (n, d1, ..., dk)
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
    if not is_dask(X):
        X = np.asarray(X)
    if X.dtype.kind not in "buif":
        raise UsageError(f"expected an array of real numbers, found dtype {X.dtype}")
    if X.ndim < 2:
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
    rows = max(1, NUMBERS_PER_SLAB // max(1, int(np.prod(chunk.shape[1:]))))
    dtype = working_dtype(chunk.dtype)
    for start in range(0, len(chunk), rows):
        yield start, np.ascontiguousarray(chunk[start : start + rows], dtype=dtype)


def reduce_chunks(
    X: Rows,
    function: Callable[[npt.NDArray[Any], int, Any], T],
    combine: Callable[[T, T], T],
    shared: object = None,
) -> T:
    """One pass over ``X``: ``function`` of every chunk, combined to one value.

    Parameters
    ----------
    X : NumPy or dask array, (n, d1, ..., dk)
        As :func:`as_rows` gives it. NumPy arrays are sliced, never copied; dask's are computed
        block by block under whatever scheduler is active and combined in a tree.
    function : callable
        ``function(chunk, first_row, shared)``.
    combine : callable
        ``combine(left, right)``, associative.
    shared : object
        Handed to every call; sent to a dask worker as one task, not one for each block.

    Raises
    ------
    EvaluationError
        If there are no rows.

    Examples
    --------
    >>> reduce_chunks(np.ones((30, 2)), lambda chunk, row, shared: len(chunk), int.__add__)
    30
    """
    if X.shape[0] == 0:
        raise EvaluationError("there are no clips to fit on: the array has 0 rows")
    if not is_dask(X):
        starts = range(0, len(X), ROWS_PER_CHUNK)
        parts = (function(X[i : i + ROWS_PER_CHUNK], i, shared) for i in starts)
        return functools.reduce(combine, parts)

    from dask import delayed

    common = delayed(shared, traverse=False)
    firsts = np.cumsum([0, *X.chunks[0]])
    blocks = zip(X.to_delayed().ravel(), firsts, X.chunks[0], strict=False)
    tasks = [delayed(function)(block, int(i), common) for block, i, size in blocks if size]
    while len(tasks) > 1:
        groups = [tasks[i : i + _FAN_IN] for i in range(0, len(tasks), _FAN_IN)]
        tasks = [delayed(functools.reduce)(combine, group) for group in groups]
    result: T = tasks[0].compute()
    return result


def map_rows(
    X: Rows, function: Callable[[Floats], Floats], shape: tuple[int, ...], dtype: npt.DTypeLike
) -> Any:
    """Apply a function of slabs to all rows: at once for NumPy arrays, lazily for dask's.

    Parameters
    ----------
    X : NumPy or dask array, (n, d1, ..., dk)
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
