"""Manifest CSVs: how corpora with other file names come in."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from dataclasses import dataclass

from emodask.emotions import CODES, EMOTIONS, emotion_name
from emodask.errors import SourceError
from emodask.sources.archive import Member, members
from emodask.sources.corpora import corpus_of, read_name
from emodask.sources.location import Location, is_url
from emodask.sources.names import CHANNELS, KINDS, Kind, NameRejected

REQUIRED = ("path", "clip_id", "actor", "emotion")
OPTIONAL = ("intensity", "statement", "repetition", "channel", "modality", "corpus")
_KIND_BY_SUFFIX: dict[str, Kind] = {
    ".mp4": "full-av",
    ".mov": "full-av",
    ".mkv": "full-av",
    ".webm": "full-av",
    ".avi": "full-av",
    ".wav": "audio-only",
    ".flac": "audio-only",
}
_CODE_MAX = 32767
_ID_MAX = 200
_CORPUS = re.compile("[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Row:
    """One line of a manifest: a media file and the clip it belongs to."""

    where: Location | Member
    kind: Kind
    clip_id: str
    actor: int
    emotion: int
    channel: int
    intensity: int
    statement: int
    repetition: int
    corpus: str


def read_manifest(location: Location) -> list[Row]:
    """Read a manifest CSV with the columns ``path,clip_id,actor,emotion`` and optional others.

    Parameters
    ----------
    location : Location
        UTF-8 CSV. ``path`` is relative to the manifest, absolute, a URL, or a zip member written
        as fsspec does: ``zip://Actor_25/01.mp4::Video_Speech_Actor_25.zip``. ``actor`` is a
        positive integer, ``emotion`` a name. Optional columns: ``intensity``, ``statement``,
        ``repetition`` (integers), ``channel`` (``speech``, ``song`` or an integer), ``corpus`` (a
        name; by default that of the known corpus that names its clips so), and ``modality``
        (``full-av``, ``video-only``, ``audio-only``); without it a video file is taken for
        full-AV, so its own sound track is its audio. A line with none of ``clip_id``, ``actor`` and
        ``emotion`` takes what the name of its file says, if that is RAVDESS's or TESS's.

    Raises
    ------
    SourceError
        Naming the line, the column, what was found and what would be right.
    """
    try:
        text = location.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{location}: not UTF-8 text, so not a manifest CSV") from error
    try:
        lines = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise SourceError(f"{location}: not a well-formed CSV: {error}") from error
    columns = set(lines[0]) if lines else set()
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        raise SourceError(
            f"{location}: a manifest needs a header with the columns {', '.join(REQUIRED)}, and a "
            f"line for each file; missing: {', '.join(missing)}"
        )
    archives: dict[str, dict[str, Member]] = {}
    return [
        _read_row(location, number, line, archives) for number, line in enumerate(lines, start=2)
    ]


def _read_row(
    manifest: Location,
    number: int,
    line: dict[str, str | None],
    archives: dict[str, dict[str, Member]],
) -> Row:
    def wrong(column: str, expected: str) -> SourceError:
        return SourceError(
            f"{manifest}, line {number}: {column} is {line.get(column)!r}; expected {expected}"
        )

    def integer(column: str, least: int) -> int:
        text = (line.get(column) or "").strip()
        if not text and least == 0:
            return 0
        if not (text.isascii() and text.isdigit() and least <= int(text) <= _CODE_MAX):
            raise wrong(column, f"an integer from {least} to {_CODE_MAX}")
        return int(text)

    if None in line:
        raise SourceError(f"{manifest}, line {number}: more fields than the header has columns")
    path = (line["path"] or "").strip()
    if not any((line[column] or "").strip() for column in REQUIRED[1:]):
        line = _with_what_the_name_says(line, path)
    clip_id = (line["clip_id"] or "").strip()
    if not clip_id or len(clip_id) > _ID_MAX or not clip_id.isprintable():
        raise wrong("clip_id", f"1 to {_ID_MAX} printable characters")
    emotion = (line["emotion"] or "").strip().lower()
    if emotion not in CODES:
        raise wrong("emotion", f"one of {', '.join(EMOTIONS)}")
    channel = (line.get("channel") or "").strip().lower()
    corpus = (line.get("corpus") or "").strip().lower() or corpus_of(clip_id)
    if corpus and not _CORPUS.fullmatch(corpus):
        raise wrong("corpus", "a name of at most 64 letters, digits, '-' and '_'")
    if not path:
        raise wrong("path", "a file")
    kind = (line.get("modality") or "").strip().lower()
    suffix = posixpath.splitext(path.partition("::")[0])[1].lower()
    if kind:
        known = {k: k for k in KINDS.values()}
        if kind not in known:
            raise wrong("modality", f"one of {', '.join(known)}")
        declared: Kind = known[kind]
    elif suffix in _KIND_BY_SUFFIX:
        declared = _KIND_BY_SUFFIX[suffix]
    else:
        raise wrong("path", f"a file ending in one of {', '.join(_KIND_BY_SUFFIX)}")
    return Row(
        where=_locate(manifest, number, path, archives),
        kind=declared,
        clip_id=clip_id,
        actor=integer("actor", 1),
        emotion=CODES[emotion],
        channel=CHANNELS[channel] if channel in CHANNELS else integer("channel", 0),
        intensity=integer("intensity", 0),
        statement=integer("statement", 0),
        repetition=integer("repetition", 0),
        corpus=corpus,
    )


def _with_what_the_name_says(line: dict[str, str | None], path: str) -> dict[str, str | None]:
    """A line whose empty cells are filled from its file's name, if a known corpus names it so."""
    try:
        named, kind = read_name(path.partition("::")[0])
    except NameRejected:
        return line
    said = {name: str(value) for name, value in named.columns().items() if value}
    said |= {"emotion": emotion_name(named.emotion), "modality": kind}
    return {**said, **{column: text for column, text in line.items() if (text or "").strip()}}


def _locate(
    manifest: Location, number: int, path: str, archives: dict[str, dict[str, Member]]
) -> Location | Member:
    if not path.startswith("zip://"):
        return _beside(manifest, path)
    name, _, archive = path.removeprefix("zip://").partition("::")
    if not archive:
        raise SourceError(
            f"{manifest}, line {number}: {path!r} names no archive; expected zip://MEMBER::ARCHIVE"
        )
    if archive not in archives:
        inside = members(_beside(manifest, archive))
        archives[archive] = {member.name: member for member in inside}
    if name not in archives[archive]:
        raise SourceError(f"{manifest}, line {number}: {archive} holds no member {name!r}")
    return archives[archive][name]


def _beside(manifest: Location, path: str) -> Location:
    if is_url(path) or posixpath.isabs(path):
        return Location(path, manifest.options)
    return Location(posixpath.join(posixpath.dirname(manifest.url), path), manifest.options)
