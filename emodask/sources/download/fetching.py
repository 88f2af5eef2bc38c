"""A download as a whole: what is wanted, what is there, does it fit, and a few files at once."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Literal

from emodask.errors import DownloadError, EmodaskError, UsageError
from emodask.sources.download.bucket import Bucket
from emodask.sources.download.client import Client, Patience
from emodask.sources.download.event_loop import ListenerError, in_thread, listener, run_to_end
from emodask.sources.download.folder import Folder
from emodask.sources.download.record import RAVDESS, RemoteFile, lists_files_apart, record_files
from emodask.sources.download.selection import Selection
from emodask.sources.download.sink import Place
from emodask.sources.download.transfer import FileNews, OnNews, fetch_file
from emodask.sources.location import StorageOptions, is_url, reason, redact

ZENODO = "https://zenodo.org"
BASE_VARIABLE = "EMODASK_ZENODO_URL"
"""Names a mirror of Zenodo's API."""
TOKEN_VARIABLE = "ZENODO_TOKEN"

State = Literal["there", "part", "to fetch"]


@dataclass(frozen=True)
class PlannedFile:
    """A wanted file, and how much of it is there already."""

    file: RemoteFile
    state: State
    present: int

    @property
    def missing(self) -> int:
        """Bytes to fetch."""
        return self.file.size - self.present


@dataclass(frozen=True)
class DownloadPlan:
    """What a download would do: nothing was fetched yet but the record.

    Attributes
    ----------
    files : tuple of PlannedFile
    free : int or None
        Free bytes at the destination; None where there is no telling, as in a bucket.
    """

    files: tuple[PlannedFile, ...]
    place: Place = field(repr=False)
    base: str = field(repr=False)
    free: int | None = None

    @property
    def dest(self) -> str:
        """The destination's address, without secrets."""
        return str(self.place)

    @property
    def to_fetch(self) -> tuple[PlannedFile, ...]:
        """The files that are not there yet, or not whole."""
        return tuple(planned for planned in self.files if planned.state != "there")

    @property
    def missing(self) -> int:
        """Bytes to fetch."""
        return sum(planned.missing for planned in self.to_fetch)


@dataclass(frozen=True)
class DownloadSummary:
    """How a download ended: names of files by outcome."""

    fetched: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


def plan_download(
    dest: str,
    selection: Selection | None = None,
    *,
    record: str = RAVDESS,
    storage_options: StorageOptions | None = None,
    base: str | None = None,
    patience: Patience | None = None,
    on_news: OnNews | None = None,
) -> DownloadPlan:
    """Ask Zenodo what there is, and look at what is at the destination already.

    Parameters
    ----------
    dest : str
        A folder, or a URL that fsspec writes to.
    selection : Selection, optional
        Speech, video and audio, all actors by default.
    record : str
        Number of the Zenodo record.
    base : str, optional
        The API's address; ``EMODASK_ZENODO_URL`` or https://zenodo.org by default.

    Raises
    ------
    SourceError
        If the record is not there or not what a record looks like; UnreachableError if the server
        does not answer.
    DownloadError
        If the destination cannot be read.
    """
    if not (record.isascii() and record.isdigit()):
        raise UsageError(f"a Zenodo record is a number, such as {RAVDESS}; found {record!r}")
    place = _place(dest, storage_options)
    base = base or os.environ.get(BASE_VARIABLE) or ZENODO
    news = listener(on_news)

    async def plan() -> DownloadPlan:
        async with _client(base, patience) as client:
            url = f"{client.base}/api/records/{record}"

            def waiting(why: str, wait: float) -> None:
                news(FileNews(f"record {record}", "waiting", 0, 0, f"{why}; again in {wait:.0f} s"))

            answer = await client.json(url, waiting)
            if lists_files_apart(answer):
                answer = {"files": await client.json(f"{url}/files", waiting)}
            found = record_files(answer, url)
        wanted = (selection or Selection()).of(found, redact(url))
        # One at a time: hashing what is there is bound by the disk.
        files = [await in_thread(_look, place, file) for file in wanted]
        return DownloadPlan(tuple(files), place, base, await in_thread(place.free))

    return run_to_end(plan())


def require_room(plan: DownloadPlan) -> None:
    """Refuse a download that does not fit, or to where nothing can be written.

    Raises
    ------
    DownloadError
        Naming what is needed and what is free.
    """
    if plan.to_fetch:
        plan.place.require_writable()
    if plan.free is not None and plan.missing > plan.free:
        raise DownloadError(
            f"{plan.dest}: {size_text(plan.missing)} are to be fetched and "
            f"{size_text(plan.free)} are free; choose another place or fewer files"
        )


def fetch(
    plan: DownloadPlan,
    *,
    parallel: int = 3,
    patience: Patience | None = None,
    on_news: OnNews | None = None,
) -> DownloadSummary:
    """Fetch the files of a plan; those that fail do not keep the others.

    Raises
    ------
    DownloadError
        If they do not fit on the disk, or it cannot be written to.
    KeyboardInterrupt
        After Ctrl-C; partial files in a folder are kept for the next time.
    """
    require_room(plan)
    news = listener(on_news)
    fetched: list[str] = []
    failed: list[tuple[str, str]] = []

    async def run() -> None:
        queue = asyncio.Semaphore(parallel)

        async def one(client: Client, file: RemoteFile) -> None:
            async with queue:
                try:
                    await fetch_file(client, file, plan.place, news)
                    fetched.append(file.name)
                except ListenerError:
                    raise
                except Exception as error:  # one file's trouble must not stop the others
                    expected = isinstance(error, EmodaskError)
                    why = str(error) if expected else f"{type(error).__name__}: {reason(error)}"
                    why = why.removeprefix(f"{file.name}: ")
                    failed.append((file.name, why))
                    news(FileNews(file.name, "failed", 0, file.size, why))

        async with _client(plan.base, patience) as client, asyncio.TaskGroup() as group:
            for planned in plan.to_fetch:
                group.create_task(one(client, planned.file))

    if plan.to_fetch:
        run_to_end(run())
    there = tuple(planned.file.name for planned in plan.files if planned.state == "there")
    return DownloadSummary(tuple(fetched), there, tuple(failed))


def download(
    dest: str,
    selection: Selection | None = None,
    *,
    parallel: int = 3,
    record: str = RAVDESS,
    storage_options: StorageOptions | None = None,
    on_news: OnNews | None = None,
) -> DownloadSummary:
    """Fetch RAVDESS from Zenodo into a folder or a bucket, and check every byte.

    Files that are there and right are not fetched again, and partial ones in a folder are gone on
    with. Nothing is asked: :func:`plan_download` says before what it would do.

    Parameters
    ----------
    dest : str
        A folder, or a URL that fsspec writes to, such as ``s3://bucket/ravdess``.
    selection : Selection, optional
        Speech, video and audio, all actors by default.
    parallel : int
        Files in flight at once.
    record : str
        Number of the Zenodo record.
    storage_options : mapping, optional
        Passed to fsspec.
    on_news : callable, optional
        Takes a :class:`FileNews` for whatever happens to a file.

    Returns
    -------
    DownloadSummary
    """
    plan = plan_download(
        dest, selection, record=record, storage_options=storage_options, on_news=on_news
    )
    return fetch(plan, parallel=parallel, on_news=on_news)


def size_text(size: int) -> str:
    """Bytes as people read them.

    Examples
    --------
    >>> size_text(13_012_345_678), size_text(512)
    ('13.0 GB', '512 bytes')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def _place(dest: str, options: StorageOptions | None) -> Place:
    if not dest.strip():
        raise UsageError("an empty destination; pass a folder or a URL such as s3://bucket/ravdess")
    if dest.startswith(("file://", "local://")):
        return Folder(dest.partition("://")[2])
    return Bucket(dest, options) if is_url(dest) else Folder(dest)


def _client(base: str, patience: Patience | None) -> Client:
    return Client(base, os.environ.get(TOKEN_VARIABLE, "").strip() or None, patience)


def _look(place: Place, file: RemoteFile) -> PlannedFile:
    if place.holds(file):
        return PlannedFile(file, "there", file.size)
    present = place.partial(file)
    return PlannedFile(file, "part" if present else "to fetch", present)
