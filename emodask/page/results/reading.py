"""Files of runs: listed with what tells one version from the next, read up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from emodask.errors import EmodaskError
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import reason

Value = TypeVar("Value")

_MARKS = ("size", "mtime", "ino", "ETag", "etag", "LastModified", "last_modified", "updated")
"""What file systems say of a file that changes when it does; ``created`` is memory's."""


@dataclass(frozen=True)
class Stamp:
    """A version of a file: its size in bytes, and what else changes with it."""

    size: int
    marks: tuple[str, ...]


def stamp_of(info: dict[str, Any]) -> Stamp:
    """The version that a file system's description of a file stands for."""
    marks = tuple(str(info.get(name)) for name in (*_MARKS, "created"))
    return Stamp(int(info.get("size") or 0), marks)


def entries(folder: Folder) -> dict[str, dict[str, Any]]:
    """What lies in a folder now, by name; nothing where there is no such folder."""
    folder.fs.invalidate_cache(folder.path)
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    below = f"{folder.path.rstrip('/')}/"
    return {
        str(one["name"]).rstrip("/").rpartition("/")[2]: one
        for one in found
        if str(one["name"]).rstrip("/").startswith(below)
    }


def read_bounded(folder: Folder, name: str, most: int) -> bytes:
    """All bytes of a file, unless they are more than is sensible.

    Raises
    ------
    EmodaskError
        If it is larger, or cannot be read.
    """
    where = f"{folder.address}/{name}"
    try:
        size = int(folder.fs.size(f"{folder.path}/{name}") or 0)
        if size <= most:
            return folder.read(name)
    except Exception as error:  # each protocol has errors of its own
        raise EmodaskError(f"{where}: cannot be read: {reason(error)}") from clean_cause(error)
    raise EmodaskError(
        f"{where}: {size / 1e6:.0f} MB, more than the {most / 1e6:.0f} MB that a page reads"
    )


class Remembered(Generic[Value]):
    """The last values that were made, each for one version of what it was made from.

    Parameters
    ----------
    most : int
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        self._kept: OrderedDict[Hashable, tuple[Hashable, Value]] = OrderedDict()

    def get(self, name: Hashable, version: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a name, made anew if its version is another than last time.

        Those who ask for one name at the same time wait for one making.
        """
        with self._lock:
            making = self._making.setdefault(name, threading.Lock())
        with making:
            with self._lock:
                kept = self._kept.get(name)
                if kept is not None and kept[0] == version:
                    self._kept.move_to_end(name)
                    return kept[1]
            value = make()
            with self._lock:
                self._kept[name] = version, value
                self._kept.move_to_end(name)
                while len(self._kept) > self._most:
                    gone, _ = self._kept.popitem(last=False)
                    self._making.pop(gone, None)
            return value
