"""Media of clips to play: found where the sources of their run lie, sent as they are."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillAtWork
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from emodask.errors import EmodaskError, SourceError
from emodask.page.results.clips import StoredRows
from emodask.page.results.folders import RECORD
from emodask.page.results.runs import Run
from emodask.pictures.reading import sources_beside
from emodask.scrubbing import without_folders
from emodask.sources.addresses import is_url
from emodask.sources.archive import MAX_MEMBER_SIZE, Member
from emodask.sources.catalogue import MediaFile, scan
from emodask.sources.location import Location, StorageOptions
from emodask.store import attributes

TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
"""What is played, by the ending of its name. Nothing else is ever sent."""

MOST_MEMBER = 64 << 20
"""Bytes of a member of a zip, which is held in memory while it is sent."""
_MOST_KEPT = 128 << 20
_LISTED_SECONDS = 600.0
"""For so long after its end a listing of sources is believed; one that failed, a tenth of it."""
_LISTINGS = 8
_STILL_LISTED = "the sources are still being listed; load this page again in a while"

_SAME = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs"}
"""Other names of a protocol."""
_ONE_FOR_ALL = {"s3", "gs", "memory"}
"""Protocols whose addresses name no servers: that is among the options."""

Known = Mapping[str, tuple[MediaFile, ...]]
"""Media by clip."""


class Playable(Protocol):
    """Bytes that can be sent in ranges."""

    @property
    def size(self) -> int:
        """All of them."""

    def read(self, start: int, end: int) -> bytes:
        """Some of them, from ``start`` up to but without ``end``."""


@dataclass(frozen=True)
class Held:
    """Bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """All of them."""
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        """Some of them."""
        return self.data[start:end]


@dataclass(frozen=True)
class Lying:
    """A file of its own, read in ranges where it lies."""

    where: Location
    size: int

    def read(self, start: int, end: int) -> bytes:
        """Some of its bytes."""
        return self.where.read(start, end)


def content_type(media: MediaFile) -> str | None:
    """How a browser is told what a file is; None for what is not played."""
    name = media.where.name
    return TYPES.get(PurePosixPath(name).suffix.lower())


class _Listed:
    """A listing of sources that is under way, or ended a while ago."""

    def __init__(self, future: Future[Known]) -> None:
        self.future = future
        self._ended: float | None = None
        future.add_done_callback(self._end)

    def _end(self, future: Future[Known]) -> None:
        self._ended = time.monotonic()

    @property
    def old(self) -> bool:
        """Whether it is not believed any more."""
        if self._ended is None:
            return False
        failed = self.future.cancelled() or self.future.exception() is not None
        return time.monotonic() - self._ended > _LISTED_SECONDS / (10 if failed else 1)


class MediaFinder:
    """Which media the clips of runs have, and their bytes.

    Parameters
    ----------
    sources : sequence of str
        Where the media of all runs lie; by default where each ``run.json`` says.
    options : mapping, optional
        For fsspec.
    """

    def __init__(self, sources: Sequence[str] = (), options: StorageOptions | None = None) -> None:
        self._sources = tuple(sources)
        self._options = options
        self._pool = ThreadPoolExecutor(2, "emodask-listing")
        self._lock = threading.Lock()
        self._listed: OrderedDict[object, _Listed] = OrderedDict()
        self._held: OrderedDict[object, Future[Held]] = OrderedDict()

    def close(self) -> None:
        """End; listings that have not begun are called off."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def of_clip(
        self, run: Run, rows: StoredRows, clip: str, seconds: float = 10.0
    ) -> tuple[MediaFile, ...]:
        """The files that carry a clip and can be played.

        Parameters
        ----------
        run : Run
        rows : StoredRows
            Of its store.
        clip : str
        seconds : float
            For so long a listing of the sources is waited for; it goes on after that.

        Raises
        ------
        EmodaskError
            If they are not to be had; the message says why.
        """
        try:
            known = self._listing(run, rows).result(seconds)
        except (StillAtWork, CancelledError):  # it goes on, or had to make way for others
            raise SourceError(_STILL_LISTED) from None
        found = known.get(clip, ())
        if not found:
            raise SourceError("the sources hold no media of this clip")
        return found

    def playable(self, media: MediaFile) -> Playable:
        """The bytes of a file; of a member of a zip, whole, inflated and checked.

        Raises
        ------
        EmodaskError
            If it is too large, damaged or out of reach.
        """
        if isinstance(media.where, Location):
            where = media.where.pinned()
            size = where.size()
            if size > MAX_MEMBER_SIZE:
                raise SourceError(_too_large(media, size, MAX_MEMBER_SIZE))
            return Lying(where, size)
        if media.where.size > MOST_MEMBER:
            raise SourceError(_too_large(media, media.where.size, MOST_MEMBER))
        return self._held_member(media.where)

    def _held_member(self, member: Member) -> Held:
        """The bytes of a member, fetched once for all ranges of it that are asked for."""
        name = (member.archive.url, member.offset, member.size, member.crc)
        with self._lock:
            future = self._held.get(name)
            mine = future is None
            if future is None:
                future = self._held[name] = Future()
            self._held.move_to_end(name)
        if mine:
            try:
                future.set_result(Held(member.read()))
            except BaseException as error:
                with self._lock:
                    self._held.pop(name, None)
                future.set_exception(error)
            self._forget()
        return future.result()

    def _forget(self) -> None:
        with self._lock:
            done = [(name, one.result().size) for name, one in self._held.items() if one.done()]
            total = sum(size for _, size in done)
            for name, size in done[:-1]:
                if total <= _MOST_KEPT:
                    break
                self._held.pop(name)
                total -= size

    def _listing(self, run: Run, rows: StoredRows) -> Future[Known]:
        name = self._sources or (run.url, run.stamps.get(RECORD))
        with self._lock:
            listed = self._listed.get(name)
            if listed is None or listed.old:
                listed = self._listed[name] = _Listed(self._pool.submit(self._list, run, rows))
            self._listed.move_to_end(name)
            while len(self._listed) > _LISTINGS:
                self._listed.popitem(last=False)[1].future.cancel()
        return listed.future

    def _list(self, run: Run, rows: StoredRows) -> Known:
        sources = self._sources or _sources_of(run, rows)
        trusted = bool(self._sources) or not run.remote
        found: dict[str, tuple[MediaFile, ...]] = {}
        for clip in scan(sources, self._options, manifests=trusted).clips:
            media = tuple(
                one
                for one in clip.media
                if content_type(one) and (trusted or beside(_address(one), run.url))
            )
            if media:
                found[clip.clip_id] = media
        return found


def _sources_of(run: Run, rows: StoredRows) -> list[str]:
    """Where the record says that the media lie.

    The record of a run in a bucket is what somebody wrote there: it leads nowhere but to the same
    storage, never to files of this machine or to other servers.
    """
    job = run.record.job if run.record else None
    mine = job is not None and job.extraction_digest == attributes(rows.group)["digest"]
    found = sources_beside(run.url, run.record.sources if run.record and mine else [])
    if not run.remote:
        return found
    allowed = [source for source in found if beside(source, run.url)]
    if not allowed:
        raise SourceError(
            "run.json names sources that do not lie in the storage of the run; start the server "
            "with --source to play them"
        )
    return allowed


def beside(address: str, run: str) -> bool:
    """Whether an address is on the same storage as that of a run.

    Examples
    --------
    >>> beside("s3://media/*.zip", "s3://results/run"), beside("s3://a/b", "gs://a/run")
    (True, False)
    >>> beside("az://media/x.wav", "abfs://results/run")
    True
    >>> beside("az://media@elsewhere.dfs.core.windows.net/x.wav", "abfs://results/run")
    False
    """
    if not is_url(address) or "::" in address:
        return False
    (protocol, host), (own, own_host) = _storage(address), _storage(run)
    if protocol != own:
        return False
    if protocol == "abfs":  # an account of its own may stand behind the container
        return host == own_host or not {"@", "."} & set(host)
    return protocol in _ONE_FOR_ALL or host == own_host


def _storage(address: str) -> tuple[str, str]:
    protocol, _, rest = address.partition("://")
    return _SAME.get(protocol, protocol), rest.partition("/")[0]


def _address(media: MediaFile) -> str:
    return media.where.archive.url if isinstance(media.where, Member) else media.where.url


def _too_large(media: MediaFile, size: int, most: int) -> str:
    return (
        f"{without_folders(media.label)}: {size / 1e6:.0f} MB, more than the {most / 1e6:.0f} MB "
        "that are played"
    )


def why_not(error: EmodaskError) -> str:
    """Why something cannot be had, in words for a page."""
    return without_folders(str(error))
