"""A judge of known verdicts, with the methods that the page uses of the real one."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from PIL import Image

from emodask.emotions import EMOTIONS
from emodask.page.judges.judgement import Judgement, Problem
from emodask.page.settings import PageSettings

SETTINGS = PageSettings(max_upload=20 << 20, max_seconds=600.0)

NAMES = [str(name) for name in EMOTIONS]

CARD = SimpleNamespace(
    name="both.emodask",
    modalities=("face", "voice"),
    emotions=tuple(NAMES),
    trained_on="Trained on 1440 clips of 24 people.",
    figure="On actors that it had never seen it was right in 52% of their clips (UAR 0.51).",
    warning="It learned from acted North American speech: of anything else it knows less.",
    trust="calibrated",
)

HEARS = SimpleNamespace(**{**vars(CARD), "name": "voice.emodask", "modalities": ("audio",)})

PROBLEMS = {
    "no-face": "There is no face in this video: one person should face the camera.",
    "no-voice": "There is no voice in this recording: check that the microphone is on.",
    "too-short": "This recording lasts 0.2 s: at least 1 s is needed.",
    "too-long": "This recording lasts 11:00 min: at most 10:00 are judged.",
    "busy": "Other recordings are being judged: try again in a minute.",
    "took-too-long": "Judging took more than 120 s and was stopped.",
}
"""What :class:`PretendJudge` says of files that are named after the problem."""


class PretendJudge:
    """Says sad first, then happy; the third window is silent."""

    cards = (CARD, HEARS)
    places = 9

    def __init__(self) -> None:
        self.names: list[str] = []

    def judge(self, file: Path, name: str) -> Judgement:
        """A verdict on every readable file."""
        self.names.append(name)
        code: Any
        for code, text in PROBLEMS.items():
            if name.startswith(code):
                return Judgement(name, problem=Problem(code, text))
        if "broken" in name:
            raise RuntimeError("the judge is broken")
        try:
            seconds, kinds = _read(file)
        except (av.FFmpegError, StopIteration):
            text = "This is no video or sound file that can be read."
            return Judgement(name, problem=Problem("not-media", text))
        return verdict(name, seconds, kinds)


def verdict(name: str, seconds: float, kinds: tuple[str, ...] = ("face", "voice")) -> Judgement:
    """A judgement in windows of 2 s, one a second."""
    starts = np.arange(0, max(seconds - 1, 1), 1.0)
    steps = tuple(
        {
            "start": float(start),
            "end": float(start + 2),
            "probabilities": {} if number == 2 else _chances("sad" if number < 2 else "happy"),
            "reason": "silence" if number == 2 else None,
        }
        for number, start in enumerate(starts)
    )
    return Judgement(
        name=name,
        seconds=seconds,
        bundle=CARD.name,
        modalities=kinds,
        probabilities=_chances("sad"),
        steps=steps,
        trust="Calibrated on actors that the models had not seen.",
        notes=() if len(kinds) == 2 else ("Only the voice was judged: there is no picture.",),
        pictures={kind: _picture() for kind in kinds},
    )


def _chances(most: str) -> dict[str, float]:
    chances = dict.fromkeys(NAMES, 0.05)
    chances["calm"] = 0.16
    chances[most] = 0.0
    chances[most] = 1.0 - sum(chances.values())
    return chances


def _read(file: Path) -> tuple[float, tuple[str, ...]]:
    """Seconds to the end of the last frame, and which modalities there are."""
    with av.open(str(file)) as media:
        kinds = (
            *(["face"] if media.streams.video else []),
            *(["voice"] * bool(media.streams.audio)),
        )
        end = 0.0
        for frame in media.decode(*media.streams):
            end = max(end, float(frame.time or 0.0))
        if not end:
            raise StopIteration
        return end, kinds


def _picture() -> bytes:
    shades = np.tile(np.linspace(0, 255, 160, dtype=np.uint8), (90, 1))
    content = io.BytesIO()
    Image.fromarray(shades).save(content, "PNG")
    return content.getvalue()
