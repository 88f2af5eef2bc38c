"""A Zenodo record: which files it holds, how large they are, and what their bytes hash to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from emodask.errors import SourceError
from emodask.sources.location import redact

RAVDESS = "1188976"
"""The record of RAVDESS, https://zenodo.org/records/1188976."""

PART = ".part"
"""What a file is called until it is whole and right."""

_NAME_MAX = 200
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff/\\:*?\"<>|]+")
_MD5 = re.compile(r"(?:md5:)?([0-9a-f]{32})", re.IGNORECASE)


@dataclass(frozen=True)
class RemoteFile:
    """One file of a record, as the record describes it.

    Attributes
    ----------
    name : str
        Checked to be a plain file name.
    size : int
        Bytes.
    md5 : str
        32 hexadecimal digits, lower case.
    url : str
        Where its bytes are; may hold a signature, so it is in no message.
    """

    name: str
    size: int
    md5: str
    url: str = field(repr=False)

    def __str__(self) -> str:
        return self.name


def record_files(record: Any, where: str) -> list[RemoteFile]:
    """Read the files out of a record's JSON, of Zenodo's present API or its older ones.

    Parameters
    ----------
    record : dict
        The answer to ``GET /api/records/ID``. Its files are a list with ``key``, ``size``,
        ``checksum`` and ``links``, or ``files.entries`` with the same by name.
    where : str
        The record's address, for messages.

    Raises
    ------
    SourceError
        If it has no files for this reader, or describes one that cannot be fetched safely: a name
        that is not a plain file name, no size, no MD5.
    """
    where = redact(where)
    files = record.get("files") if isinstance(record, Mapping) else None
    if isinstance(files, Mapping):
        entries = files.get("entries")
        files = list(entries.values()) if isinstance(entries, Mapping) else entries
    if not isinstance(files, list) or not files:
        raise SourceError(
            f"{where}: the record lists no files; it may be restricted, and then needs a token of "
            "someone with access in ZENODO_TOKEN"
        )
    found = [_file(entry, where) for entry in files]
    seen: set[str] = set()
    for file in found:
        if file.name.casefold() in seen:
            raise SourceError(f"{where}: the record names {file.name!r} twice")
        seen.add(file.name.casefold())
    return found


def lists_files_apart(record: Any) -> bool:
    """Whether a record says that it has files, and leaves their list to ``/files`` below it."""
    files = record.get("files") if isinstance(record, Mapping) else None
    return isinstance(files, Mapping) and bool(files.get("enabled")) and not files.get("entries")


def is_web_address(url: str) -> bool:
    """Whether a text is an address that can be asked for over HTTP.

    Examples
    --------
    >>> is_web_address("https://zenodo.org/api"), is_web_address("http://host:port/")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0  # reading it raises if it is no number
    except ValueError:
        return False
    printable = url.isascii() and url.isprintable() and " " not in url
    return valid and printable and parts.scheme in ("http", "https") and bool(parts.hostname)


def _file(entry: Any, where: str) -> RemoteFile:
    if not isinstance(entry, Mapping):
        raise SourceError(f"{where}: the record describes a file by {_short(entry)}, not by fields")
    name = entry.get("key", entry.get("filename"))
    if not _is_plain(name):
        raise SourceError(
            f"{where}: the record names a file {_short(name)}, which is not a plain file name; "
            "nothing is fetched from it"
        )
    size = entry.get("size", entry.get("filesize"))
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise SourceError(
            f"{where}: the record gives {name} the size {_short(size)}, not a byte count"
        )
    checksum = _MD5.fullmatch(str(entry.get("checksum")))
    if not checksum:
        raise SourceError(
            f"{where}: the record gives {name} the checksum {_short(entry.get('checksum'))}; "
            "expected md5: and 32 hexadecimal digits"
        )
    links = entry.get("links")
    links = links if isinstance(links, Mapping) else {}
    url = next((links[key] for key in ("content", "self", "download") if key in links), None)
    if not isinstance(url, str) or not is_web_address(url):
        raise SourceError(f"{where}: the record gives no http(s) link to {name}")
    return RemoteFile(name, size, checksum[1].lower(), url)


def _is_plain(name: Any) -> bool:
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and len(name.encode()) <= _NAME_MAX
        and not name.startswith(".")
        and name == name.strip()
        and not name.lower().endswith((PART, f"{PART}.json"))
    )


def _short(value: Any) -> str:
    """A value of the record as a message shows it: a hostile one may be long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
