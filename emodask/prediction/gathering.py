"""Media files as people pass them -> clips: files of one clip together, each with a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from emodask.errors import SourceError
from emodask.sources.archive import Member, members
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.corpora import read_name
from emodask.sources.location import Location, StorageOptions, expand, redact
from emodask.sources.names import Kind, NameRejected

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus")
SUFFIXES = VIDEO_SUFFIXES + AUDIO_SUFFIXES


def gather_clips(media: Sequence[str], storage_options: StorageOptions | None = None) -> list[Clip]:
    """Group media files into clips.

    Files of one clip share a name apart from the ending, or are named as RAVDESS names them; then,
    and with names of TESS, a clip has its actor. Two files of one kind and name are two clips: the
    second is called after its folder too.

    Raises
    ------
    SourceError
        If a file is absent or none is a media file.
    """
    clips: dict[str, dict[Kind, MediaFile]] = {}
    actors: dict[str, int] = {}
    for item in media:
        for where, path in _media_files(item, storage_options):
            name, kind, actor = _named(path)
            if kind in clips.get(name, {}):
                name = f"{PurePosixPath(path).parent.name}/{name}"
                if kind in clips.get(name, {}):
                    name = str(PurePosixPath(path))
            clips.setdefault(name, {})[kind] = MediaFile(kind, where)
            actors[name] = actor
    if not clips:
        raise SourceError(f"{', '.join(redact(item) for item in media)}: no media file there")
    if len(clips) == 2 and sorted(kind for files in clips.values() for kind in files) in (
        ["audio-only", "full-av"],
        ["audio-only", "video-only"],
    ):
        clips = {next(iter(clips)): {k: m for files in clips.values() for k, m in files.items()}}
    return [
        Clip(name, actor=actors[name], emotion=0, media=tuple(files.values()))
        for name, files in clips.items()
    ]


def actor_of(clip_id: str) -> int:
    """The actor that the name of a clip tells; 0 if it tells none.

    Examples
    --------
    >>> actor_of("01-06-01-02-01-12"), actor_of("YAF_dog_ps"), actor_of("take3")
    (12, 102, 0)
    """
    for file in (f"03-{clip_id}.wav", f"{clip_id}.wav"):
        try:
            return read_name(file)[0].actor
        except NameRejected:
            continue
    return 0


def _media_files(
    item: str, storage_options: StorageOptions | None
) -> Iterator[tuple[Location | Member, str]]:
    """The media files of one argument, each with its path."""
    locations = expand(item, storage_options)
    for location in locations:
        path = redact(location.url)
        suffix = PurePosixPath(path).suffix.lower()
        if suffix == ".zip":
            yield from _in_zip(location)
        elif suffix in SUFFIXES:
            yield location, path
        elif len(locations) == 1:
            raise SourceError(
                f"{location}: not a media file; expected one of {', '.join(SUFFIXES)} or a .zip of "
                "them"
            )


def _in_zip(archive: Location) -> Iterator[tuple[Member, str]]:
    refused = ""
    count = 0
    for member in members(archive):
        path = PurePosixPath(member.name)
        # macOS puts a file of its own beside each, named ._ and the rest.
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("._"):
            continue
        if reason := member.refusal():
            refused = refused or f" {member}: {reason}"
            continue
        count += 1
        yield member, member.name
    if not count:
        raise SourceError(f"{archive}: no media file in this archive.{refused}")


def _named(path: str) -> tuple[str, Kind, int]:
    """Name of the clip, kind of the file and code of the actor, 0 if the name does not say."""
    try:
        named, kind = read_name(path)
        return named.clip_id, kind, named.actor
    except NameRejected:
        file = PurePosixPath(path)
        video = file.suffix.lower() in VIDEO_SUFFIXES
        return file.stem, "full-av" if video else "audio-only", 0
