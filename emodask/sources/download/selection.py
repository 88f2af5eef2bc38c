"""Which files of the RAVDESS record are wanted: channels, modalities, actors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emodask.errors import SourceError, UsageError
from emodask.sources.download.record import RemoteFile
from emodask.sources.names import CHANNELS, MODALITIES

ACTORS = tuple(range(1, 25))

_VIDEO = re.compile(r"Video_(Speech|Song)_Actor_(\d\d)\.zip")
_AUDIO = re.compile(r"Audio_(Speech|Song)_Actors_\d\d-\d\d\.zip")


@dataclass(frozen=True)
class Selection:
    """The wanted part of RAVDESS.

    Attributes
    ----------
    channels : tuple of str
        ``speech``, ``song``.
    modalities : tuple of str
        ``video``: a zip for each actor; ``audio``: one zip of all actors for each channel.
    actors : tuple of int
        Whose video zips; an audio zip holds everyone.
    """

    channels: tuple[str, ...] = ("speech",)
    modalities: tuple[str, ...] = MODALITIES
    actors: tuple[int, ...] = ACTORS

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _known("channel", self.channels, tuple(CHANNELS))
        _known("modality", self.modalities, MODALITIES)
        wrong = [actor for actor in self.actors if actor not in ACTORS]
        if wrong or not self.actors:
            raise UsageError(
                f"actors are 1 to {ACTORS[-1]}, such as 1-4,7; found {wrong or 'none'}"
            )

    def wants(self, name: str) -> bool:
        """Whether a file of the record is in the selection.

        Examples
        --------
        >>> wanted = Selection(actors=(1, 2))
        >>> wanted.wants("Video_Speech_Actor_02.zip"), wanted.wants("Video_Speech_Actor_03.zip")
        (True, False)
        """
        video = _VIDEO.fullmatch(name)
        if video:
            return (
                "video" in self.modalities
                and video[1].lower() in self.channels
                and int(video[2]) in self.actors
            )
        audio = _AUDIO.fullmatch(name)
        if audio:
            return "audio" in self.modalities and audio[1].lower() in self.channels
        return False

    def of(self, files: Iterable[RemoteFile], where: str) -> list[RemoteFile]:
        """The wanted files, in the order of their names.

        Raises
        ------
        SourceError
            If the record holds none of them.
        """
        files = list(files)
        wanted = sorted((file for file in files if self.wants(file.name)), key=lambda f: f.name)
        if not wanted:
            shown = ", ".join(sorted(file.name for file in files)[:5])
            more = ", ..." if len(files) > 5 else ""
            raise SourceError(
                f"{where}: none of its {len(files)} files is wanted; it holds {shown}{more}"
            )
        return wanted


def _known(what: str, found: Sequence[str], allowed: tuple[str, ...]) -> None:
    wrong = [name for name in found if name not in allowed]
    if wrong or not found:
        named = f"found {wrong[0]!r}" if wrong else "none is given"
        raise UsageError(f"{what} is one of {', '.join(allowed)}; {named}")


def parse_actors(text: str) -> tuple[int, ...]:
    """Read actor numbers and ranges of them.

    Examples
    --------
    >>> parse_actors("1-4,7")
    (1, 2, 3, 4, 7)
    """
    actors: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,2})\s*(?:-\s*(\d{1,2})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UsageError(f"actors are numbers and ranges such as 1-4,7; found {part.strip()!r}")
        actors.update(range(first, last + 1))
    return tuple(sorted(actors))
