"""Reading a store back: rows, status, a description, an xarray dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr

from emodask.sources.location import StorageOptions
from emodask.store.address import StoreAddress, attributes, open_group, stored_array, strings
from emodask.store.layout import Row, Status
from emodask.store.small_chunks import read_small_chunks

if TYPE_CHECKING:
    import xarray


def read_rows(group: zarr.Group, start: int, stop: int) -> list[Row]:
    """Rows of one batch as they stand in the store."""
    span = slice(start, stop)
    names = attributes(group)["features"]
    status = np.asarray(stored_array(group, "status")[span])
    stacks = {name: np.asarray(stored_array(group, name)[span]) for name in names}
    errors = strings(group, "error")[span]
    seconds, frames = stored_array(group, "seconds")[span], stored_array(group, "frames")[span]
    sums = np.asarray(stored_array(group, "checksum")[span])
    return [
        Row(
            status=Status(int(status[i])),
            features={name: stacks[name][i] for name in names},
            error=str(errors[i]),
            seconds=float(np.asarray(seconds)[i]),
            frames=int(np.asarray(frames)[i]),
            checksum=int(sums[i]),
        )
        for i in range(stop - start)
    ]


def read_status(
    group: zarr.Group, start: int | None = None, stop: int | None = None
) -> npt.NDArray[np.uint8]:
    """The commit record of all rows, or of those from ``start`` up to but without ``stop``."""
    array = stored_array(group, "status")
    if start is None and stop is None:
        return read_small_chunks(array, range(-(-array.shape[0] // array.chunks[0])))
    return np.asarray(array[slice(start, stop)])


def refresh_status(
    group: zarr.Group, status: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]:
    """What the store says now of rows that were pending: their chunks' rows, and their status.

    Parameters
    ----------
    group : zarr.Group
    status : ndarray of uint8, shape (n,)
        Of all rows, as far as is known.
    """
    array = stored_array(group, "status")
    size = array.chunks[0]
    numbers = np.unique(np.flatnonzero(status == Status.PENDING) // size)
    rows = (numbers[:, np.newaxis] * size + np.arange(size)).ravel()
    return rows[rows < len(status)], read_small_chunks(array, numbers.tolist())


def failures(
    group: zarr.Group, status: npt.NDArray[np.uint8] | None = None
) -> list[tuple[str, str]]:
    """Clip and reason of every failed row; ``status`` is that of all rows, if it is known."""
    failed = np.flatnonzero((read_status(group) if status is None else status) == Status.FAILED)
    if not failed.size:
        return []
    names, errors = (stored_array(group, name).oindex[failed] for name in ("clip_id", "error"))
    return [
        (str(name), str(error))
        for name, error in zip(np.asarray(names), np.asarray(errors), strict=True)
    ]


def describe(
    store: str | Path | StoreAddress, storage_options: StorageOptions | None = None
) -> dict[str, Any]:
    """What a store holds, as plain JSON values.

    Returns
    -------
    dict
        ``store``, ``emodask`` (version), ``job`` (extraction settings), ``job_digest``, ``batch``,
        ``counts`` (rows by status), ``actors``, ``arrays`` and ``failures``.
    """
    address = StoreAddress.of(store, storage_options)
    group = open_group(address)
    about = attributes(group)
    status = read_status(group)
    return {
        "store": str(address),
        "emodask": about["version"],
        "job": about["job"],
        "job_digest": about["digest"],
        "batch": about["batch"],
        "counts": {s.name.lower(): int((status == s).sum()) for s in Status},
        "actors": sorted({int(actor) for actor in np.asarray(stored_array(group, "actor")[:])}),
        "arrays": {
            name: {
                "dims": list(stored_array(group, name).metadata.dimension_names or ()),  # type: ignore[union-attr]
                "shape": list(stored_array(group, name).shape),
                "chunks": list(stored_array(group, name).chunks),
                "dtype": str(stored_array(group, name).dtype),
            }
            for name in about["features"]
        },
        "failures": failures(group, status),
    }


def open_store(
    store: str | Path | StoreAddress,
    storage_options: StorageOptions | None = None,
    status: Sequence[int] | None = (Status.DONE,),
) -> xarray.Dataset:
    """Open a store as a lazy :class:`xarray.Dataset`.

    Parameters
    ----------
    store : str, Path or StoreAddress
        Local path or fsspec URL.
    storage_options : mapping, optional
        For fsspec.
    status : sequence of int, optional
        Rows to keep, by status; None keeps all, which is what plain ``xarray.open_zarr`` gives.

    Returns
    -------
    xarray.Dataset
        Feature arrays as dask arrays, one chunk a batch; identities and status as coordinates.
    """
    import xarray

    address = StoreAddress.of(store, storage_options)
    open_group(address)
    dataset = xarray.open_zarr(address.zarr_store(read_only=True))
    if status is None:
        return dataset
    return dataset.isel(clip=np.flatnonzero(np.isin(dataset["status"].values, list(status))))
