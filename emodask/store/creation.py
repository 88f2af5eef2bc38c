"""Creating a store: every object put whole, the root's metadata last.

No locks: what is put is fixed by the job and the clips, so that doing it twice, or two at once
doing it, gives the same objects. A marker tells a creation that never ended from others' files.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync

from emodask.errors import StoreError
from emodask.scrubbing import clean_cause
from emodask.sources.location import is_url, reason
from emodask.store.address import MARKER, ROOT, StoreAddress

_AT_ONCE = 16
_STILL_AT_WORK = 600.0
"""Seconds for which the marker of another job's creation is taken to be of a living one."""
_STALE_PARTIAL = 120.0
"""Seconds after which no living process is still at one chunk."""


def create(address: StoreAddress, objects: Mapping[str, Buffer]) -> None:
    """Put all objects of a new store, the root's metadata last.

    Parameters
    ----------
    address : StoreAddress
        Where nothing lies, or what an interrupted creation has left.
    objects : mapping of str to Buffer
        By key, among them the root's metadata.

    Raises
    ------
    StoreError
        If it cannot be written, or another job's creation is going on there.
    """
    try:
        sync(_create(address, address.zarr_store(), objects))
    except OSError as error:
        raise StoreError(f"{address}: cannot be written: {reason(error)}") from clean_cause(error)


async def _create(address: StoreAddress, store: ZarrStore, objects: Mapping[str, Buffer]) -> None:
    identity = _identity(objects)
    marker = await _read_marker(store)
    if marker is not None and marker.get("identity") != identity:
        if time.time() - float(marker.get("time", 0)) < _STILL_AT_WORK:
            raise StoreError(
                f"{address}: a store for another job or other sources is being created there; "
                "use another place, or try again in some minutes if that was stopped"
            )
        await store.clear()
    buffer = default_buffer_prototype().buffer
    text = json.dumps({"identity": identity, "time": time.time()})
    await store.set(MARKER, buffer.from_bytes(text.encode()))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def put(key: str) -> None:
        async with gate:
            await store.set(key, objects[key])

    await asyncio.gather(*(put(key) for key in sorted(objects) if key != ROOT))
    await store.set(ROOT, objects[ROOT])
    await _delete_marker(store)


def _identity(objects: Mapping[str, Buffer]) -> str:
    state = hashlib.sha256()
    for key in sorted(objects):
        state.update(key.encode() + b"\0" + objects[key].to_bytes())
    return state.hexdigest()[:16]


async def _read_marker(store: ZarrStore) -> dict[str, Any] | None:
    found = await store.get(MARKER, default_buffer_prototype())
    if found is None:
        return None
    with contextlib.suppress(ValueError):
        marker = json.loads(found.to_bytes())
        if isinstance(marker, dict):
            return marker
    return {}


async def _delete_marker(store: ZarrStore) -> None:
    with contextlib.suppress(FileNotFoundError):
        await store.delete(MARKER)


def sweep(address: StoreAddress, unfinished: Collection[int]) -> None:
    """Remove what processes killed in the middle of a write have left beside the chunks.

    Parameters
    ----------
    address : StoreAddress
    unfinished : collection of int
        Batches that are still to be committed: of folders that hold one batch's chunks, only
        theirs are looked into.
    """
    store = address.zarr_store()

    async def _sweep() -> None:
        if await store.exists(MARKER):
            await _delete_marker(store)

    with contextlib.suppress(OSError, StoreError):
        sync(_sweep())
    if is_url(address.url):
        return
    mine = {str(number) for number in unfinished}
    for folder, below, names in os.walk(address.url):
        if os.path.basename(folder) == "c":  # as Zarr calls what holds the chunks of an array
            below[:] = mine.intersection(below)
        for name in names:
            if name.endswith(".partial"):
                _remove_if_stale(Path(folder, name))


def _remove_if_stale(partial: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - partial.stat().st_mtime > _STALE_PARTIAL:
            partial.unlink()
