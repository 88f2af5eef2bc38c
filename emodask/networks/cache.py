"""Weights on this machine: parts of files by their digest, and files fetched once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emodask.errors import SourceError, UsageError
from emodask.networks.files import HEAD, kind_of
from emodask.networks.layouts import Part, digest_of
from emodask.sources.http import is_web
from emodask.sources.location import Location

_BLOCK = 16 << 20

_STALE = 24 * 3600.0
"""Seconds after which nobody writes to a file any more that was being fetched."""

_known: dict[str, Path] = {}
"""Parts that lie elsewhere than in the cache, by their digest: in a bundle, say."""


def folder() -> Path:
    """Where parts are kept: ``emodask/weights`` in the user's cache (``XDG_CACHE_HOME``)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "emodask" / "weights"


def part_path(digest: str) -> Path | None:
    """Where a part lies on this machine, or None. Its numbers are checked when it is loaded."""
    for path in (_known.get(digest), folder() / f"{digest}.safetensors"):
        with contextlib.suppress(OSError):
            if path is not None and path.is_file():
                return path
    return None


def know(digest: str, path: str | Path) -> None:
    """Say where a part lies for the time of this process."""
    _known[digest] = Path(path)


def keep(part: Part) -> str:
    """Write a part into the cache unless it is there, and give its digest.

    Raises
    ------
    UsageError
        If the cache cannot be written.
    """
    from safetensors.numpy import save

    digest = digest_of(part)
    if part_path(digest) is None:
        with _writing():
            _write(folder() / f"{digest}.safetensors", save(dict(part)))
    return digest


def keep_bytes(digest: str, packed: bytes) -> None:
    """Write a part that comes as the bytes of a safetensors file into the cache."""
    if part_path(digest) is None:
        with _writing():
            _write(folder() / f"{digest}.safetensors", packed)


def forget(path: Path) -> None:
    """Remove a part that is damaged, if it is the cache's."""
    if path.parent == folder():
        with contextlib.suppress(OSError):
            path.unlink()


def remembered(key: str) -> Mapping[str, str] | None:
    """What was noted of a file that was fetched before: ``part`` is the digest that it gave."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((folder() / f"{key}.json").read_bytes())
        if isinstance(found, dict) and part_path(str(found.get("part"))) is not None:
            return {str(name): str(value) for name, value in found.items()}
    return None


def remember(key: str, **notes: str) -> None:
    """Note what a file gave, so that it need not be fetched again."""
    with _writing():
        _write(folder() / f"{key}.json", json.dumps(notes).encode())


def version_key(place: Location, layout: str) -> tuple[Location, str]:
    """A remote file as it is now, and a name for this version of it; it holds no secret.

    Raises
    ------
    UnreachableError, SourceError
    """
    fs, path = place.filesystem()
    pinned = place.pinned()
    if is_web(fs):
        version = pinned.version
        assert version is not None
        said = [version.size, version.etag, version.modified]
        if not (version.etag or version.modified):
            said.append(os.urandom(16).hex())  # nothing tells versions apart: fetched each time
    else:
        said = [place._asking("cannot be read", lambda: fs.ukey(path))]
    return pinned, hashlib.sha256(json.dumps([layout, place.url, *said]).encode()).hexdigest()


@contextmanager
def fetched(place: Location, limit: int) -> Iterator[tuple[Path, str]]:
    """A remote file on this machine's disk while the block lasts, and its SHA-256.

    Parameters
    ----------
    place : Location
        Pinned, so that all of it is of one version.
    limit : int
        Bytes that it may have.

    Raises
    ------
    UnreachableError
        If the server does not answer.
    SourceError
        If there is none, it is larger than the limit, or no file of weights by its beginning.
    UsageError
        If there is no room for it.
    """
    size = place.size()
    if size > limit:
        raise SourceError(f"{place}: {size} bytes; at most {limit} are taken for weights")
    state = hashlib.sha256()
    with _writing():
        folder().mkdir(parents=True, exist_ok=True)
        _remove_stale()
        descriptor, name = tempfile.mkstemp(prefix="fetching-", dir=folder())
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for number, block in enumerate(_blocks(place, size)):
                if number == 0:
                    kind_of(block[:HEAD], str(place))
                state.update(block)
                with _writing():
                    file.write(block)
                    file.flush()
        yield path, state.hexdigest()
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _remove_stale() -> None:
    """Remove what fetches left that were killed; others may be at theirs just now."""
    for path in folder().glob("fetching-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()


def _blocks(place: Location, size: int) -> Iterator[bytes]:
    if size == 0 or (place.version is not None and not place.version.ranges):
        yield place.read()
        return
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        block = place.read(start, stop)
        if len(block) < stop - start:
            raise SourceError(
                f"{place}: got {start + len(block)} of {size} bytes; the answer was cut short"
            )
        yield block


def _write(path: Path, data: bytes) -> None:
    """Write a file at once: other processes see none of it or all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f"{path.stem[:12]}-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder()}: weights cannot be kept here: {error.strerror or error}; set "
            "XDG_CACHE_HOME to a folder with room for them"
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain_path(place: Location) -> Path | None:
    """The path of a place that lies on this machine; None of one that has to be fetched."""
    fs, path = place.filesystem()
    return Path(path) if is_local(fs) else None


def is_local(fs: Any) -> bool:
    """Whether a file system is this machine's own."""
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
