"""What a store says of the clips to draw: who they are, which feature is which, its numbers."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from emodask.emotions import EMOTIONS, emotion_name
from emodask.errors import EmodaskError, UsageError
from emodask.features import family
from emodask.features.audio.descriptors import CURVES
from emodask.job import Job, parse_job
from emodask.job_weights import weighted
from emodask.models.system import without_variants
from emodask.pictures.curve_figures import VARIANT
from emodask.store import (
    Status,
    StoreAddress,
    attributes,
    missing_modalities,
    open_group,
    stored_array,
)


@dataclass(frozen=True)
class StoredClip:
    """One row of a store."""

    row: int
    clip_id: str
    actor: int
    emotion: str
    status: Status
    error: str

    @property
    def heading(self) -> str:
        """What its pictures are called."""
        return f"{self.emotion}, {self.clip_id}"


def _with_a_model(extraction: dict[str, Any]) -> dict[str, Any]:
    """What a job has beside the settings of extraction, which are all that a store knows.

    The model, which nobody uses, is of a kind that can read any feature.
    """
    first = next(iter(extraction["features"]))
    model = {"kind": "dense-head", "features": [first]}
    return {**extraction, "name": "pictures", "models": {"none": model}}


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """A store, and which of its features can be drawn.

    Attributes
    ----------
    address : StoreAddress
    group : zarr.Group
    job : Job
        The settings of its extraction, with a model that nobody uses.
    clips : tuple of StoredClip
        All rows.
    face, spline, voice : str
        Name of the first HOG3D feature, of the first spline feature, and of the feature whose sound
        is drawn, one that a network computes if there is no other; empty if there is none.
    frames : str
        Name of the first feature of frames as they are, or of a frozen network's maps of them.
    """

    address: StoreAddress
    group: zarr.Group
    job: Job
    clips: tuple[StoredClip, ...]
    face: str
    spline: str
    voice: str
    frames: str

    @classmethod
    def at(cls, address: StoreAddress) -> StoredFeatures:
        """Open a store and read the labels of its rows.

        Raises
        ------
        StoreError
            If there is none.
        """
        found = cls.without_clips(address)
        columns = [
            np.asarray(stored_array(found.group, name)[:])
            for name in ("clip_id", "actor", "emotion", "status", "error")
        ]
        clips = tuple(
            StoredClip(
                row, str(name), int(actor), stored_emotion(int(code)), Status(int(status)), str(why)
            )
            for row, (name, actor, code, status, why) in enumerate(zip(*columns, strict=True))
        )
        return replace(found, clips=clips)

    @classmethod
    def without_clips(cls, address: StoreAddress) -> StoredFeatures:
        """Open a store and read nothing of its rows, of which there may be very many.

        Raises
        ------
        StoreError
            If there is none.
        """
        group = open_group(address)
        # What variants of a clip would give is not drawn, nor computed again.
        job = without_variants(parse_job(_with_a_model(attributes(group)["job"]), str(address)))
        kinds = {name: feature.kind for name, feature in job.features.items()}

        def first(*wanted: str) -> str:
            return next((name for name, kind in kinds.items() if kind in wanted), "")

        sounds = [name for name, kind in kinds.items() if family(kind).modality == "audio"]
        # Those of networks last: whether media are theirs cannot be told without the weights.
        sounds.sort(key=lambda name: name in weighted(job))
        spline = first("spline")
        voice = spline or next(iter(sounds), "")
        frames = first("pictures", "vgg16", "expression")
        return cls(address, group, job, (), first("hog3d"), spline, voice, frames)

    @property
    def holds_frames(self) -> bool:
        """Whether the store has the frames themselves."""
        return bool(self.frames) and self.job.features[self.frames].kind == "pictures"

    def named(self, names: Sequence[str]) -> list[StoredClip]:
        """Clips by name; the name of one of their files does as well.

        Raises
        ------
        UsageError
            If the store has no such clip; the message names the nearest.
        """
        known = {clip.clip_id: clip for clip in self.clips}
        return [known[_known(name, list(known), self.address)] for name in dict.fromkeys(names)]

    def one_of_each_emotion(self) -> list[StoredClip]:
        """A clip of each emotion, all of one person if one person has them all.

        The person whose clips show most emotions, the first if several do; of each emotion, the
        clip with the strongest intensity. Rows whose features are whole go before incomplete ones.
        """
        drawable = [clip for clip in self.clips if clip.status in (Status.DONE, Status.INCOMPLETE)]
        if not drawable:
            return []
        emotions: dict[int, set[str]] = {}
        for clip in drawable:
            emotions.setdefault(clip.actor, set()).add(clip.emotion)
        chosen = min(emotions, key=lambda actor: (-len(emotions[actor]), actor))
        intensity = np.asarray(stored_array(self.group, "intensity")[:])

        def worse(clip: StoredClip) -> tuple[bool, bool, int, int]:
            whole = clip.status == Status.DONE
            return clip.actor != chosen, not whole, -int(intensity[clip.row]), clip.row

        best: dict[str, StoredClip] = {}
        for clip in sorted(drawable, key=worse):
            best.setdefault(clip.emotion, clip)
        return [best[name] for name in EMOTIONS if name in best]

    def numbers(self, clip: StoredClip, name: str) -> npt.NDArray[np.float32] | None:
        """A feature of a clip as stored; None if the clip lacks it."""
        if not name or family(self.job.features[name].kind).modality in missing_modalities(
            clip.error
        ):
            return None
        array = stored_array(self.group, name)
        variants = array.ndim > 1 + len(self.job.features[name].row_dims)
        values = np.asarray(array[(clip.row, 0) if variants else clip.row], np.float32)
        return values if np.isfinite(values).all() else None

    def settings(self, name: str) -> Any:
        """Settings of a feature."""
        return self.job.features[name].settings

    def coefficients(self, clip: StoredClip) -> npt.NDArray[np.float32] | None:
        """The spline coefficients of the variant that is drawn, (coefficients, 34)."""
        values = self.numbers(clip, self.spline)
        if values is None:
            return None
        from emodask.features.spline import NAMES

        start = NAMES.index(f"{VARIANT}/{CURVES[0]}")
        return values[:, start : start + len(CURVES)]


def refusal(clip: StoredClip) -> str:
    """Why nothing can be drawn of a clip; empty if something can.

    Examples
    --------
    >>> refusal(StoredClip(0, "a", 1, "sad", Status.FAILED, "a.wav: decode: not a wav"))
    'a: its extraction failed: a.wav: decode: not a wav'
    """
    if clip.status == Status.FAILED:
        return f"{clip.clip_id}: its extraction failed: {clip.error}"
    if clip.status == Status.PENDING:
        return f"{clip.clip_id}: not extracted yet; run 'emodask extract' again to go on"
    return ""


def stored_emotion(code: int) -> str:
    """Name of an emotion code of a store, ``unknown`` if it has none."""
    try:
        return emotion_name(code)
    except ValueError:
        return "unknown"


def _known(name: str, known: list[str], address: StoreAddress) -> str:
    if not known:
        raise EmodaskError(f"{address}: the store has no clips")
    if name in known:
        return name
    bare = name.rpartition("/")[2].rpartition(".")[0] or name
    for candidate in (bare, bare.partition("-")[2], name.partition("-")[2]):
        if candidate in known:
            return candidate
    close = difflib.get_close_matches(bare.partition("-")[2], known, 3, 0)
    close = difflib.get_close_matches(bare, known, 3, 0.6) or close or known[:1]
    raise UsageError(
        f"{address}: no clip {name!r} among its {len(known)}; the nearest: {', '.join(close)}"
    )
