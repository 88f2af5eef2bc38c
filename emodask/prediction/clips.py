"""The verdict on each clip, as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.clip_features import features_of_bytes, table_feature
from emodask.clip_tables import Tables, with_rows
from emodask.emotions import emotion_name
from emodask.errors import BundleError, EmodaskError, TooLongError, UsageError
from emodask.job import Job
from emodask.job_detectors import check_detectors
from emodask.models.bundle import Bundle, load_bundle
from emodask.models.fitted import Matrices
from emodask.models.system import reduce, without_variants
from emodask.models.trust import Trust, trust
from emodask.prediction.adapting import (
    FEWEST_CLIPS,
    adapted_probabilities,
    check_adapted,
    too_few,
)
from emodask.prediction.gathering import actor_of, gather_clips
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.location import Location, StorageOptions
from emodask.sources.names import Modality
from emodask.sources.table import Table, read_table


@dataclass(frozen=True)
class Verdict:
    """What a bundle says of one clip.

    Attributes
    ----------
    clip : str
        Name of the clip.
    files : tuple of str
        What it was read from.
    probabilities : dict of str to float
        By emotion, in the order of the job's classes; empty if the clip could not be read.
    error : str
        Why, if so.
    trust : Trust or None
        What the probabilities are, and how far off they have been measured to be.
    speaker : int or None
        To whom the model was adapted; 0 if the names of files do not say; None if it was not.
    """

    clip: str
    files: tuple[str, ...]
    probabilities: dict[str, float]
    error: str = ""
    trust: Trust | None = None
    speaker: int | None = None

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Emotions and probabilities, most likely first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        adapted = {} if self.speaker is None else {"adapted_to_speaker": self.speaker}
        return {
            "clip": self.clip,
            "files": list(self.files),
            "emotion": self.ranked[0][0] if self.probabilities else None,
            "probabilities": self.probabilities,
            "trust": self.trust.as_dict() if self.trust else None,
            **adapted,
            "error": self.error or None,
        }


def predict(
    bundle: str | Path | Bundle,
    media: str | Path | Sequence[str | Path] = (),
    storage_options: StorageOptions | None = None,
    *,
    tables: Tables | None = None,
    adapt: bool = False,
) -> list[Verdict]:
    """Say which emotion clips show.

    Parameters
    ----------
    bundle : str, Path or Bundle
    media : str, Path or sequence of them
        Video and sound files, zips or folders of them, globs, URLs. Files of one clip share a name
        apart from the ending (or are named as RAVDESS names them); one video and one sound file
        given alone are taken for one clip. None is needed by a bundle that reads tables alone: its
        clips are then those of the tables.
    storage_options : mapping, optional
        For fsspec.
    tables : mapping of str to str or Path, optional
        Where the tables that the bundle reads lie, by feature; rows are found by names of clips.
    adapt : bool
        Standardise the clips of each speaker by each other, without labels, and ask the model that
        was fitted so. Speakers are told by names of RAVDESS or TESS; all other clips are taken for
        one speaker's. It takes at least eight clips of a speaker, of many emotions: where they
        show few, it does harm.

    Returns
    -------
    list of Verdict
        One a clip, in the order given. A clip that cannot be read, or not adapted, has an
        ``error``.

    Raises
    ------
    BundleError, SourceError, UsageError
        UsageError also if the detector of the faces that the bundle sees cannot be loaded.
    """
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, storage_options)
    check_detectors(used(loaded))
    given = [media] if isinstance(media, str | Path) else list(media)
    rows = _tables(loaded, tables or {}, storage_options)
    if given:
        clips = gather_clips([str(item) for item in given], storage_options)
    elif loaded.modalities:
        raise UsageError(f"this bundle needs {' and '.join(loaded.modalities)}: pass media files")
    else:
        names = dict.fromkeys(name for table in rows.values() for name in table.rows)
        clips = [Clip(name, actor=actor_of(name), emotion=0) for name in names]
    clips = [with_rows(clip, rows) for clip in clips]
    if adapt:
        check_adapted(loaded, clips)
        return _adapted(loaded, clips)
    return [_verdict(loaded, clip) for clip in clips]


def _tables(
    bundle: Bundle, places: Tables, storage_options: StorageOptions | None
) -> Mapping[str, Table]:
    """The tables that a bundle reads, with the columns that it was fitted on."""
    for name in places:
        if name not in bundle.tables:
            have = f"it reads {', '.join(bundle.tables)}" if bundle.tables else "it reads none"
            raise UsageError(f"this bundle has no table {name!r}; {have}")
    found = {}
    for name in bundle.tables:
        settings: Any = bundle.job.features[name].settings
        place = places.get(name)
        if place is None:
            shown = ", ".join(settings.names[:3])
            raise BundleError(
                f"this bundle needs the table {name}: pass --table {name}=FILE with "
                f"{settings.key}, {shown} and so on ({len(settings.names)} columns of numbers)"
            )
        if not isinstance(place, Table):
            location = Location(str(place), tuple(sorted((storage_options or {}).items())))
            place = read_table(location, settings.key, names=settings.names)
        found[name] = place
    return found


def media_of(bundle: Bundle, clip: Clip) -> dict[Modality, MediaFile]:
    """The file that each modality of a bundle is read from.

    Raises
    ------
    BundleError
        If one is missing.
    """
    found = {}
    for modality in bundle.modalities:
        media = clip.media_for(modality)
        if media is None:
            have = ", ".join(part.label for part in clip.media)
            raise BundleError(
                f"this bundle needs {' and '.join(bundle.modalities)}, and no {modality} came "
                f"with {have}; pass a full audio-video file, or both files of the clip"
            )
        found[modality] = media
    return found


def used(bundle: Bundle) -> Job:
    """The job of a bundle with the features that its model reads, and no others."""
    features = {name: bundle.job.features[name] for name in bundle.model.features}
    return without_variants(bundle.job.model_copy(update={"features": features}))


def _reduced(bundle: Bundle, clip: Clip) -> Matrices:
    """What the model reads of one clip, one row each.

    Raises
    ------
    EmodaskError
        If the clip lacks what the bundle needs, or cannot be read.
    """
    features: dict[str, Any] = {}
    job = used(bundle)
    for modality, media in media_of(bundle, clip).items():
        found, _ = features_of_bytes(job, clip.clip_id, modality, media.read())
        features.update(found)
    for name, row in clip.tables:
        if name not in job.features:
            continue
        features[name] = table_feature(bundle.job, clip.clip_id, name, row)
    absent = [name for name in bundle.tables if name not in features]
    if absent:
        raise BundleError(f"no row in table {', '.join(absent)} for clip {clip.clip_id}")
    arrays = {name: features[name][np.newaxis] for name in bundle.model.features}
    return reduce(bundle.reducers, arrays)


def _verdict(bundle: Bundle, clip: Clip) -> Verdict:
    files = files_of(bundle, clip)
    try:
        chances = bundle.model.predict_proba(_reduced(bundle, clip))[0]
    except EmodaskError as error:
        return Verdict(clip.clip_id, files, {}, _said(error))
    return Verdict(clip.clip_id, files, named(bundle, chances), trust=trust(bundle))


def _adapted(bundle: Bundle, clips: Sequence[Clip]) -> list[Verdict]:
    """The verdicts on clips, each adapted to its speaker by all readable clips of that one."""
    matrices: dict[int, Matrices] = {}
    errors: dict[int, str] = {}
    for place, clip in enumerate(clips):
        try:
            matrices[place] = _reduced(bundle, clip)
        except EmodaskError as error:
            errors[place] = _said(error)
    by_speaker: dict[int, list[int]] = {}
    for place in matrices:
        by_speaker.setdefault(clips[place].actor, []).append(place)
    chances: dict[int, dict[str, float]] = {}
    for speaker, places in by_speaker.items():
        if len(places) < FEWEST_CLIPS:
            total = sum(clip.actor == speaker for clip in clips)
            errors.update(dict.fromkeys(places, too_few(speaker, len(places), total)))
            continue
        own = {
            name: np.concatenate([matrices[place][name] for place in places])
            for name in bundle.model.features
        }
        said = adapted_probabilities(bundle, own, np.full(len(places), speaker))
        chances.update((p, named(bundle, row)) for p, row in zip(places, said, strict=True))
    basis = trust(bundle, adapted=True)
    return [
        Verdict(clip.clip_id, files_of(bundle, clip), {}, errors[place])
        if place in errors
        else Verdict(
            clip.clip_id,
            files_of(bundle, clip),
            chances[place],
            trust=basis,
            speaker=clip.actor,
        )
        for place, clip in enumerate(clips)
    ]


def _said(error: EmodaskError) -> str:
    if isinstance(error, TooLongError):
        return f"{str(error).partition(';')[0]}; --timeline predicts along longer media"
    return str(error)


def files_of(bundle: Bundle, clip: Clip) -> tuple[str, ...]:
    """What a clip is read from, without repeats."""
    media = [clip.media_for(modality) for modality in bundle.modalities]
    return tuple(dict.fromkeys(str(part) for part in media if part is not None))


def named(bundle: Bundle, chances: npt.NDArray[np.float64]) -> dict[str, float]:
    """Probabilities by emotion, in the order of the job's classes."""
    names = [emotion_name(code) for code in bundle.model.classes]
    return {name: float(chance) for name, chance in zip(names, chances, strict=True)}
