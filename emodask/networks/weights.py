"""Weights that a job names: read from where they lie, checked, kept by what they hold.

What is kept and handed on is the part of a file that a network uses, as safetensors under the
names of its module. It is named by a digest of its numbers: the same weights as safetensors or as
PyTorch's own file, from a path or an address, are the same job.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emodask.errors import SourceError, UsageError
from emodask.networks import ABSENT, installed
from emodask.networks.cache import (
    fetched,
    forget,
    keep,
    part_path,
    plain_path,
    remember,
    remembered,
    sha256_of,
    version_key,
)
from emodask.networks.files import as_array, opened
from emodask.networks.layouts import Layout, checked, digest_of, part_of
from emodask.sources.location import Location, reason

MAX_BYTES = 4 << 30
"""Bytes that a file of weights may have."""


def obtain(place: Location, layout: Layout, checksum: str | None = None) -> str:
    """Read the weights of a network, check them, and keep the part that it uses on this machine.

    A file on the web or in an object store is fetched once a machine: again only if it has changed
    there, or if nothing tells whether it has.

    Parameters
    ----------
    place : Location
    layout : Layout
    checksum : str, optional
        ``sha256:`` and the hexadecimal digits of the file's SHA-256.

    Returns
    -------
    str
        The digest of the part, by which :func:`load` finds it.

    Raises
    ------
    SourceError
        If there is no such file, it is none of weights, not those of this network, damaged, or has
        another checksum.
    UnreachableError
        If a server does not answer.
    UsageError
        If PyTorch is not installed, or there is no room for the weights.
    """
    if not installed():
        raise UsageError(ABSENT)
    wanted = (checksum or "").removeprefix("sha256:")
    path = plain_path(place)
    if path is not None:
        _check_file(path, place)
        if wanted:
            _check_sum(sha256_of(path), wanted, place)
        return _part(path, place, layout)
    known = remembered(f"{layout.key}-{wanted}") if wanted else None
    if known is not None:
        return known["part"]
    pinned, key = version_key(place, layout.key)
    known = remembered(key)
    if known is not None:
        if wanted:
            _check_sum(known.get("file", ""), wanted, place)
        return known["part"]
    with fetched(pinned, MAX_BYTES) as (path, found):
        if wanted:
            _check_sum(found, wanted, place)
        digest = _part(path, place, layout)
    remember(key, part=digest, file=found)
    if wanted:
        remember(f"{layout.key}-{wanted}", part=digest, file=found)
    return digest


def load(digest: str, name: str) -> dict[str, Any]:
    """The tensors of a part that is on this machine, mapped from its file.

    Parameters
    ----------
    digest : str
    name : str
        What messages call the network.

    Raises
    ------
    SourceError
        If the part is not here, or is damaged.
    """
    from safetensors.torch import load_file

    path = part_path(digest) if digest else None
    if path is None:
        raise SourceError(f"the weights of {name} are not on this machine; nothing has read them")
    try:
        tensors = load_file(path)
        same = digest_of({key: value.numpy() for key, value in tensors.items()}) == digest
        said = "its numbers are others than when it was written"
    except Exception as error:
        same, said = False, reason(error)
    if not same:
        forget(path)
        raise SourceError(f"{path}: damaged weights of {name}: {said}; run again")
    return tensors


def _part(path: Path, place: Location, layout: Layout) -> str:
    with opened(path, str(place), MAX_BYTES) as tensors:
        part = part_of(tensors, layout, str(place))
        return keep(checked({name: as_array(t) for name, t in part.items()}, str(place)))


def _check_file(path: Path, place: Location) -> None:
    if not path.is_file():
        what = "is a folder, not a file of weights" if path.is_dir() else "no such file of weights"
        raise SourceError(f"{place}: {what}")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SourceError(f"{place}: {size} bytes; at most {MAX_BYTES} are taken for weights")


def _check_sum(found: str, wanted: str, place: Location) -> None:
    if found != wanted:
        raise SourceError(
            f"{place}: the file's SHA-256 is {found}; the job's checksum is {wanted}: another "
            "file, or a damaged one"
        )
