"""Bundles + one recording -> a judgement, in this process: what a judge process runs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from emodask.errors import EmodaskError, MediaError, UsageError
from emodask.job_detectors import check_detectors
from emodask.media.sound import joined, sound_pieces
from emodask.media.tracks import Tracks, tracks
from emodask.models.bundle import Bundle
from emodask.models.trust import trust
from emodask.page.judges.cards import BundleCard, cards_of
from emodask.page.judges.judgement import Judgement, Problem
from emodask.page.judges.pictures import face_picture, voice_picture
from emodask.page.judges.problems import (
    NO_FACE_SEEN,
    NO_MEMORY,
    NO_VOICE,
    failed,
    missing_modality,
    problem_of,
    too_long,
    wording,
)
from emodask.prediction.clips import used
from emodask.prediction.timeline import EVERY, WINDOW, check_timeline, timeline_of
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.location import Location
from emodask.sources.names import Kind

_SILENCE = 1e-4
"""The largest sample of sound that holds no voice: 80 dB below full scale."""

_SLACK = 0.5
"""Seconds by which a recording may pass the limit: people stop a moment late."""

_KINDS: dict[frozenset[str], Kind] = {
    frozenset({"video"}): "video-only",
    frozenset({"audio"}): "audio-only",
}


@dataclass(frozen=True, eq=False)
class Sound:
    """The whole sound of a recording, mono; silent if no voice can be in it."""

    samples: npt.NDArray[np.float32]
    rate: int

    @property
    def silent(self) -> bool:
        return not self.samples.size or float(np.abs(self.samples).max()) < _SILENCE


class _TooLong(Exception):
    """A recording went on beyond what is allowed."""


class Bench:
    """Bundles that judge recordings in this process.

    Parameters
    ----------
    bundles : sequence of Bundle
        The first that a recording has enough for judges it.

    Raises
    ------
    UsageError
        If one reads tables, or lacks its detector of faces.
    """

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        for bundle in bundles:
            if bundle.tables:
                raise UsageError(
                    f"the bundle of {bundle.job.name} reads the table {bundle.tables[0]}, and a "
                    "page gets recordings alone: serve a bundle of face or voice"
                )
            check_timeline(bundle, _window(bundle), EVERY)
            check_detectors(used(bundle))
        self.bundles = tuple(bundles)
        self.cards: tuple[BundleCard, ...] = cards_of(bundles)

    def judge(self, file: Path, name: str, max_seconds: float) -> Judgement:
        """Judge one recording. Whatever is wrong with it is said in the judgement.

        Parameters
        ----------
        file : Path
        name : str
            What the person calls it; like the name of a clip, it seeds the noise of its features.
        max_seconds : float
            Longer ones are refused.
        """
        try:
            return self._judge(file, name, max_seconds)
        except _TooLong:
            return Judgement(name, problem=too_long(max_seconds))
        except MediaError as error:
            return Judgement(name, problem=problem_of(str(error)))
        except EmodaskError as error:
            return Judgement(name, problem=failed(str(error)))
        except MemoryError:
            return Judgement(name, problem=NO_MEMORY)

    def _judge(self, file: Path, name: str, max_seconds: float) -> Judgement:
        found = tracks(file)
        if found.seconds is not None and found.seconds > max_seconds + _SLACK:
            raise _TooLong
        sound, unheard = self._heard(file, found, max_seconds)
        silent = sound is not None and sound.silent
        has = found.modalities - {"audio"} if silent or unheard else found.modalities
        place = self._fitting(has)
        if place is None:
            if unheard is not None:
                raise unheard
            fits = self._fitting(found.modalities) is not None
            problem = NO_VOICE if silent and fits else missing_modality(has, self.bundles)
            return Judgement(name, problem=problem)
        kept = self._verdict(place, file, name, max_seconds)
        why = "its sound is silent" if silent else f"it has {wording(has)}"
        if unheard is not None:
            why = "its sound cannot be read"
        if place:
            kept = replace(kept, notes=(self._stood_in(place, why), *kept.notes))
        if kept.problem is not None:
            return kept
        return self._illustrated(kept, self.bundles[place], file, sound)

    def _heard(
        self, file: Path, found: Tracks, max_seconds: float
    ) -> tuple[Sound | None, MediaError | None]:
        """The sound of a recording, or why it cannot be read; neither if there is none."""
        if "audio" not in found.modalities:
            return None, None
        try:
            return _sound(file, max_seconds), None
        except MediaError as error:
            return None, error

    def _fitting(self, has: frozenset[str]) -> int | None:
        """Which bundle judges a recording: the first that needs no more than it has."""
        for place, bundle in enumerate(self.bundles):
            if set(bundle.modalities) <= has:
                return place
        return None

    def _stood_in(self, place: int, why: str) -> str:
        first, other = self.bundles[0], self.bundles[place]
        return (
            f"{self.cards[0].name} needs {wording(first.modalities)}, and of this recording {why}: "
            f"{self.cards[place].name} judged it by {wording(other.modalities)}."
        )

    def _verdict(self, place: int, file: Path, name: str, max_seconds: float) -> Judgement:
        bundle, card = self.bundles[place], self.cards[place]

        def along(clip: str, second: float) -> None:
            if second > max_seconds + _SLACK:
                raise _TooLong

        kind = _KINDS.get(frozenset(bundle.modalities), "full-av")
        media = MediaFile(kind, Location(str(file)))
        clip = Clip(PurePath(name).stem or "recording", actor=0, emotion=0, media=(media,))
        line = timeline_of(bundle, clip, window=_window(bundle), on_progress=along)
        problem: Problem | None = problem_of(line.error) if line.error else None
        return Judgement(
            name,
            seconds=line.seconds,
            bundle=card.name,
            modalities=bundle.modalities,
            probabilities=line.probabilities,
            steps=tuple(step.as_dict() for step in line.steps),
            trust=f"{trust(bundle)}. {card.figure}" if line.probabilities else "",
            notes=(card.warning,) if line.probabilities else (),
            problem=problem,
        )

    def _illustrated(
        self, kept: Judgement, bundle: Bundle, file: Path, sound: Sound | None
    ) -> Judgement:
        """With what the bundle saw and heard; a picture that cannot be drawn is left out."""
        drawn: dict[str, bytes] = {}
        notes = kept.notes
        if "video" in bundle.modalities:
            with contextlib.suppress(Exception):
                if (seen := face_picture(bundle, file)) is not None:
                    drawn["face"] = seen.picture
                    notes = (NO_FACE_SEEN, *notes) if seen.face is False else notes
        if "audio" in bundle.modalities and sound is not None:
            with contextlib.suppress(Exception):
                if heard := voice_picture(bundle, sound.samples, sound.rate):
                    drawn["voice"] = heard
        return replace(kept, pictures=drawn, notes=notes)


def _window(bundle: Bundle) -> float:
    return min(WINDOW, bundle.job.data.max_seconds)


def _sound(file: Path, max_seconds: float) -> Sound:
    pieces: list[npt.NDArray[np.float32]] = []
    count = rate = 0
    with contextlib.closing(sound_pieces(file)) as found:
        for rate, piece in found:
            pieces.append(piece)
            count += piece.size
            if count > (max_seconds + _SLACK) * rate:
                raise _TooLong
    return Sound(joined(pieces), rate)
