"""Weights join a job: read where they lie, and what the store is named by; workers find them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emodask.errors import ClusterError, EmodaskError, JobError, UsageError
from emodask.features.network.settings import WeightedSettings
from emodask.job import Job, parse_job
from emodask.nearest import meant
from emodask.networks.cache import know, part_path, plain_path
from emodask.networks.weights import obtain
from emodask.sources.location import Location, StorageOptions

Weights = Mapping[str, str | Path]
"""Where the weights of a job's networks lie, by feature."""


def weighted(job: Job) -> dict[str, WeightedSettings]:
    """The settings of the features that a network computes whose weights a job names."""
    return {
        name: feature.settings
        for name, feature in job.features.items()
        if isinstance(feature.settings, WeightedSettings)
    }


def read_weights(
    job: Job, places: Weights | None = None, storage_options: StorageOptions | None = None
) -> Job:
    """A job that says what its networks' weights hold, once they have been read and checked.

    Parameters
    ----------
    job : Job
    places : mapping, optional
        By feature; what is not there lies where the job says.
    storage_options : mapping, optional
        For fsspec.

    Raises
    ------
    UsageError
        If a place is given for a feature that has no weights, or PyTorch is not installed.
    JobError
        If weights have no place; the message says where to get them.
    SourceError, UnreachableError
        See :func:`emodask.networks.weights.obtain`.
    """
    there = weighted(job)
    for name in places or {}:
        if name not in there:
            have = f"those with weights are {', '.join(there)}" if there else "it has none"
            raise UsageError(
                f"job {job.name} has no feature {name!r} with weights; {have}{meant(name, there)}"
            )
    packed = tuple(sorted((storage_options or {}).items()))
    filled = {}
    for name, settings in there.items():
        place = (places or {}).get(name, settings.weights)
        known = settings.content and part_path(settings.content) is not None
        if known and name not in (places or {}):
            continue
        if not place:
            raise JobError(
                f"job {job.name}: nothing says where the weights of {name} lie: pass --weights "
                f"{name}=FILE, or set features.{name}.weights. {settings.layout.sources}"
            )
        if not isinstance(place, Location):
            place = _whole(Location(str(place), packed))
        told = settings.completed(place)
        settings = settings.model_copy(update=dict(told))
        content = obtain(settings.file(place), settings.layout, settings.checksum)
        _require_same(settings, content, f"the weights of {name} at {place}")
        filled[name] = {"weights": place, "content": content, **told}
    return _with(job, filled)


def with_places_of(job: Job, other: Job) -> Job:
    """A job whose networks' weights lie where another says: settings written out say no place."""
    theirs = weighted(other)
    return _with(
        job,
        {
            name: {"weights": theirs[name].weights, "checksum": theirs[name].checksum}
            for name in weighted(job)
            if name in theirs
        },
    )


def with_content_of(job: Job, stored: Mapping[str, Any], where: str) -> Job:
    """A job that has not read its weights, with those that a store's features are of.

    Parameters
    ----------
    job : Job
    stored : mapping
        Settings of the store's features, as they were written out.
    where : str
        What messages call the store.

    Raises
    ------
    JobError
        If what the store says of them cannot be meant.
    """
    unread = [name for name, settings in weighted(job).items() if not settings.content]
    if not unread:
        return job
    written = job.settings()
    for name in unread:
        there: Any = stored.get(name)
        keys = weighted(job)[name].FILLED if isinstance(there, Mapping) else ()
        written["features"][name] |= {key: there[key] for key in keys if key in there}
    return with_places_of(parse_job(written, where), job)


def parts_here(job: Job) -> dict[str, str]:
    """Where this machine has the weights of a job, by digest; fetched if it has them not.

    Raises
    ------
    ClusterError
        If they cannot be read here.
    """
    found = {}
    for name, settings in weighted(job).items():
        path = part_path(settings.content) if settings.content else None
        if path is None:
            path = _fetched_here(name, settings)
        found[settings.content] = str(path)
    return found


def know_parts(parts: Mapping[str, str]) -> None:
    """Say in this process where the parts of a job's weights lie."""
    for digest, path in parts.items():
        know(digest, path)


def _fetched_here(name: str, settings: WeightedSettings) -> Path:
    import platform

    place = settings.weights
    where = f"machine {platform.node()} has no weights of {name}"
    needed = "put them where every worker can read them: in a shared folder, or at a URL"
    if not isinstance(place, Location):
        raise ClusterError(f"{where}, and the job names no place for them; {needed}")
    try:
        content = obtain(settings.file(place), settings.layout, settings.checksum)
        _require_same(settings, content, str(place))
    except EmodaskError as error:
        raise ClusterError(f"{where}: {error}; {needed}") from error
    path = part_path(content)
    assert path is not None
    return path


def _require_same(settings: WeightedSettings, content: str, what: str) -> None:
    if settings.content and settings.content != content:
        raise JobError(
            f"{what} are others than those that the job was begun with (their digest is "
            f"{content[:12]}, expected {settings.content[:12]})"
        )


def _whole(place: Location) -> Location:
    """A place that means the same in another folder."""
    path = plain_path(place)
    return place if path is None else Location(str(path.absolute()), place.options)


def _with(job: Job, filled: Mapping[str, Mapping[str, Any]]) -> Job:
    """A job with some settings of some features changed; what it was given explicitly stays so."""
    if not filled:
        return job
    features = {
        name: feature.model_copy(
            update={"settings": feature.settings.model_copy(update=dict(filled[name]))}
        )
        if name in filled
        else feature
        for name, feature in job.features.items()
    }
    return job.model_copy(update={"features": features})
