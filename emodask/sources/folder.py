"""A folder or the part of a bucket below a prefix: small files put and fetched whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emodask.sources.addresses import StorageOptions, redact
from emodask.sources.location import open_filesystem
from emodask.sources.retry import retrying

_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
"""Protocols without folders: making one might make a bucket."""


@dataclass(frozen=True)
class Folder:
    """A place for files, local or on a server; each request is repeated while it may succeed.

    Errors are those of its file system; :func:`emodask.sources.location.reason` words them.
    """

    fs: Any
    path: str
    address: str

    @classmethod
    def at(cls, folder: str | Path, options: StorageOptions | None = None) -> Folder:
        """The folder of an address, with the storage options meant for it."""
        fs, path = open_filesystem(str(folder), options)
        return cls(fs, str(path).rstrip("/"), redact(str(folder)).rstrip("/"))

    def make(self) -> None:
        """Create it where there is such a thing as a folder."""
        protocols = (self.fs.protocol,) if isinstance(self.fs.protocol, str) else self.fs.protocol
        if _BUCKETS.isdisjoint(protocols):
            retrying(lambda: self.fs.makedirs(self.path, exist_ok=True))

    def write(self, name: str, data: bytes) -> None:
        """Put one file, whole."""
        retrying(lambda: self.fs.pipe_file(f"{self.path}/{name}", data))

    def read(self, name: str) -> bytes:
        """All bytes of one file."""
        return retrying(lambda: bytes(self.fs.cat_file(f"{self.path}/{name}")))

    def remove(self, name: str) -> None:
        """Delete one file if it is there."""

        def gone() -> None:
            self.fs.invalidate_cache()
            if self.fs.exists(f"{self.path}/{name}"):
                self.fs.rm_file(f"{self.path}/{name}")

        retrying(gone)
