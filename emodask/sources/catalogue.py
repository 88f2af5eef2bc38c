"""The catalogue: which clips the sources hold, in which files, and what is wrong with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from emodask.errors import MediaError, SourceError, UnreachableError
from emodask.sources.archive import MAX_MEMBER_SIZE, Member, members
from emodask.sources.corpora import read_name
from emodask.sources.location import Location, StorageOptions, expand, redact
from emodask.sources.manifest import read_manifest
from emodask.sources.names import Kind, NameRejected

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MEDIA_SUFFIXES = {".mp4", ".wav"}

_VIDEO_KINDS: dict[str, tuple[Kind, ...]] = {
    "auto": ("video-only", "full-av"),
    "full-av": ("full-av",),
    "video-only": ("video-only",),
}
_AUDIO_KINDS: dict[str, tuple[Kind, ...]] = {
    "auto": ("audio-only", "full-av"),
    "full-av": ("full-av",),
    "audio-only": ("audio-only",),
}


@dataclass(frozen=True)
class MediaFile:
    """One mp4 or wav: a file of its own, or a member of a zip."""

    kind: Kind
    where: Location | Member

    def __str__(self) -> str:
        return str(self.where)

    @property
    def folder(self) -> str:
        """Address of the folder that holds the file or its archive, with a ``/`` at the end."""
        file = self.where.archive if isinstance(self.where, Member) else self.where
        return str(file).rpartition("/")[0] + "/"

    @property
    def label(self) -> str:
        """The file without the folders before it, such as ``Actors.zip/Actor_01/x.wav``."""
        return str(self).removeprefix(self.folder)

    def read(self) -> bytes:
        """All bytes of the file, fetched in one read.

        Raises
        ------
        MediaError
            If it is larger than any clip can be, or not what its archive declares.
        SourceError
            If it is not there any more; UnreachableError if the server does not answer.
        """
        if isinstance(self.where, Location) and (size := self.where.size()) > MAX_MEMBER_SIZE:
            raise MediaError(
                f"{self}: {size} bytes, more than {MAX_MEMBER_SIZE}; cut it into clips"
            )
        return self.where.read()


@dataclass(frozen=True)
class Clip:
    """One performance, whatever files carry it. Codes are RAVDESS's; 0 = not known.

    ``corpus`` is the name of the corpus that it belongs to; empty = not known.
    ``tables`` are its rows of the tables of a job, by feature.
    """

    clip_id: str
    actor: int
    emotion: int
    channel: int = 0
    intensity: int = 0
    statement: int = 0
    repetition: int = 0
    corpus: str = ""
    media: tuple[MediaFile, ...] = field(default=(), repr=False)
    tables: tuple[tuple[str, npt.NDArray[np.float32]], ...] = field(
        default=(), repr=False, compare=False
    )

    @property
    def order(self) -> tuple[int, int, int, int, int, int, str]:
        """What rows of a store are sorted by."""
        return (
            self.actor,
            self.channel,
            self.emotion,
            self.intensity,
            self.statement,
            self.repetition,
            self.clip_id,
        )

    def media_for(
        self, modality: Literal["video", "audio"], preference: str = "auto"
    ) -> MediaFile | None:
        """The file that a modality is read from, or None if the clip has none.

        ``auto`` prefers the video-only mp4 and the audio-only wav, and falls back on the full-AV
        mp4 for either.
        """
        kinds = (_VIDEO_KINDS if modality == "video" else _AUDIO_KINDS)[preference]
        by_kind = {media.kind: media for media in self.media}
        return next((by_kind[kind] for kind in kinds if kind in by_kind), None)


@dataclass(frozen=True)
class Problem:
    """A file that is not in the catalogue, or should be looked at.

    ``what`` is one of ``rejected`` (its name is outside the grammar), ``unreadable``,
    ``duplicate`` (another file already carries this part of the clip) and ``identical`` (its bytes
    equal another clip's, by size and CRC-32).
    """

    what: Literal["rejected", "unreadable", "duplicate", "identical"]
    where: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """Clips in row order, and what was left out and why."""

    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    sources: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def actors(self) -> tuple[int, ...]:
        """Actor codes present, ascending."""
        return tuple(sorted({clip.actor for clip in self.clips}))

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora present, sorted; clips of unknown ones add none."""
        return tuple(sorted({clip.corpus for clip in self.clips} - {""}))

    def select(
        self, emotions: Iterable[int] | None = None, channels: Iterable[int] | None = None
    ) -> Catalogue:
        """The clips of some emotions and vocal channels; a clip of unknown channel always stays."""
        kept_emotions = None if emotions is None else set(emotions)
        kept_channels = None if channels is None else {0, *channels}
        return replace(
            self,
            clips=tuple(
                clip
                for clip in self.clips
                if (kept_emotions is None or clip.emotion in kept_emotions)
                and (kept_channels is None or clip.channel in kept_channels)
            ),
        )


@dataclass(frozen=True)
class _Entry:
    clip: Clip
    media: MediaFile


def scan(
    sources: str | Sequence[str],
    storage_options: StorageOptions | None = None,
    manifests: bool = True,
) -> Catalogue:
    """List the clips that sources hold, reading only folders and zip directories.

    Parameters
    ----------
    sources : str or sequence of str
        Zips, folders, globs, single media files, or manifest CSVs; local paths or fsspec URLs.
    storage_options : mapping, optional
        Passed to fsspec, such as ``{"anon": True}`` for ``s3://``.
    manifests : bool
        Follow manifests, which may lead anywhere; else they are problems in the catalogue.

    Returns
    -------
    Catalogue
        Clips sorted by (actor, channel, emotion, intensity, statement, repetition). An unreadable
        archive among others is a problem in the catalogue; the others go on.

    Raises
    ------
    SourceError
        If a source does not exist or a manifest is wrong; UnreachableError if a server that holds
        one does not answer.
    """
    names = [sources] if isinstance(sources, str) else list(sources)
    if not names:
        raise SourceError("no source given; pass a zip, a folder, a glob or a manifest CSV")
    entries: list[_Entry] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for name in names:
        for location in expand(name, storage_options):
            if location.url in seen:
                continue
            seen.add(location.url)
            if not manifests and PurePosixPath(location.name).suffix.lower() == ".csv":
                problems.append(Problem("rejected", str(location), "manifests are not followed"))
                continue
            _scan_file(location, entries, problems)
    clips, repeated = _assemble(entries)
    return Catalogue(
        clips=tuple(sorted(clips, key=lambda clip: clip.order)),
        problems=(*problems, *repeated, *_identical(entries)),
        sources=tuple(redact(name) for name in names),
    )


def _scan_file(location: Location, entries: list[_Entry], problems: list[Problem]) -> None:
    suffix = PurePosixPath(location.name).suffix.lower()
    if suffix == ".zip":
        try:
            inside = members(location)
        except UnreachableError:  # its clips are not known, so none of the rows would be
            raise
        except SourceError as error:
            reason = str(error).removeprefix(f"{location}: ")
            problems.append(Problem("unreadable", str(location), reason))
            return
        for member in inside:
            refused = member.refusal()
            if refused:
                problems.append(Problem("unreadable", str(member), refused))
            else:
                _scan_media(member, member.name, entries, problems)
    elif suffix == ".csv":
        for row in read_manifest(location):
            clip = Clip(
                clip_id=row.clip_id,
                actor=row.actor,
                emotion=row.emotion,
                channel=row.channel,
                intensity=row.intensity,
                statement=row.statement,
                repetition=row.repetition,
                corpus=row.corpus,
            )
            entries.append(_Entry(clip, MediaFile(row.kind, row.where)))
    elif suffix in MEDIA_SUFFIXES:
        _scan_media(location, location.name, entries, problems)
    else:
        problems.append(
            Problem("rejected", str(location), "neither a .zip, .mp4, .wav nor a manifest .csv")
        )


def _scan_media(
    where: Location | Member, name: str, entries: list[_Entry], problems: list[Problem]
) -> None:
    try:
        named, kind = read_name(redact(name))
    except NameRejected as rejected:
        problems.append(Problem("rejected", str(where), str(rejected)))
        return
    entries.append(_Entry(Clip(**named.columns()), MediaFile(kind, where)))


def _assemble(entries: Iterable[_Entry]) -> tuple[list[Clip], list[Problem]]:
    """Join the files of each clip; the first file of a kind wins, later ones are duplicates."""
    clips: dict[str, Clip] = {}
    files: dict[str, dict[Kind, MediaFile]] = defaultdict(dict)
    problems = []
    for entry in entries:
        clip_id, kind = entry.clip.clip_id, entry.media.kind
        first = clips.setdefault(clip_id, entry.clip)
        if first != entry.clip:
            problems.append(
                Problem("duplicate", str(entry.media), f"{clip_id} is described differently before")
            )
        elif kind in files[clip_id]:
            kept = files[clip_id][kind]
            problems.append(
                Problem("duplicate", str(entry.media), f"{kind} of {clip_id} is read from {kept}")
            )
        else:
            files[clip_id][kind] = entry.media
    order: dict[Kind, int] = {"full-av": 0, "video-only": 1, "audio-only": 2}
    joined = [
        replace(
            clip, media=tuple(sorted(files[clip_id].values(), key=lambda media: order[media.kind]))
        )
        for clip_id, clip in clips.items()
    ]
    return joined, problems


def _identical(entries: Iterable[_Entry]) -> list[Problem]:
    groups: dict[tuple[int, int], dict[str, Member]] = defaultdict(dict)
    for entry in entries:
        where = entry.media.where
        if isinstance(where, Member):
            groups[where.crc, where.size].setdefault(entry.clip.clip_id, where)
    return [
        Problem("identical", str(other), f"has the same bytes as {first}")
        for group in groups.values()
        for first, *others in [list(group.values())]
        for other in others
    ]


def count_problems(problems: Iterable[Problem]) -> dict[str, int]:
    """How many problems of each sort there are."""
    return dict(Counter(problem.what for problem in problems))
