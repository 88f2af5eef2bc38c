"""Creating a store with all rows fixed, and committing batches to it."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

import emodask
from emodask.errors import StoreError
from emodask.features import family
from emodask.job import Job, digest
from emodask.sources.catalogue import Clip
from emodask.store.address import (
    StoreAddress,
    attributes,
    existing,
    open_group,
    stored_array,
    strings,
)
from emodask.store.creation import create
from emodask.store.layout import (
    CODEC,
    CODES,
    FORMAT,
    IDENTITY,
    NAMES,
    Row,
    Status,
    absent,
    checksum,
    specs,
)

_IDENTITY_CHUNKS = 256
"""How many chunks each array of names and labels has at most."""


def prepare(
    address: StoreAddress,
    job: Job,
    clips: Sequence[Clip],
    identical: Sequence[Sequence[str]] = (),
) -> zarr.Group:
    """Create the store with all rows fixed, or open one that was created the same way.

    The root's metadata is written last: where it stands, the store is whole. A creation that was
    interrupted is done again, and two at the same time put the same objects. A new store remembers
    ``identical``: names of clips that are read from the same bytes.

    Raises
    ------
    StoreError
        If something else lies there, or a store with other settings, clips or labels.
    """
    attributes = _attributes(job, clips, identical)
    found = existing(address)
    if found is None:
        create(address, _skeleton(job, clips, attributes))
        found = existing(address) or {}
    tables = _other_numbers(found.get("job"), attributes["job"])
    if found.get("digest") != attributes["digest"] and not tables:
        differing = ", ".join(_differences(found.get("job"), attributes["job"]))
        raise StoreError(
            f"{address}: written under other settings (digest {found.get('digest')}, this job's is "
            f"{attributes['digest']}); they differ in {differing}. Use another store"
        )
    group = open_group(address, "r+")
    if found.get("identity") == attributes["identity"]:
        _refuse_other_numbers(address, tables, attributes["job"])
        return group
    stored = [str(name) for name in strings(group, "clip_id")]
    given = [clip.clip_id for clip in clips]
    if stored != given:
        missing, new = sorted(set(stored) - set(given)), sorted(set(given) - set(stored))
        first = f" (such as {(new or missing)[0]})"
        raise StoreError(
            f"{address}: holds {len(stored)} clips and the sources {len(given)}: {len(missing)} of "
            f"the store's are not in the sources, {len(new)} of the sources' not in the store"
            f"{first}. A store's clips are fixed: pass the same sources and tables as before, or "
            "use another store"
        )
    relabelled = list(_relabelled(group, clips))
    if relabelled:
        raise StoreError(
            f"{address}: its labels differ from the sources' in {len(relabelled)} places, such as "
            f"{relabelled[0]}. Use another store for other labels"
        )
    _refuse_other_numbers(address, tables, attributes["job"])
    return group


def _other_numbers(stored: Any, given: dict[str, Any]) -> list[str]:
    """Names of the tables and networks whose numbers are all that two jobs differ in."""
    features = stored.get("features", {}) if isinstance(stored, dict) else {}
    names = [
        name
        for name, settings in given["features"].items()
        if settings.get("content") != features.get(name, {}).get("content")
    ]
    same = {name: {**given["features"][name], "content": None} for name in names}
    there = {name: {**features.get(name, {}), "content": None} for name in names}
    alike = {**given, "features": {**given["features"], **same}}
    return names if alike == {**(stored or {}), "features": {**features, **there}} else []


def _refuse_other_numbers(
    address: StoreAddress, names: Sequence[str], given: Mapping[str, Any]
) -> None:
    tables = [name for name in names if given["features"][name]["kind"] == "table"]
    networks = [name for name in names if name not in tables]
    if networks:
        raise StoreError(
            f"{address}: the weights of {' and '.join(networks)} are others than when the store "
            "was written. Pass the weights as they were, or use another store"
        )
    if tables:
        raise StoreError(
            f"{address}: table {' and '.join(tables)} has other numbers for the store's clips than "
            "when the store was written, or rows for those that had none; rows of other clips do "
            "not matter. Pass the table as it was, or use another store"
        )


def _relabelled(group: zarr.Group, clips: Sequence[Clip]) -> Iterator[str]:
    for code in ("corpus", *CODES):
        if code not in group:  # written before stores had it
            continue
        stored = np.asarray(stored_array(group, code)[:])
        for clip, there in zip(clips, stored.tolist(), strict=True):
            if getattr(clip, code) != there:
                here = getattr(clip, code)
                where = f"{there!r} in the store and {here!r} in the sources"
                yield f"{code} of {clip.clip_id} is {where}"


def _identity(clips: Sequence[Clip]) -> str:
    """A digest of the names and labels of all rows: with it, they need not be read again."""
    state = hashlib.blake2b(digest_size=16)
    before = "["  # the JSON of one list of all rows, row by row
    for clip in clips:
        row = [getattr(clip, column) for column in IDENTITY]
        state.update(f"{before}{json.dumps(row)}".encode())
        before = ", "
    state.update(b"]" if clips else b"[]")
    return state.hexdigest()


def _attributes(
    job: Job, clips: Sequence[Clip], identical: Sequence[Sequence[str]]
) -> dict[str, Any]:
    settings = job.extraction()
    return {
        "format": FORMAT,
        "version": emodask.__version__,
        "job": settings,
        "digest": digest(settings),
        "clips": len(clips),
        "identity": _identity(clips),
        "batch": job.data.batch,
        "features": list(job.features),
        "identical": [list(names) for names in identical],
    }


def _skeleton(job: Job, clips: Sequence[Clip], attributes: dict[str, Any]) -> dict[str, Buffer]:
    """Every object of a new store: metadata and identities, built in memory."""
    objects: dict[str, Buffer] = {}
    coordinates = " ".join([*IDENTITY, "status"])
    group = zarr.create_group(
        MemoryStore(objects),
        zarr_format=3,
        attributes={"coordinates": coordinates, "emodask": attributes},
    )
    for spec in specs(job, len(clips)):
        rows = _identity_rows(job, len(clips)) if spec.name in IDENTITY else job.data.batch
        chunks = (min(rows, len(clips)), *spec.shape[1:]) if spec.dims[0] == "clip" else spec.shape
        group.create_array(
            spec.name,
            shape=spec.shape,
            chunks=chunks,
            dtype=str if spec.dtype == "str" else spec.dtype,
            fill_value=spec.fill,
            compressors=CODEC,
            dimension_names=spec.dims,
            attributes={"description": spec.description},
        )
    _write_identity(group, job, clips)
    # All metadata in one object: a reader opens the store with a single request.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(group.store)
    return objects


def _identity_rows(job: Job, n_clips: int) -> int:
    """Rows a chunk of names and labels: a batch, or as many batches as keep the chunks few.

    No batch writes them. In small stores they are chunked as all else is.
    """
    batches = -(-n_clips // job.data.batch)
    return job.data.batch * -(-batches // _IDENTITY_CHUNKS)


def _write_identity(group: zarr.Group, job: Job, clips: Sequence[Clip]) -> None:
    step = _identity_rows(job, len(clips)) * _IDENTITY_CHUNKS // 16
    for start in range(0, len(clips), step):
        span = slice(start, start + step)
        some = clips[span]
        for name in NAMES:
            stored_array(group, name)[span] = np.array(
                [getattr(clip, name) for clip in some], object
            )
        for code in CODES:
            labels = np.array([getattr(clip, code) for clip in some], np.int16)
            stored_array(group, code)[span] = labels
    for feature in job.features.values():
        for dim, names in family(feature.kind).coords(feature.settings).items():
            stored_array(group, dim)[:] = np.array(names, dtype=object)


def _differences(stored: Any, given: Any, place: str = "") -> Iterator[str]:
    if isinstance(stored, Mapping) and isinstance(given, Mapping):
        for key in sorted({*stored, *given}):
            where = f"{place}.{key}" if place else str(key)
            if key not in given or key not in stored:
                yield f"{where} (only {'in the store' if key in stored else 'in this job'})"
            else:
                yield from _differences(stored[key], given[key], where)
    elif stored != given:
        there, here = (
            text if len(text := str(x)) < 60 else f"{text[:56]}..." for x in (stored, given)
        )
        yield f"{place} ({there} in the store, {here} in this job)"


def write_batch(group: zarr.Group, start: int, rows: Sequence[Row]) -> None:
    """Write one batch: feature chunks first, ``status`` last, each chunk whole.

    Parameters
    ----------
    group : zarr.Group
    start : int
        Row of the batch's first clip: a multiple of the batch size.
    rows : sequence of Row
        All rows of the batch.
    """
    span = slice(start, start + len(rows))
    names = attributes(group)["features"]
    sums = np.zeros(len(rows), np.uint64)
    stacks = {}
    for name in names:
        array = stored_array(group, name)
        stacks[name] = np.full((len(rows), *array.shape[1:]), absent(array.dtype.name), array.dtype)
    for i, row in enumerate(rows):
        for name, values in row.features.items():
            stacks[name][i] = values
        if row.status != Status.PENDING:
            fresh = checksum([stacks[name][i] for name in names])
            sums[i] = fresh if row.checksum is None else row.checksum
    for name in names:
        stored_array(group, name)[span] = stacks[name]
    stored_array(group, "checksum")[span] = sums
    errors = ["" if row.status == Status.PENDING else row.error for row in rows]
    stored_array(group, "error")[span] = np.array(errors, dtype=object)
    stored_array(group, "seconds")[span] = np.array([row.seconds for row in rows], np.float32)
    stored_array(group, "frames")[span] = np.array([row.frames for row in rows], np.int32)
    stored_array(group, "status")[span] = np.array([row.status for row in rows], np.uint8)
