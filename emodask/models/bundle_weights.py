"""Weights of networks that features come from, in a bundle: the part of them that is used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from emodask import networks
from emodask.errors import BundleError, UsageError
from emodask.job import Job
from emodask.job_weights import weighted
from emodask.networks.cache import is_local, keep_bytes, know, part_path
from emodask.sources.folder import Folder


def file_of(name: str) -> str:
    """The file of a feature's weights."""
    return f"weights-{name}.safetensors"


def write_weights(place: Folder, job: Job, features: Iterable[str]) -> None:
    """Write the weights that some features of a job come from.

    Raises
    ------
    BundleError
        If this machine has them not.
    """
    for name in _named(job, features):
        content = weighted(job)[name].content
        path = part_path(content) if content else None
        if path is None:
            raise BundleError(
                f"{place.address}: a bundle holds the weights of {name}, and this machine has them "
                f"not: pass --weights {name}=FILE"
            )
        place.write(file_of(name), path.read_bytes())


def read_weights(place: Folder, job: Job, features: Iterable[str]) -> None:
    """Make the weights of a bundle known to this process; what they hold is checked when loaded.

    Raises
    ------
    BundleError
        If the bundle lacks them.
    UsageError
        If they are remote, and cannot be kept on this machine, or PyTorch is not installed.
    """
    for name in _named(job, features):
        if not networks.installed():
            raise UsageError(f"{place.address}: {name} comes from a network; {networks.ABSENT}")
        content = weighted(job)[name].content
        if is_local(place.fs):
            path = Path(place.path, file_of(name))
            if not path.is_file():
                raise BundleError(f"{place.address}: {file_of(name)} is not there")
            know(content, path)
        elif part_path(content) is None:
            keep_bytes(content, place.read(file_of(name)))


def _named(job: Job, features: Iterable[str]) -> list[str]:
    there = weighted(job)
    return [name for name in features if name in there]
