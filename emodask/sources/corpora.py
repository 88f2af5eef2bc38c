"""The corpora that are known by their file names: what a name says, and whose data it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from emodask.sources.names import CHANNELS, Kind, NameRejected, parse_name
from emodask.sources.tess import looks_like_tess, parse_tess

CREDITS: dict[str, str] = {
    "ravdess": (
        "clips named as RAVDESS names them. If they are its own: Livingstone & Russo (2018), "
        "PLoS ONE 13(5): e0196391, Zenodo record 1188976, CC BY-NC-SA 4.0"
    ),
    "tess": (
        "clips named as TESS names them. If they are its own: Pichora-Fuller & Dupuis (2020), "
        "Toronto emotional speech set (TESS), doi:10.5683/SP2/E8H2MF, CC BY-NC-ND 4.0"
    ),
}
"""By the name that the store's ``corpus`` has."""


@dataclass(frozen=True)
class NamedClip:
    """What a file name says of its clip. Codes are RAVDESS's; 0 = the name does not say."""

    clip_id: str
    corpus: str
    actor: int
    emotion: int
    channel: int
    intensity: int = 0
    statement: int = 0
    repetition: int = 0

    def columns(self) -> dict[str, Any]:
        """By name, as rows of catalogues take them."""
        return dict(vars(self))


def read_name(path: str) -> tuple[NamedClip, Kind]:
    """What a file name of a known corpus says; folders before it are ignored.

    Raises
    ------
    NameRejected
        If it is of none; the message says why, or why not of the corpus that it looks like.

    Examples
    --------
    >>> named, kind = read_name("OAF_Fear/OAF_back_fear.wav")
    >>> named.corpus, named.actor, named.emotion, kind
    ('tess', 101, 6, 'audio-only')
    """
    if looks_like_tess(path):
        tess = parse_tess(path)
        speech = CHANNELS["speech"]
        return NamedClip(tess.clip_id, "tess", tess.actor, tess.emotion, speech), "audio-only"
    name, kind = parse_name(path)
    return NamedClip(name.clip_id, "ravdess", **vars(name)), kind


def corpus_of(clip_id: str) -> str:
    """Name of the corpus that names its clips so; empty for any other clip.

    Examples
    --------
    >>> corpus_of("01-06-01-02-01-12"), corpus_of("YAF_dog_ps"), corpus_of("s01_take3")
    ('ravdess', 'tess', '')
    """
    # Clips of RAVDESS have no modality in their names, and a file of sound alone.
    file = f"{clip_id}.wav" if looks_like_tess(clip_id) else f"03-{clip_id}.wav"
    try:
        named, _ = read_name(file)
    except NameRejected:
        return ""
    return named.corpus if named.clip_id == clip_id else ""


def credit_of(corpora: Iterable[str]) -> str:
    """Whose data clips are, if all of them are of known corpora; else nothing."""
    found = sorted(set(corpora))
    return "; ".join(CREDITS[name] for name in found) if set(found) <= set(CREDITS) else ""
