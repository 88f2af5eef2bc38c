"""The rows of a store for browsing: small columns read once, status anew where it may change."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr

from emodask.errors import EmodaskError, StoreError
from emodask.page.results.folders import RECORD, STORE
from emodask.page.results.reading import Remembered, Stamp, entries, stamp_of
from emodask.page.results.runs import Run
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import reason
from emodask.store import (
    Status,
    StoreAddress,
    open_group,
    read_status,
    refresh_status,
    stored_array,
)

MOST_ROWS = 5_000_000
MOST_CHUNK = 1 << 30
"""Bytes of a chunk once decoded: what a store declares is not believed."""
_KEPT = 4
_PENDING_SECONDS = 3.0
"""For so long what a store said of pending rows is not asked again."""
_FINAL_SECONDS = 300.0
"""After so long all rows are asked again: failed ones may have been computed anew."""
_ZARR = "zarr.json"


@dataclass(frozen=True, eq=False)
class StoredRows:
    """The rows of a store.

    Attributes
    ----------
    address : StoreAddress
    group : zarr.Group
    names : pandas.Index
        Of the clips, one a row.
    actor, emotion : int16 arrays, shape (n,)
    status : uint8 array, shape (n,)
    version : Stamp
        Of the store: another one has other rows.
    """

    address: StoreAddress
    group: zarr.Group
    names: pd.Index[Any]
    actor: npt.NDArray[np.int16]
    emotion: npt.NDArray[np.int16]
    status: npt.NDArray[np.uint8]
    version: Stamp

    def __len__(self) -> int:
        return len(self.names)

    def row_of(self, clip: str) -> int | None:
        """The row of a clip by its name, None if there is no such clip."""
        found = self.names.get_indexer(pd.Index([clip], dtype=object))
        return int(found[0]) if found[0] >= 0 else None

    def counts(self) -> dict[Status, int]:
        """Rows by status."""
        found = np.bincount(self.status, minlength=len(Status))
        return {status: int(found[status]) for status in Status}

    def column(self, name: str, rows: Sequence[int] | npt.NDArray[Any]) -> list[Any]:
        """Values of a small column, of some rows alone."""
        if not len(rows):
            return []
        array = bounded(stored_array(self.group, name))
        found = np.asarray(array.oindex[np.asarray(rows)])
        return [str(value) if array.dtype.kind not in "iuf" else value.item() for value in found]


@dataclass(frozen=True)
class Wanted:
    """Which rows to show; None asks for no particular one.

    Attributes
    ----------
    actor, emotion : int, optional
        Codes.
    status : Status, optional
    """

    actor: int | None = None
    emotion: int | None = None
    status: Status | None = None

    def mask(self, rows: StoredRows) -> npt.NDArray[np.bool_]:
        """Whether each row is meant."""
        meant = np.ones(len(rows), np.bool_)
        for column, value in (
            (rows.actor, self.actor),
            (rows.emotion, self.emotion),
            (rows.status, self.status),
        ):
            if value is not None:
                meant &= column == value
        return meant


@dataclass(frozen=True)
class Sheet:
    """Some of many rows: one page of a table.

    Attributes
    ----------
    rows : tuple of int
        Those of the page.
    total : int
        All that are meant.
    number, count : int
        Which page this is, from 1, and how many there are.
    first : int
        Place of its first row among all that are meant, from 1; 0 if there are none.
    """

    rows: tuple[int, ...]
    total: int
    number: int
    count: int
    first: int


def sheet_of(mask: npt.NDArray[np.bool_], number: int, size: int) -> Sheet:
    """One page of the rows that are meant; the nearest there is to the number asked for.

    Examples
    --------
    >>> sheet_of(np.array([True, False, True, True]), 9, 2)
    Sheet(rows=(3,), total=3, number=2, count=2, first=3)
    """
    meant = np.flatnonzero(mask)
    count = max(1, math.ceil(len(meant) / size))
    number = min(max(number, 1), count)
    start = (number - 1) * size
    shown = tuple(meant[start : start + size].tolist())
    return Sheet(shown, len(meant), number, count, start + 1 if shown else 0)


class _Commits:
    """The commit record of a store, kept up with while rows are pending."""

    def __init__(self, group: zarr.Group) -> None:
        self._group = group
        self._lock = threading.Lock()
        self._status = _known(read_status(group))
        self._asked = time.monotonic()

    def now(self) -> npt.NDArray[np.uint8]:
        """What the store says, of pending rows anew."""
        with self._lock:
            old = time.monotonic() - self._asked > _PENDING_SECONDS
            if old and (self._status == Status.PENDING).any():
                rows, found = refresh_status(self._group, self._status)
                status = self._status.copy()  # others may be reading the one before
                status[rows] = _known(found)
                self._status, self._asked = status, time.monotonic()
            return self._status


class Stores:
    """The rows of the stores that were looked at last."""

    def __init__(self) -> None:
        self._labels: Remembered[StoredRows] = Remembered(_KEPT)
        self._commits: Remembered[_Commits] = Remembered(_KEPT)

    def rows(self, run: Run) -> StoredRows:
        """The rows of a run's store as they are now.

        Raises
        ------
        EmodaskError
            If it has none, or that cannot be read.
        """
        if not run.has_store:
            raise StoreError(f"{run.name}: there is no {STORE} beside its report to browse")
        try:
            inside = entries(Folder(run.folder.fs, f"{run.folder.path}/{STORE}", run.name))
            if _ZARR not in inside:
                raise StoreError(f"{run.name}: its {STORE} is not whole yet; come back later")
            version = stamp_of(inside[_ZARR])
            rows = self._labels.get(run.url, version, lambda: _labels_of(run.store, version))
            # What has failed may be computed anew, which the record tells only in the end.
            every = (version, run.stamps.get(RECORD), int(time.monotonic() / _FINAL_SECONDS))
            commits = self._commits.get(run.url, every, lambda: _Commits(rows.group))
            return replace(rows, status=commits.now())
        except EmodaskError:
            raise
        except Exception as error:  # data that somebody wrote, and each protocol's own errors
            raise StoreError(f"{run.name}: its {STORE} cannot be read: {reason(error)}") from (
                clean_cause(error)
            )


def _known(status: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Status of rows; what is none says no more than pending."""
    return np.where(status > max(Status), np.uint8(Status.PENDING), status)


def bounded(array: zarr.Array[Any], most_rows: int = MOST_ROWS) -> zarr.Array[Any]:
    """The same array, unless what it declares of itself would take all memory.

    Raises
    ------
    StoreError
    """
    width = max(array.dtype.itemsize, 1)
    if array.shape[0] > most_rows or math.prod(array.chunks) * width > MOST_CHUNK:
        raise StoreError(
            f"array {array.path}: {' x '.join(map(str, array.shape))} in chunks of "
            f"{' x '.join(map(str, array.chunks))}; too large to be browsed"
        )
    return array


def _labels_of(address: StoreAddress, version: Stamp) -> StoredRows:
    group = open_group(address)
    read = {
        name: np.asarray(bounded(stored_array(group, name))[:])
        for name in ("clip_id", "actor", "emotion")
    }
    bounded(stored_array(group, "status"))
    names = pd.Index(read["clip_id"].astype(object))
    lengths = {len(column) for column in read.values()}
    if not names.is_unique or len(lengths) != 1:
        raise StoreError(f"{address}: damaged: a clip has more than one row")
    nothing = np.zeros(len(names), np.uint8)
    return StoredRows(address, group, names, read["actor"], read["emotion"], nothing, version)
