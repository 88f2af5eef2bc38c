"""Where a store lies, and what lies there."""

from __future__ import annotations

import warnings
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.storage import FsspecStore, LocalStore

from emodask.errors import SourceError, StoreError, UnreachableStoreError
from emodask.scrubbing import clean_cause
from emodask.sources.addresses import StorageOptions, is_url, options_for, redact
from emodask.sources.faults import is_transient
from emodask.sources.listing import entries, kind_of
from emodask.sources.location import missing_package, open_filesystem, reason
from emodask.sources.retry import retrying
from emodask.store.layout import FORMAT
from emodask.store.retrying import RetryingStore

# Variable-length strings are a registered Zarr v3 extension that zarr-python and xarray read.
warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")


ROOT = "zarr.json"
"""The root's metadata: written last, so that a store is there when it is."""

MARKER = "emodask-creating.json"
"""Stands beside the arrays while a store is being created."""


@dataclass(frozen=True)
class StoreAddress:
    """Where a store lies: a local path or an fsspec URL, and its storage options."""

    url: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(
        cls, store: str | Path | StoreAddress, options: StorageOptions | None = None
    ) -> StoreAddress:
        """Take an address as users give it; a local path becomes absolute, as workers need it."""
        if isinstance(store, StoreAddress):
            return store
        url = str(store)
        if not url.strip():
            raise StoreError("an empty store address; pass a path or a URL")
        if url.startswith("file://"):
            url = url.removeprefix("file://")
        if not is_url(url):
            url = str(Path(url).expanduser().absolute())
        return cls(url, tuple(sorted((options or {}).items())))

    def __str__(self) -> str:
        return redact(self.url)

    def __repr__(self) -> str:
        """Show the address alone: options may hold secrets."""
        return f"StoreAddress({str(self)!r})"

    def zarr_store(self, read_only: bool = False) -> ZarrStore:
        """The store as zarr sees it; it asks again when what failed may pass."""
        if not is_url(self.url):
            return RetryingStore(LocalStore(Path(self.url), read_only=read_only), str(self))
        options = options_for(self.url, dict(self.options))
        try:
            found = FsspecStore.from_url(self.url, storage_options=options, read_only=read_only)
        except ImportError as error:
            raise StoreError(f"{self}: {missing_package(self.url, error)}") from error
        except Exception as error:  # each file system refuses options in words of its own
            raise StoreError(f"{self}: {reason(error)}") from clean_cause(error)
        _end_quietly(found.fs)
        return RetryingStore(found, str(self))


def _end_quietly(fs: Any) -> None:
    """Call off what adlfs would do at exit on an event loop that an asynchronous one has not.

    It would fail, with a traceback after the last line of each command; the process that ends
    closes the connections.
    """
    from fsspec.asyn import sync

    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        alive = finalizer.peek()
        if alive and alive[0] is fs and alive[1] is sync and alive[2][0] is None:
            finalizer.detach()


def existing(address: StoreAddress) -> dict[str, Any] | None:
    """Attributes of the store that lies there; None if nothing does, or an unfinished creation."""
    group = _found(address, "r")
    return None if group is None else attributes(group)


def _found(address: StoreAddress, mode: Literal["r", "r+"]) -> zarr.Group | None:
    store = address.zarr_store(read_only=mode == "r")
    try:
        group = zarr.open_group(store, mode=mode, zarr_format=3)
    except FileNotFoundError:
        if _is_empty(address):
            return None
        raise StoreError(
            f"{address}: something that is not an emodask store lies there; use another place"
        ) from None
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"{address}: cannot be opened: {reason(error)}") from clean_cause(error)
    ours = group.attrs.get("emodask")
    if not isinstance(ours, dict):
        raise StoreError(
            f"{address}: a Zarr group, but not one that emodask wrote; use another place"
        )
    if ours.get("format") != FORMAT:
        raise StoreError(
            f"{address}: has format {ours.get('format')}, and this emodask reads format {FORMAT}"
        )
    return group


def _is_empty(address: StoreAddress) -> bool:
    if not is_url(address.url):
        folder = Path(address.url)
        if (folder / MARKER).exists():
            return True
        return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    fs, path = open_filesystem(address.url, dict(address.options))

    def look() -> bool:
        fs.invalidate_cache()  # another process may have written since
        if kind_of(fs, f"{path}/{MARKER}"):
            return True
        return kind_of(fs, path) != "file" and not entries(fs, path)

    try:
        return retrying(look)
    except SourceError as error:
        raise StoreError(str(error)) from clean_cause(error)
    except Exception as error:
        kind = UnreachableStoreError if is_transient(error) else StoreError
        raise kind(f"{address}: cannot be listed: {reason(error)}") from clean_cause(error)


def open_group(address: StoreAddress, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """Open an existing store as a Zarr group, in one request.

    Raises
    ------
    StoreError
        If there is none, or its creation was never finished.
    """
    group = _found(address, mode)
    if group is None:
        raise StoreError(
            f"{address}: there is no store, or its creation was interrupted; "
            "write it with 'emodask extract'"
        )
    return group


def attributes(group: zarr.Group) -> dict[str, Any]:
    """What emodask wrote about a store: format, version, job settings, digest, sizes."""
    found: Any = group.attrs["emodask"]
    return dict(found)


def stored_array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    try:
        array = group[name]
    except KeyError:
        array = None
    if not isinstance(array, zarr.Array):
        raise StoreError(f"{group.store}: no array {name} in this store")
    return array


def strings(group: zarr.Group, name: str) -> npt.NDArray[Any]:
    return np.asarray(stored_array(group, name)[:])
