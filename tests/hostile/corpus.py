"""The whole corpus: every case with a clip of its own, written as the files of one source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from emodask.sources.names import ClipName
from tests.hostile.archives import archives
from tests.hostile.case import Case
from tests.hostile.making import plain, voice
from tests.hostile.sounds import sounds
from tests.hostile.videos import videos

_GOOD_EVERY = 8


@cache
def corpus() -> tuple[Case, ...]:
    """All cases, the same at every call; each with a clip name of its own."""
    ids = clip_ids()
    media = [replace(case, clip_id=next(ids)) for make in (videos, sounds) for case in make()]
    return (*media, *archives(ids))


def clip_ids() -> Iterator[str]:
    """Names of RAVDESS speech clips, less those kept for good clips in between."""
    for n, name in enumerate(_names()):
        if n % _GOOD_EVERY:
            yield name


def _names() -> Iterator[str]:
    for actor in range(1, 25):
        for emotion in range(2, 9):
            for rest in range(8):
                intensity, statement, repetition = 1 + rest // 4, 1 + rest // 2 % 2, 1 + rest % 2
                yield ClipName(1, emotion, intensity, statement, repetition, actor).clip_id


@dataclass(frozen=True)
class Written:
    """Files of cases: the hostile file of each, and the clips that are good."""

    files: dict[str, Path]
    good: frozenset[str]


def write(folder: Path, cases: Sequence[Case]) -> Written:
    """Write cases as one source, with good clips between them.

    A hostile video has a good wav beside it, a hostile wav a good video; zips stand alone.
    """
    files = {}
    for case in cases:
        video = folder / f"02-{case.clip_id}.mp4"
        wav = folder / f"03-{case.clip_id}.wav"
        own = {"video": video, "sound": wav, "zip": folder / f"{case.name}.zip"}[case.kind]
        own.write_bytes(case.data)
        files[case.name] = own
        if case.kind != "zip":
            other, data = (wav, voice()) if case.kind == "video" else (video, plain())
            other.write_bytes(data)
    last = max(case.clip_id.split("-")[-1] for case in cases)
    good = [name for n, name in enumerate(_names()) if not n % _GOOD_EVERY]
    good = [name for name in good if name.split("-")[-1] <= last]
    for name in good:
        (folder / f"02-{name}.mp4").write_bytes(plain())
        (folder / f"03-{name}.wav").write_bytes(voice())
    return Written(files, frozenset(good))
