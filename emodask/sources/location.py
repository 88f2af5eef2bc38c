"""Where bytes lie: files on any file system that fsspec opens, read in ranges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, TypeVar

import fsspec
from fsspec.asyn import sync
from fsspec.core import url_to_fs

from emodask.errors import EmodaskError, SourceError, UnreachableError
from emodask.scrubbing import clean_cause
from emodask.sources import http
from emodask.sources.addresses import StorageOptions as StorageOptions
from emodask.sources.addresses import is_url as is_url
from emodask.sources.addresses import options_for, printable
from emodask.sources.addresses import redact as redact
from emodask.sources.faults import ShortReadError, is_transient
from emodask.sources.faults import reason as reason
from emodask.sources.listing import MAGIC, files_below, files_matching, kind_of
from emodask.sources.retry import retrying, time_limit

_EXTRAS = {"s3fs": "s3", "adlfs": "azure", "gcsfs": "gcs"}
"""Packages that emodask's extras bring, by the module that reading needs."""

_SUFFIXES = {".zip", ".csv", ".mp4", ".wav"}
"""By which a part of a web address is known to be a file's name."""

Result = TypeVar("Result")


def open_filesystem(
    url: str, options: StorageOptions | None = None
) -> tuple[fsspec.AbstractFileSystem, str]:
    """The fsspec file system of an address, with the options meant for it, and the path on it.

    Raises
    ------
    SourceError
        If its protocol is unknown or its package is not installed.
    """
    try:
        return url_to_fs(url, **options_for(url, options))
    except EmodaskError:
        raise
    except ImportError as error:
        raise SourceError(f"{redact(url)}: {missing_package(url, error)}") from error
    except Exception as error:
        raise SourceError(f"{redact(url)}: {reason(error)}") from clean_cause(error)


def missing_package(url: str, error: ImportError) -> str:
    """What to install for an address whose package cannot be imported."""
    from fsspec.registry import known_implementations

    protocol = url.partition("://")[0].rpartition("::")[2]
    module = str(known_implementations.get(protocol, {}).get("class", "")).partition(".")[0]
    if module in _EXTRAS:
        return f"{protocol}:// needs {module}: pip install 'emodask[{_EXTRAS[module]}]'"
    return f"{protocol}:// needs a package that is not installed: {reason(error)}"


@dataclass(frozen=True)
class Location:
    """One file on any file system that fsspec opens.

    Attributes
    ----------
    url : str
        Local path or URL.
    options : tuple of (str, value)
        Storage options as given, kept apart from the URL and out of every message; of them,
        fsspec gets those that are meant for this address.
    version : Version, optional
        What a web server said of the file: another one is not read in its place.
    """

    url: str
    options: tuple[tuple[str, Any], ...] = ()
    version: http.Version | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """Show the address alone: options may hold secrets."""
        return f"Location({redact(self.url)!r})"

    def __str__(self) -> str:
        return printable(redact(self.url))

    @property
    def name(self) -> str:
        """The file's name: the last part of its address, or what comes before on the web.

        Examples
        --------
        >>> Location("https://host/api/records/1/files/Actor_01.zip/content").name
        'Actor_01.zip'
        >>> Location("https://host/Actor_01.zip?download=1").name
        'Actor_01.zip'
        """
        parts = redact(self.url).rstrip("/").split("/")
        if is_url(self.url) and "." not in parts[-1] and len(parts) > 4:
            parts += [p for p in parts[-2:-1] if PurePosixPath(p).suffix.lower() in _SUFFIXES]
        return parts[-1]

    def filesystem(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The fsspec file system and the path on it."""
        return open_filesystem(self.url, dict(self.options))

    def size(self) -> int:
        """Size in bytes.

        Raises
        ------
        UnreachableError
            If the server does not answer, asked several times.
        SourceError
            If it answers that there is nothing, or nothing for this user.
        """
        version = self.version or self._look()
        if version.size is None:
            more = "" if version.ranges else ", and ignores range requests"
            raise SourceError(f"{self}: the server does not say how large it is{more}")
        return version.size

    def pinned(self) -> Location:
        """The same file, with what a web server says of it now; others have no versions.

        Raises
        ------
        UnreachableError, SourceError
            As :meth:`size` does.
        """
        fs, _ = self.filesystem()
        return replace(self, version=self._look()) if http.is_web(fs) else self

    def _look(self) -> http.Version:
        fs, path = self.filesystem()
        if http.is_web(fs):
            return self._asking("cannot be read", lambda: sync(fs.loop, http.look, fs, path))
        size = self._asking("cannot be read", lambda: fs.size(path))
        return http.Version(None if size is None else int(size), ranges=True)

    def read(self, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes from ``start`` up to but without ``end``; all of them by default.

        Raises
        ------
        UnreachableError
            If the server does not answer, or not with all bytes, asked several times.
        SourceError
            If it answers that there is nothing, or nothing for this user.
        """
        fs, path = self.filesystem()
        if http.is_web(fs):
            return self._asking(
                "cannot be read",
                lambda: bytes(sync(fs.loop, http.read, fs, path, start, end, self.version)),
            )

        def fetch() -> bytes:
            data = _fetch(fs, path, start, end)
            if end is not None and len(data) < end - (start or 0):
                size = fs.size(path)
                there = end if size is None else min(end, int(size))
                if len(data) < there - (start or 0):
                    raise ShortReadError(
                        f"got {len(data)} of {there - (start or 0)} bytes; the answer was cut short"
                    )
            return data

        return self._asking("cannot be read", fetch)

    def _asking(self, failed: str, call: Callable[[], Result]) -> Result:
        try:
            return retrying(call)
        except EmodaskError:
            raise
        except Exception as error:  # each protocol has errors of its own
            kind = UnreachableError if is_transient(error) else SourceError
            raise kind(f"{self}: {failed}: {reason(error)}") from clean_cause(error)


def _fetch(fs: Any, path: str, start: int | None, end: int | None) -> bytes:
    """Bytes of a file, within a time that fits their number."""
    if not fs.async_impl or fs.asynchronous or end is None:
        return bytes(fs.cat_file(path, start=start, end=end))

    async def bounded() -> bytes:
        limit = time_limit(end - (start or 0))
        return bytes(await asyncio.wait_for(fs._cat_file(path, start=start, end=end), limit))

    return bytes(sync(fs.loop, bounded))


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
    if "http" in str(fs.protocol) and not any(mark in path for mark in "*["):
        return [whole]  # a '?' belongs to the URL's query
    local = "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)

    def list_files() -> list[str]:
        fs.invalidate_cache()
        if any(mark in path for mark in MAGIC) and not (local and fs.exists(path)):
            found = files_matching(fs, path)
            if not found:
                raise SourceError(f"{whole}: nothing matches this pattern")
            return found
        kind = kind_of(fs, path)
        if not kind:
            raise SourceError(f"{whole}: no such file or folder")
        if kind != "directory":
            return []
        found = files_below(fs, path)
        if not found:
            raise SourceError(f"{whole}: this folder is empty")
        return found

    found = whole._asking("cannot be listed", list_files)
    if not found:
        return [Location(path, packed) if local else whole]
    return [Location(p if local else fs.unstrip_protocol(p), packed) for p in found]
