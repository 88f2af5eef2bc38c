"""Chunks of a stored array -> numbers in a buffer; what cannot be decoded is said by its rows."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import zarr
from zarr.buffer.cpu import NDBuffer

from emodask.errors import EmodaskError, StoreError
from emodask.scrubbing import clean_cause
from emodask.sources.location import reason
from emodask.store.address import StoreAddress


def rows_decoded_together(array: zarr.Array[Any]) -> int:
    """Rows of what is read at once: a chunk, or a shard of them."""
    return int((array.shards or array.chunks)[0])


def decode_rows(
    array: zarr.Array[Any], address: StoreAddress, name: str, start: int, out: npt.NDArray[Any]
) -> None:
    """Decode as many rows as a buffer holds, from ``start`` on, into it.

    Raises
    ------
    StoreError
        If they cannot be read or decoded.
    """
    stop = start + len(out)
    try:
        array.get_basic_selection(slice(start, stop), out=NDBuffer.from_numpy_array(out))
    except EmodaskError:
        raise
    except Exception as error:  # each codec has errors of its own
        raise StoreError(
            f"{address}/{name}: rows {start} to {stop - 1} cannot be decoded: "
            f"{reason(error)}; 'emodask verify' finds every such row"
        ) from clean_cause(error)
