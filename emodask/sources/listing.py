"""Listing a file system: what matches a pattern or lies below a folder, and no error left out.

fsspec's ``glob``, ``find``, ``isfile`` and ``isdir`` take a server that fails for a folder that is
empty; an archive would be missing from the sources without a word. ``ls`` and ``info`` do not.
"""

from __future__ import annotations

import os
import re
from typing import Any

from fsspec.utils import glob_translate

MAGIC = "*?["


def files_matching(fs: Any, pattern: str) -> list[str]:
    """Files whose paths match a glob pattern, sorted; ``**`` stands for any number of folders."""
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if any(mark in part for mark in MAGIC))
    matching = re.compile(glob_translate(pattern))
    found: list[str] = []

    def look(folder: str, depth: int) -> None:
        for entry in entries(fs, folder):
            name = str(entry["name"]).rstrip("/")
            if entry["type"] != "directory":
                if matching.match(name):
                    found.append(name)
            elif _may_hold(parts, depth, name.rpartition("/")[2]) and not (
                entry.get("islink") and "**" in pattern  # which may go round in a circle
            ):
                look(name, depth + 1)

    look("/".join(parts[:fixed]), fixed)
    return sorted(found)


def files_below(fs: Any, folder: str, above: tuple[str, ...] = ()) -> list[str]:
    """All files below a folder, sorted; linked folders too, but none within itself."""
    found: list[str] = []
    for entry in entries(fs, folder):
        name = str(entry["name"]).rstrip("/")
        if entry["type"] != "directory":
            found.append(name)
        elif not entry.get("islink"):
            found += files_below(fs, name, above)
        else:
            places, target = (*above, os.path.realpath(folder)), os.path.realpath(name)
            if not any(f"{place}/".startswith(f"{target}/") for place in places):
                found += files_below(fs, name, places)
    return sorted(found)


def kind_of(fs: Any, path: str) -> str:
    """What a path is: ``file``, ``directory``, or empty if nothing is there."""
    try:
        return str(fs.info(path)["type"])
    except FileNotFoundError:
        return ""


def _may_hold(parts: list[str], depth: int, name: str) -> bool:
    """Whether a folder at some depth of a pattern may hold what matches."""
    if any("**" in part for part in parts[: depth + 1]):
        return True
    if depth >= len(parts) - 1:
        return False
    return re.match(glob_translate(parts[depth]), name) is not None


def entries(fs: Any, folder: str) -> list[dict[str, Any]]:
    """Files and folders right in a folder, itself left out; no devices and pipes."""
    try:
        listed = fs.ls(folder, detail=True)
    except FileNotFoundError:
        return []
    return [
        _resolved(fs, entry)
        for entry in listed
        if str(entry["name"]).rstrip("/") != folder.rstrip("/")
        and (entry["type"] != "other" or entry.get("islink"))
    ]


def _resolved(fs: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with the type of what it links to; a file where that is gone, to be named later."""
    if entry["type"] != "other":
        return entry
    return {**entry, "type": kind_of(fs, entry["name"]) or "file"}
