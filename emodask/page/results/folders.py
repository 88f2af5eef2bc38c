"""Which folders are runs at the places that a server was given, and what each is called."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import PurePosixPath

from emodask.errors import UsageError
from emodask.evaluation.run_files import METRICS, REPORT
from emodask.evaluation.run_places import run_addresses
from emodask.page.results.reading import entries
from emodask.run_record import NAME as RECORD
from emodask.sources.addresses import redact
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions

STORE = "store.zarr"
_WEB = re.compile(r"(?:^|::)https?://", re.IGNORECASE)


def refuse_web(place: str) -> None:
    """Refuse a place on a web server, which does not tell what has changed there.

    Raises
    ------
    UsageError
    """
    if _WEB.search(place):
        raise UsageError(
            f"{redact(place)}: results on a web server cannot be shown; pass a folder or a bucket"
        )


def folders_at(place: str, options: StorageOptions | None) -> list[Folder]:
    """The folders of the runs at a place, as they are now.

    Raises
    ------
    UsageError
        If there is none.
    EmodaskError
        If the place cannot be read.
    """
    top = Folder.at(place, options)
    top.fs.invalidate_cache()
    is_run = functools.partial(_is_run, top=top.path)
    return [_own_folder(Folder.at(one, options)) for one in run_addresses(place, options, is_run)]


def address_of(folder: Folder) -> str:
    """A folder as fsspec opens it: a plain path on this machine's disks, else a URL."""
    full = str(folder.fs.unstrip_protocol(folder.path))
    return full.removeprefix("file://") if full.startswith("file://") else full


def slug_of(folder: Folder) -> str:
    """What a run is called in addresses of pages: its name, and what is its address's alone."""
    address = redact(address_of(folder))
    name = PurePosixPath(folder.path).name.lower()
    stem = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:40] or "run"
    return f"{stem}-{hashlib.blake2b(address.encode(), digest_size=4).hexdigest()}"


def _is_run(folder: Folder, top: str) -> bool:
    """Whether a folder is a run; one that cannot be looked into is, for its reason to be listed."""
    try:
        there = entries(folder)
        if not {METRICS, RECORD, STORE}.isdisjoint(there):
            return True
        return REPORT in there and METRICS in entries(report_of(folder))
    except Exception:
        if folder.path == top:
            raise
        return True


def report_of(folder: Folder) -> Folder:
    """Where the report of a run lies, if it has one below its own folder."""
    return Folder(folder.fs, f"{folder.path}/{REPORT}", f"{folder.address}/{REPORT}")


def _own_folder(folder: Folder) -> Folder:
    """The folder of the run whose report a place is; the place itself if it is a run."""
    if PurePosixPath(folder.path).name != REPORT:
        return folder
    try:
        there = entries(folder)
        if METRICS not in there or not {RECORD, STORE}.isdisjoint(there):
            return folder
        if REPORT in there and METRICS in entries(report_of(folder)):
            return folder
    except Exception:  # why is said where it is looked at
        return folder
    return Folder(
        folder.fs, folder.path.rpartition("/")[0], folder.address.removesuffix(f"/{REPORT}")
    )
