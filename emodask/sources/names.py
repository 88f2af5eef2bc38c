"""The grammar of RAVDESS file names, and what a name says about a clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from emodask.emotions import EMOTIONS

Kind = Literal["full-av", "video-only", "audio-only"]

Modality = Literal["video", "audio"]
MODALITIES: tuple[Modality, ...] = ("video", "audio")
"""In the order that stores and reports name them."""

KINDS: dict[str, Kind] = {"01": "full-av", "02": "video-only", "03": "audio-only"}
"""RAVDESS modality codes."""

CHANNELS: dict[str, int] = {"speech": 1, "song": 2}

_SUFFIXES: dict[Kind, str] = {"full-av": ".mp4", "video-only": ".mp4", "audio-only": ".wav"}
SONG_EMOTIONS = 6
"""Song has the first six emotions: neither disgust nor surprise."""
_ACTORS = 24


class NameRejected(ValueError):
    """A file name outside the RAVDESS grammar; the message is the reason alone."""


@dataclass(frozen=True)
class ClipName:
    """What a RAVDESS name says, without the modality: one performance.

    Attributes
    ----------
    channel, emotion, intensity, statement, repetition, actor : int
        RAVDESS codes. ``channel`` 1 speech, 2 song; ``emotion`` 1 to 8; ``intensity`` 1 normal,
        2 strong; ``statement`` 1 "Kids are talking by the door", 2 "Dogs are sitting by the door".

    Examples
    --------
    >>> name, kind = parse_name("Actor_12/02-01-06-01-02-01-12.mp4")
    >>> name.clip_id, kind
    ('01-06-01-02-01-12', 'video-only')
    """

    channel: int
    emotion: int
    intensity: int
    statement: int
    repetition: int
    actor: int

    @property
    def clip_id(self) -> str:
        """The name without the modality, such as ``01-06-01-02-01-12``."""
        codes = (
            self.channel,
            self.emotion,
            self.intensity,
            self.statement,
            self.repetition,
            self.actor,
        )
        return "-".join(f"{code:02d}" for code in codes)

    def file_name(self, kind: Kind) -> str:
        """Name of the media file of one kind, such as ``03-01-06-01-02-01-12.wav``."""
        code = next(code for code, known in KINDS.items() if known == kind)
        return f"{code}-{self.clip_id}{_SUFFIXES[kind]}"


def parse_name(path: str) -> tuple[ClipName, Kind]:
    """Read a RAVDESS file name; folders before it are ignored.

    Parameters
    ----------
    path : str
        A path or archive member with ``/`` between folders.

    Returns
    -------
    name : ClipName
    kind : {"full-av", "video-only", "audio-only"}

    Raises
    ------
    NameRejected
        If the name is not one of RAVDESS speech or song; the message says why.

    Notes
    -----
    The codes are those of Livingstone & Russo (2018), PLoS ONE 13(5): e0196391. Neutral has no
    strong intensity, and song has no disgust and no surprise.
    """
    file = PurePosixPath(path)
    fields = file.stem.split("-")
    if len(fields) != 7:
        raise NameRejected(
            "not a RAVDESS name: seven two-digit numbers joined by '-' are expected, "
            f"as in 03-01-06-01-02-01-12.wav, but it has {len(fields)} part(s)"
        )
    for part in fields:
        if not (len(part) == 2 and part.isascii() and part.isdigit()):
            raise NameRejected(f"{part!r} is not a two-digit number")
    if fields[0] not in KINDS:
        raise NameRejected(f"modality {fields[0]} is not one of 01, 02, 03")
    kind = KINDS[fields[0]]
    if file.suffix.lower() != _SUFFIXES[kind]:
        raise NameRejected(
            f"modality {fields[0]} ({kind}) is a {_SUFFIXES[kind]}, not {file.suffix or 'bare'}"
        )
    channel, emotion, intensity, statement, repetition, actor = map(int, fields[1:])
    for label, code, highest in (
        ("vocal channel", channel, 2),
        ("emotion", emotion, len(EMOTIONS)),
        ("intensity", intensity, 2),
        ("statement", statement, 2),
        ("repetition", repetition, 2),
        ("actor", actor, _ACTORS),
    ):
        if not 1 <= code <= highest:
            raise NameRejected(f"{label} {code:02d} is not between 01 and {highest:02d}")
    if channel == CHANNELS["song"] and emotion > SONG_EMOTIONS:
        raise NameRejected(f"song has no emotion {emotion:02d} ({EMOTIONS[emotion - 1]})")
    if emotion == 1 and intensity == 2:
        raise NameRejected("neutral has no strong intensity (02)")
    return ClipName(channel, emotion, intensity, statement, repetition, actor), kind
