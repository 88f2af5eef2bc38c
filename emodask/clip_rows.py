"""One clip -> its row: read, have it computed; whatever goes wrong costs that row alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from emodask.clip_features import Compute, Steps, add_step, features_of_bytes, table_feature
from emodask.errors import ClusterError, EmodaskError, FeatureError, UnreachableError
from emodask.job import Job
from emodask.sources.archive import Member
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.names import Modality
from emodask.store import Row, Status, incomplete_reason


def media_of(job: Job, clip: Clip, modality: Modality) -> MediaFile | None:
    """The file that a job reads one modality of a clip from, or None."""
    return clip.media_for(modality, job.data.video if modality == "video" else job.data.audio)


def missing_of(job: Job, clip: Clip) -> tuple[str, ...]:
    """Of what a job needs, what a clip lacks: media, and rows of tables."""
    media = tuple(m for m in job.modalities if media_of(job, clip, m) is None)
    there = {name for name, _ in clip.tables}
    return media + tuple(f"table {name}" for name in job.tables if name not in there)


def identical_clips(job: Job, clips: Iterable[Clip]) -> list[list[str]]:
    """Names of clips of which a job reads the same bytes, as far as directories of zips tell.

    Members of one size and CRC-32 are taken for the same; files of their own would have to be read.
    """
    groups: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for clip in clips:
        for modality in job.modalities:
            media = media_of(job, clip, modality)
            if media is not None and isinstance(media.where, Member):
                groups[modality, media.where.crc, media.where.size].append(clip.clip_id)
    found = {tuple(group): None for group in groups.values() if len(group) > 1}
    return [list(group) for group in found]


def compute_clip(job: Job, clip: Clip, compute: Compute | None = None) -> Row:
    """Read, decode and compute all features of one clip.

    A clip that cannot be computed gives a failed row with the reason; nothing is raised, so that it
    costs its row and never the batch. Media that cannot be fetched at the moment says nothing about
    the clip: its row stays pending.

    Parameters
    ----------
    job : Job
    clip : Clip
    compute : callable, optional
        In place of :func:`features_of_bytes`, which decodes in this process.

    Raises
    ------
    ClusterError
        If nothing can be computed on this machine.
    """
    began = time.perf_counter()
    features: dict[str, npt.NDArray[np.float32]] = {}
    missing = missing_of(job, clip)
    fetched: tuple[MediaFile, bytes] | None = None
    frames = 0
    steps: Steps = {}
    for modality in job.modalities:
        media = media_of(job, clip, modality)
        if media is None:
            continue
        try:
            if fetched is None or fetched[0] != media:  # full-AV: once for both modalities
                reading = time.perf_counter()
                fetched = media, media.read()
                add_step(steps, "reading", reading)
            found, count = (compute or features_of_bytes)(
                job, clip.clip_id, modality, fetched[1], steps
            )
        except ClusterError:
            raise
        except UnreachableError as error:
            return Row(Status.PENDING, {}, _explain(media, error))
        except Exception as error:
            return Row(Status.FAILED, {}, _explain(media, error), time.perf_counter() - began)
        features.update(found)
        frames = max(frames, count)
    for name, row in clip.tables:
        try:
            features[name] = table_feature(job, clip.clip_id, name, row)
        except FeatureError as error:
            why = f"table {name}: {error}"
            return Row(Status.FAILED, {}, why, time.perf_counter() - began)
    return Row(
        status=Status.INCOMPLETE if missing else Status.DONE,
        features=features,
        error=incomplete_reason(missing) if missing else "",
        seconds=time.perf_counter() - began,
        frames=frames,
        steps=steps,
    )


def _explain(media: MediaFile, error: Exception) -> str:
    """File, stage and reason, without the folders of the machine that this ran on."""
    text = str(error) if isinstance(error, EmodaskError) else f"{type(error).__name__}: {error}"
    stage = "computing" if isinstance(error, FeatureError) else "reading"
    text = text.removeprefix(f"{media}: ").replace(media.folder, "")
    return f"{media.label}: {stage}: {text}"
