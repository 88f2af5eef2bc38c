"""Bundle + media -> emotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from emodask.clip_features import features_of_bytes, table_feature
from emodask.clip_tables import Tables, with_rows
from emodask.emotions import emotion_name
from emodask.errors import BundleError, EmodaskError, SourceError, UsageError
from emodask.models.bundle import Bundle, load_bundle
from emodask.models.system import reduce, without_variants
from emodask.sources.catalogue import Clip, MediaFile, scan
from emodask.sources.location import Location, StorageOptions, expand, redact
from emodask.sources.names import NameRejected, parse_name
from emodask.sources.table import Table, read_table

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
AUDIO_SUFFIXES = (".wav", ".flac")


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
    """

    clip: str
    files: tuple[str, ...]
    probabilities: dict[str, float]
    error: str = ""

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Emotions and probabilities, most likely first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        return {
            "clip": self.clip,
            "files": list(self.files),
            "emotion": self.ranked[0][0] if self.probabilities else None,
            "probabilities": self.probabilities,
            "error": self.error or None,
        }


def predict(
    bundle: str | Path | Bundle,
    media: str | Path | Sequence[str | Path] = (),
    storage_options: StorageOptions | None = None,
    *,
    tables: Tables | None = None,
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

    Returns
    -------
    list of Verdict
        One a clip, in the order given. A clip that cannot be read has an ``error``.

    Raises
    ------
    BundleError, SourceError, UsageError
    """
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, storage_options)
    given = [media] if isinstance(media, str | Path) else list(media)
    rows = _tables(loaded, tables or {}, storage_options)
    if given:
        clips = gather_clips([str(item) for item in given], storage_options)
    elif loaded.modalities:
        raise UsageError(f"this bundle needs {' and '.join(loaded.modalities)}: pass media files")
    else:
        names = dict.fromkeys(name for table in rows.values() for name in table.rows)
        clips = [Clip(name, actor=0, emotion=0) for name in names]
    return [_verdict(loaded, with_rows(clip, rows)) for clip in clips]


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


def gather_clips(media: Sequence[str], storage_options: StorageOptions | None = None) -> list[Clip]:
    """Group media files into clips.

    Raises
    ------
    SourceError
        If a file is absent or none is a media file.
    """
    clips: dict[str, dict[str, MediaFile]] = {}
    for item in media:
        locations = expand(item, storage_options)
        for location in locations:
            suffix = PurePosixPath(redact(location.url)).suffix.lower()
            if suffix == ".zip":
                catalogue = scan(location.url, storage_options)
                if not catalogue.clips:
                    reasons = "; ".join(problem.reason for problem in catalogue.problems[:1])
                    raise SourceError(f"{location}: no clip in this archive. {reasons}".strip())
                for clip in catalogue.clips:
                    files = clips.setdefault(clip.clip_id, {})
                    files.update({part.kind: part for part in clip.media})
            elif suffix in VIDEO_SUFFIXES + AUDIO_SUFFIXES:
                name, part = _single(location, suffix)
                clips.setdefault(name, {})[part.kind] = part
            elif len(locations) == 1:
                raise SourceError(
                    f"{location}: not a media file; expected one of "
                    f"{', '.join(VIDEO_SUFFIXES + AUDIO_SUFFIXES)} or a .zip of them"
                )
    if not clips:
        raise SourceError(f"{', '.join(redact(item) for item in media)}: no media file there")
    if len(clips) == 2 and sorted(kind for files in clips.values() for kind in files) in (
        ["audio-only", "full-av"],
        ["audio-only", "video-only"],
    ):
        clips = {next(iter(clips)): {k: m for files in clips.values() for k, m in files.items()}}
    return [
        Clip(name, actor=0, emotion=0, media=tuple(files.values())) for name, files in clips.items()
    ]


def _single(location: Location, suffix: str) -> tuple[str, MediaFile]:
    try:
        name, kind = parse_name(redact(location.url))
        return name.clip_id, MediaFile(kind, location)
    except NameRejected:
        stem = PurePosixPath(redact(location.url)).stem
        return stem, MediaFile("full-av" if suffix in VIDEO_SUFFIXES else "audio-only", location)


def _verdict(bundle: Bundle, clip: Clip) -> Verdict:
    files: list[str] = []
    features: dict[str, Any] = {}
    job = without_variants(bundle.job)
    try:
        for modality in bundle.modalities:
            media = clip.media_for(modality)
            if media is None:
                have = ", ".join(part.label for part in clip.media)
                raise BundleError(
                    f"this bundle needs {' and '.join(bundle.modalities)}, and no {modality} came "
                    f"with {have}; pass a full audio-video file, or both files of the clip"
                )
            if str(media) not in files:
                files.append(str(media))
            found, _ = features_of_bytes(job, clip.clip_id, modality, media.read())
            features.update(found)
        for name, row in clip.tables:
            features[name] = table_feature(bundle.job, clip.clip_id, name, row)
        absent = [name for name in bundle.tables if name not in features]
        if absent:
            raise BundleError(f"no row in table {', '.join(absent)} for clip {clip.clip_id}")
    except EmodaskError as error:
        return Verdict(clip.clip_id, tuple(files), {}, str(error))
    arrays = {name: features[name][np.newaxis] for name in bundle.model.features}
    chances = bundle.model.predict_proba(reduce(bundle.reducers, arrays))[0]
    names = [emotion_name(code) for code in bundle.model.classes]
    return Verdict(
        clip.clip_id,
        tuple(files),
        {name: float(chance) for name, chance in zip(names, chances, strict=True)},
    )
