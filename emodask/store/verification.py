"""Checking the stored bytes against the checksums that were committed with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emodask.sources.location import StorageOptions, reason
from emodask.store.address import StoreAddress, attributes, open_group, stored_array
from emodask.store.layout import Status, checksum


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found: rows by status, and damage in words."""

    counts: dict[str, int]
    damage: tuple[str, ...]


def verify(
    store: str | Path | StoreAddress, storage_options: StorageOptions | None = None
) -> Verification:
    """Recompute every committed row's checksum from the stored bytes.

    Parameters
    ----------
    store : str, Path or StoreAddress
    storage_options : mapping, optional

    Returns
    -------
    Verification
        ``damage`` is empty for a sound store.
    """
    address = StoreAddress.of(store, storage_options)
    group = open_group(address)
    about = attributes(group)
    size, batch, names = int(about["clips"]), int(about["batch"]), about["features"]
    counts = dict.fromkeys((s.name.lower() for s in Status), 0)
    damage: list[str] = []
    for start in range(0, size, batch):
        span = slice(start, min(start + batch, size))
        rows = f"rows {span.start} to {span.stop - 1}"
        try:
            status = np.asarray(stored_array(group, "status")[span])
            sums = np.asarray(stored_array(group, "checksum")[span])
            stacks = [np.asarray(stored_array(group, name)[span]) for name in names]
        except Exception as error:
            damage.append(f"{rows}: a chunk cannot be read: {reason(error)}")
            continue
        for i, code in enumerate(status):
            if code > max(Status):
                damage.append(f"row {start + i}: unknown status {code}")
                continue
            counts[Status(int(code)).name.lower()] += 1
            if code != Status.PENDING and checksum([stack[i] for stack in stacks]) != int(sums[i]):
                damage.append(f"row {start + i}: the features are not those that were written")
    return Verification(counts, tuple(damage))
