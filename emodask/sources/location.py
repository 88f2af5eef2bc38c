"""Where bytes lie: fsspec URLs, range reads, and addresses without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from emodask.errors import SourceError

StorageOptions = Mapping[str, Any]
_PLAIN_PATHS = {"file", "local", "memory"}
"""Protocols whose addresses hold no secrets, and may hold any character."""


def redact(url: str) -> str:
    """An address fit for logs and errors: no user, password, query or fragment.

    Examples
    --------
    >>> redact("https://me:secret@host/data.zip?token=abc")
    'https://host/data.zip'
    >>> redact("/data/Video_Speech_Actor_01.zip")
    '/data/Video_Speech_Actor_01.zip'
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    host, slash, path = rest.partition("/")
    if scheme in _PLAIN_PATHS:
        return url
    path = re.split(r"[?#]", path, maxsplit=1)[0]
    host = re.split(r"[?#]", host.rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme}://{host}{slash}{path}"


def is_url(text: str) -> bool:
    """Whether a text names a protocol, as in ``s3://bucket/key``.

    Examples
    --------
    >>> is_url("s3://bucket/a.zip"), is_url("data/a.zip")
    (True, False)
    """
    return re.match(r"^[A-Za-z][A-Za-z0-9+.-]*(::|://)", text) is not None


@dataclass(frozen=True)
class Location:
    """One file on any file system that fsspec opens.

    Attributes
    ----------
    url : str
        Local path or URL.
    options : tuple of (str, value)
        Storage options for fsspec, kept apart from the URL and out of every message.
    """

    url: str
    options: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        """Show the address alone: options may hold secrets."""
        return f"Location({redact(self.url)!r})"

    def __str__(self) -> str:
        return redact(self.url)

    def filesystem(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The fsspec file system and the path on it."""
        try:
            fs, path = url_to_fs(self.url, **dict(self.options))
        except Exception as error:
            raise SourceError(f"{self}: {reason(error)}") from error
        return fs, path

    def size(self) -> int:
        """Size in bytes."""
        fs, path = self.filesystem()
        try:
            size = fs.size(path)
        except Exception as error:  # each protocol has errors of its own
            raise SourceError(f"{self}: cannot be read: {reason(error)}") from error
        if size is None:
            raise SourceError(f"{self}: the server does not say how large it is")
        return int(size)

    def read(self, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes from ``start`` up to but without ``end``; all of them by default."""
        fs, path = self.filesystem()
        try:
            data = fs.cat_file(path, start=start, end=end)
        except Exception as error:
            raise SourceError(f"{self}: cannot be read: {reason(error)}") from error
        if start is not None and end is not None and len(data) > end - start:
            raise SourceError(
                f"{self}: asked for {end - start} bytes and got {len(data)}; "
                "the server ignores range requests, so zips cannot be read where they lie"
            )
        return bytes(data)


def reason(error: BaseException) -> str:
    """The first line of what went wrong, without addresses that may hold secrets."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, FileNotFoundError):
        return "not found, or the server does not answer"
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"\w+://\S+", lambda match: redact(match.group()), text)


def expand(source: str, options: StorageOptions | None = None) -> list[Location]:
    """Files that a source names: itself, what its glob matches, or all below a folder.

    Returns
    -------
    list of Location
        Sorted by address; local paths absolute, since workers may run in another folder.

    Raises
    ------
    SourceError
        If nothing is there.
    """
    if not source.strip():
        raise SourceError("an empty source; pass a zip, a folder, a glob, a URL or a manifest CSV")
    packed = tuple(sorted((options or {}).items()))
    whole = Location(source, packed)
    fs, path = whole.filesystem()
    local = "file" in fs.protocol if isinstance(fs.protocol, tuple) else fs.protocol == "file"

    def locate(found: str) -> Location:
        return Location(found if local else fs.unstrip_protocol(found), packed)

    try:
        if any(mark in path for mark in "*?[") and not (local and fs.exists(path)):
            found = [p for p in fs.glob(path) if fs.isfile(p)]
            if not found:
                raise SourceError(f"{whole}: nothing matches this pattern")
            return [locate(p) for p in sorted(found)]
        if "http" in str(fs.protocol):
            return [whole]
        if fs.isdir(path):
            found = sorted(fs.find(path))
            if not found:
                raise SourceError(f"{whole}: this folder is empty")
            return [locate(p) for p in found]
        if not fs.exists(path):
            raise SourceError(f"{whole}: no such file or folder")
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"{whole}: cannot be listed: {reason(error)}") from error
    return [locate(path) if local else whole]
