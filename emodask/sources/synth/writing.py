"""Zips that appear whole or not at all, and are the same bytes every time."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path


class ZipWriter:
    """Files under temporary names, which get their own when all of them are complete.

    Parameters
    ----------
    folder : Path
        Where the files go; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives: dict[str, zipfile.ZipFile] = {}
        self._names: list[str] = []

    def __enter__(self) -> ZipWriter:
        return self

    def _part(self, name: str) -> Path:
        return self._folder / f".{name}.part"

    def add(self, name: str, member: str, content: bytes) -> None:
        """Put a member into a zip."""
        if name not in self._archives:
            self._archives[name] = zipfile.ZipFile(self._part(name), "w")
            self._names.append(name)
        # A fixed time: the same corpus must give the same bytes.
        info = zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr = 3, 0o644 << 16
        deflate = member.endswith(".wav")
        info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
        self._archives[name].writestr(info, content)

    def text(self, name: str, content: str) -> None:
        """Write a text file."""
        self._names.append(name)
        self._part(name).write_text(content, encoding="utf-8", newline="")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for archive in self._archives.values():
            archive.close()
        for name in self._names:
            if kind is None:
                os.replace(self._part(name), self._folder / name)
            else:
                self._part(name).unlink(missing_ok=True)
