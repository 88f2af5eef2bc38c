"""Reading an array of very many small chunks, such as ``status``: many requests at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

_AT_ONCE = 64
"""Requests under way at a time."""


def read_small_chunks(array: zarr.Array[Any], numbers: Sequence[int]) -> npt.NDArray[Any]:
    """Rows of some chunks of an array with one dimension, one chunk after another.

    zarr would take half a millisecond a chunk to set up its decoding. Chunks of a few bytes are
    mostly equal to others: each different one is decoded once, by zarr, whatever the codecs.

    Parameters
    ----------
    array : zarr.Array, one dimension
    numbers : sequence of int
        Which chunks, ascending.

    Returns
    -------
    ndarray
    """
    size, (n_rows,) = array.chunks[0], array.shape
    found = sync(_fetch(array, numbers))
    decoded = {raw: _decode(array, raw) for raw in set(found)}
    rows = [
        decoded[raw][: min(size, n_rows - number * size)]
        for number, raw in zip(numbers, found, strict=True)
    ]
    return np.concatenate(rows) if rows else np.empty(0, array.dtype)


async def _fetch(array: zarr.Array[Any], numbers: Sequence[int]) -> list[bytes | None]:
    """The bytes of each chunk; None for one that was never written."""
    store, prototype = array.store, default_buffer_prototype()
    found: list[bytes | None] = [None] * len(numbers)
    same: dict[bytes, bytes] = {}

    async def fetch(places: Iterator[int]) -> None:
        for place in places:
            key = f"{array.path}/{array.metadata.encode_chunk_key((numbers[place],))}"
            value = await store.get(key.lstrip("/"), prototype)
            if value is not None:
                raw = value.to_bytes()
                found[place] = same.setdefault(raw, raw)

    places = iter(range(len(numbers)))
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(_AT_ONCE, len(numbers))):
                tasks.create_task(fetch(places))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return found


def _decode(array: zarr.Array[Any], raw: bytes | None) -> npt.NDArray[Any]:
    """One chunk as zarr decodes it, from a store in memory that holds nothing else."""
    prototype = default_buffer_prototype()
    objects = array.metadata.to_buffer_dict(prototype)
    if raw is not None:
        objects[array.metadata.encode_chunk_key((0,))] = prototype.buffer.from_bytes(raw)
    alone = zarr.open_array(MemoryStore(dict(objects)), mode="r")
    return np.asarray(alone[: array.chunks[0]])
