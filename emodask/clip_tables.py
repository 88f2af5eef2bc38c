"""Tables join a job: read, matched with clips, and part of what the store is named by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emodask.clip_features import as_stored
from emodask.errors import FeatureError, JobError, SourceError, UsageError
from emodask.job import Job, parse_job
from emodask.job_weights import with_places_of
from emodask.sources.addresses import printable
from emodask.sources.catalogue import Catalogue, Clip
from emodask.sources.location import Location, StorageOptions
from emodask.sources.table import Table, clip_named, read_table

Tables = Mapping[str, str | Path | Table]
"""Where the tables of a job lie, by feature; or what has been read of them."""


@dataclass(frozen=True)
class Joined:
    """A job whose tables have been read.

    Attributes
    ----------
    job : Job
        Its settings name the tables' columns and content, and no place.
    clips : tuple of Clip
        Each with its rows of the tables.
    extra : dict of str to int
        Rows that are of no clip of the sources, by feature, where there are any.
    """

    job: Job
    clips: tuple[Clip, ...]
    extra: dict[str, int]


def check_sources(job: Job, sources: str | Sequence[str]) -> None:
    """Refuse a job on media without a source of media.

    Raises
    ------
    UsageError
    """
    if job.modalities and not sources:
        raise UsageError(
            f"job {job.name} needs {' and '.join(job.modalities)}: pass --source with a zip, a "
            "folder, a glob, a URL or a manifest CSV"
        )


def read_tables(
    job: Job, places: Tables | None = None, storage_options: StorageOptions | None = None
) -> dict[str, Table]:
    """Read every table of a job.

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
        If a place is given for a feature that is no table of the job.
    JobError
        If a table has no place.
    SourceError
        See :func:`~emodask.sources.table.read_table`.
    """
    places = dict(places or {})
    for name in places:
        if name not in job.tables:
            have = f"its tables are {', '.join(job.tables)}" if job.tables else "it has none"
            raise UsageError(f"job {job.name} has no table {name!r}; {have}")
    found = {}
    for name in job.tables:
        settings: Any = job.features[name].settings
        place = places.get(name, settings.path)
        if not place:
            raise JobError(
                f"job {job.name}: nothing says where the table {name} lies: pass --table "
                f"{name}=FILE, or set features.{name}.path"
            )
        if not isinstance(place, Table):
            location = Location(str(place), tuple(sorted((storage_options or {}).items())))
            place = read_table(location, settings.key, settings.columns)
        _check_precision(name, settings.precision, place)
        found[name] = place
    return found


def _check_precision(name: str, precision: str, table: Table) -> None:
    for clip, row in table.rows.items():
        try:
            as_stored(row, precision, f"clip {printable(clip)}")
        except FeatureError as error:
            raise SourceError(f"{table.where}: table {name}: {error}") from error


def clips_named(tables: Mapping[str, Table]) -> Catalogue:
    """The clips that tables name, for a job without media.

    Raises
    ------
    SourceError
        If a name says nothing about its clip.
    """
    clips: dict[str, Clip] = {}
    for table in tables.values():
        for key in table.rows:
            if key in clips:
                continue
            name = clip_named(key)
            if name is None:
                raise SourceError(
                    f"{table.where}: {printable(key)!r} is no name of RAVDESS (as "
                    "03-01-06-01-02-01-12) or TESS (as OAF_back_angry), so nothing says whose clip "
                    "it is and of which emotion; pass --source with a manifest CSV that does"
                )
            clips[key] = Clip(**name.columns())
    return Catalogue(
        clips=tuple(sorted(clips.values(), key=lambda clip: clip.order)),
        sources=tuple(table.where for table in tables.values()),
    )


def join(
    job: Job, clips: Sequence[Clip], tables: Mapping[str, Table], catalogue: Catalogue
) -> Joined:
    """Give clips their rows of the tables, and the job what the tables hold.

    Parameters
    ----------
    job : Job
    clips : sequence of Clip
        Those that take part, in row order.
    tables : mapping of str to Table
    catalogue : Catalogue
        All clips of the sources.

    Raises
    ------
    SourceError
        If a table has no row for any of the clips.
    JobError
        If a reduction does not fit a table's columns.
    """
    if not tables:
        return Joined(job, tuple(clips), {})
    there = {clip.clip_id for clip in catalogue.clips}
    extra = {}
    for name, table in tables.items():
        matched = sum(table.row(clip_id) is not None for clip_id in there)
        if not any(table.row(clip.clip_id) is not None for clip in clips):
            raise SourceError(
                f"{table.where}: table {name}: none of its {len(table.rows)} rows is of one of the "
                f"{len(clips)} clips of job {job.name}; its first is "
                f"{printable(next(iter(table.rows)))}, theirs {clips[0].clip_id}"
            )
        if len(table.rows) > matched:
            extra[name] = len(table.rows) - matched
    return Joined(
        _with_content(job, tables, clips), tuple(with_rows(c, tables) for c in clips), extra
    )


def with_rows(clip: Clip, tables: Mapping[str, Table]) -> Clip:
    """A clip with its rows of some tables."""
    rows = ((name, table.row(clip.clip_id)) for name, table in tables.items())
    return replace(clip, tables=tuple((name, row) for name, row in rows if row is not None))


def _with_content(job: Job, tables: Mapping[str, Table], clips: Sequence[Clip]) -> Job:
    settings = job.settings()
    for name, table in tables.items():
        state = hashlib.blake2b(digest_size=12)
        for clip in clips:
            row = table.row(clip.clip_id)
            numbers = b"" if row is None else np.ascontiguousarray(row, "<f4").tobytes()
            state.update(f"{clip.clip_id}\n{len(numbers)}\n".encode() + numbers)
        settings["features"][name] |= {"names": list(table.names), "content": state.hexdigest()}
    return with_places_of(parse_job(settings, f"job {job.name}"), job)
