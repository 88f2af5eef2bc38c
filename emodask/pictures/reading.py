"""The media of clips to draw: where their sources lie, fetched within a time, decoded apart."""

from __future__ import annotations

import glob
import json
import posixpath
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from emodask.errors import EmodaskError, SourceError, UnreachableError
from emodask.isolation import Decoder
from emodask.job import Job
from emodask.media.header import header
from emodask.run_record import NAME
from emodask.sources.addresses import StorageOptions, is_url
from emodask.sources.archive import Member
from emodask.sources.catalogue import Clip, MediaFile, scan
from emodask.sources.folder import Folder
from emodask.sources.names import Modality
from emodask.store import StoreAddress

Result = TypeVar("Result")

_MEDIA = "media"
"""Where 'emodask demo' puts what it synthesises, below the folder of the run."""


def recorded_sources(store: StoreAddress, digest: str) -> list[str]:
    """The sources of a store, as the ``run.json`` beside it names them.

    The record has addresses of servers, and of files on a disk the names alone: these are looked
    for beside the record, in ``media/`` there, and in the working directory.

    Parameters
    ----------
    store : StoreAddress
    digest : str
        Of the store's extraction: a record of another one is not believed.

    Raises
    ------
    SourceError
        If they are not known, or not there; the message says what would be right.
    """
    beside = posixpath.dirname(store.url.rstrip("/"))
    try:
        record = json.loads(Folder.at(beside, dict(store.options)).read(NAME))
        known = record["job"]["extraction_digest"] == digest
        names = [str(name) for name in record["sources"]] if known else []
    except Exception:  # each protocol has errors of its own
        names = []
    return sources_beside(beside, names)


def sources_beside(beside: str, names: Sequence[str]) -> list[str]:
    """Where sources are that a record names.

    Parameters
    ----------
    beside : str
        Where the record lies.
    names : sequence of str
        Addresses of servers, and names of files on a disk.

    Raises
    ------
    SourceError
        If there are none, or they are not there; the message says what would be right.
    """
    wanted = "pass them with --source"
    if not names:
        raise SourceError(f"no {NAME} beside the store says where its media lie; {wanted}")
    places = [Path.cwd()] if is_url(beside) else [Path(beside), Path(beside, _MEDIA), Path.cwd()]
    found: list[str] = []
    absent: list[str] = []
    for name in names:
        if is_url(name):
            found.append(name)
            continue
        there = next((str(place / name) for place in places if _lies(place, name)), None)
        (found if there else absent).append(there or name)
    if not found:
        raise SourceError(
            f"the store was made from {', '.join(absent[:3])}"
            f"{' and others' if len(absent) > 3 else ''}, not found beside it or here; {wanted}"
        )
    return found


def _lies(place: Path, name: str) -> bool:
    if name in ("", "..") or Path(name).name != name:  # a record names files, not places
        return False
    return place.joinpath(name).exists() or bool(glob.glob(str(place / name)))


def within(seconds: float, work: Callable[[], Result], what: str) -> Result:
    """The result of some work that is waited for so long and no longer.

    What takes longer goes on in a thread of its own, and ends with the process.

    Raises
    ------
    UnreachableError
        If it takes longer.
    """
    result: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    if seconds <= 0:
        raise UnreachableError(f"{what} would take too long")
    thread = threading.Thread(target=run, daemon=True, name="emodask-pictures")
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not result:
        raise UnreachableError(f"{what} took too long")
    return result[0]


class MediaReader:
    """Frames and samples of clips, from some sources, within a time for all of them together.

    A context: its decoder process ends with it.

    Parameters
    ----------
    job : Job
    sources : sequence of str
    options : mapping, optional
        For fsspec.
    seconds : float
        For all that is fetched and decoded.
    most_bytes : int, optional
        Larger files are left where they are, unless they lie on this machine's disks.
    """

    def __init__(
        self,
        job: Job,
        sources: Sequence[str],
        options: StorageOptions | None = None,
        seconds: float = 600.0,
        most_bytes: int | None = None,
    ) -> None:
        self.job = job
        self._sources = list(sources)
        self._options = options
        self._seconds, self._deadline = seconds, 0.0
        self._most_bytes = most_bytes
        self._clips: dict[str, Clip] | None = None
        self._trouble: EmodaskError | None = None
        self._decoder = Decoder(job, computes=False)

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._decoder.close()

    @property
    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def decoded(
        self, clip_id: str, modality: Modality, feature: str
    ) -> tuple[npt.NDArray[np.float32], float | None]:
        """Frames or samples as a feature is computed from them, and how many seconds they last.

        Raises
        ------
        EmodaskError
            If they are not to be had; the message says why.
        """
        self._deadline = time.monotonic() + self._seconds
        try:
            file = self._file(clip_id, modality)
            data = within(self._left, lambda: self._read(file), f"{file.label}: fetching it")
            values = self._decoder.decoded(feature, data, max(self._left, 0.01))
        finally:
            self._seconds = self._left  # what is drawn in between does not count
        about = header(data)
        return values, about.seconds if about else None

    def _file(self, clip_id: str, modality: Modality) -> MediaFile:
        if self._trouble is not None:
            raise self._trouble
        if self._clips is None:
            try:
                self._clips = within(self._left, self._scan, "listing the sources")
            except EmodaskError as error:
                self._trouble = error  # asked once, not for each clip
                raise
        clip = self._clips.get(clip_id)
        data = self.job.data
        preference = data.video if modality == "video" else data.audio
        file = clip.media_for(modality, preference) if clip else None
        if file is None:
            raise SourceError(f"the sources have no {modality} of this clip")
        return file

    def _scan(self) -> dict[str, Clip]:
        return {clip.clip_id: clip for clip in scan(self._sources, self._options).clips}

    def _read(self, file: MediaFile) -> bytes:
        where: Any = file.where
        inside = isinstance(where, Member)
        if self._most_bytes is not None and is_url((where.archive if inside else where).url):
            size = where.compressed_size if inside else where.size()
            if size > self._most_bytes:
                raise SourceError(
                    f"{file.label}: {size / 1e6:.0f} MB, too much to fetch for a picture"
                )
        return file.read()
