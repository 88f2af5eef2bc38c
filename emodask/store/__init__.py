"""The Zarr layout: array specs, whole-chunk writes, resume, verify, open as xarray."""

from __future__ import annotations

from emodask.store.address import StoreAddress, attributes, existing, open_group, stored_array
from emodask.store.creation import sweep
from emodask.store.layout import (
    Row,
    Status,
    checksum,
    incomplete_reason,
    missing_modalities,
    specs,
)
from emodask.store.reading import (
    describe,
    failures,
    open_store,
    read_rows,
    read_status,
    refresh_status,
)
from emodask.store.streamed import StreamedMatrix
from emodask.store.verification import Verification, verify
from emodask.store.writing import prepare, write_batch

__all__ = [
    "Row",
    "Status",
    "StoreAddress",
    "StreamedMatrix",
    "Verification",
    "attributes",
    "checksum",
    "describe",
    "existing",
    "failures",
    "incomplete_reason",
    "missing_modalities",
    "open_group",
    "open_store",
    "prepare",
    "read_rows",
    "read_status",
    "refresh_status",
    "specs",
    "stored_array",
    "sweep",
    "verify",
    "write_batch",
]
