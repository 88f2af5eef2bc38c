"""What a media file holds: whether there is video and sound, and how long it says it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av.stream import Disposition

from emodask.media.decoding import open_media, readable
from emodask.media.structure import container_of
from emodask.sources.names import Modality

_MICROSECONDS = 1e6


@dataclass(frozen=True)
class Tracks:
    """The modalities of a file, and its declared seconds: None of what browsers record."""

    modalities: frozenset[Modality]
    seconds: float | None = None


def tracks(media: bytes | Path) -> Tracks:
    """Look at a media file without decoding it. Pictures attached to sound are no video.

    Raises
    ------
    MediaError
        If it is no media file.
    """
    with readable(media) as (data, _):
        sound = container_of(data) in ("wav", "flac")
    if sound:
        return Tracks(frozenset({"audio"}))
    found: set[Modality] = set()
    with open_media(media) as container:
        if any(not s.disposition & Disposition.attached_pic for s in container.streams.video):
            found.add("video")
        if container.streams.audio:
            found.add("audio")
        declared = container.duration
    return Tracks(frozenset(found), declared / _MICROSECONDS if declared else None)
