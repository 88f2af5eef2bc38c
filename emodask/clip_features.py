"""One clip -> its row: read, decode, compute; whatever goes wrong costs that row alone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import ClusterError, EmodaskError, FeatureError, UnreachableError
from emodask.features import Family, family
from emodask.job import Feature, Job
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.names import Modality
from emodask.store import Row, Status, incomplete_reason


def media_of(job: Job, clip: Clip, modality: Modality) -> MediaFile | None:
    """The file that a job reads one modality of a clip from, or None."""
    return clip.media_for(modality, job.data.video if modality == "video" else job.data.audio)


def has_all_media(job: Job, clip: Clip) -> bool:
    """Whether a clip has a file for every modality of a job."""
    return all(media_of(job, clip, modality) is not None for modality in job.modalities)


Compute = Callable[[Job, str, Modality, bytes], tuple[dict[str, npt.NDArray[np.float32]], int]]
"""What turns bytes into features: :func:`features_of_bytes`, here or in a decoder process."""


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
    missing: list[str] = []
    fetched: tuple[MediaFile, bytes] | None = None
    frames = 0
    for modality in job.modalities:
        media = media_of(job, clip, modality)
        if media is None:
            missing.append(modality)
            continue
        try:
            if fetched is None or fetched[0] != media:  # full-AV: once for both modalities
                fetched = media, media.read()
            found, count = (compute or features_of_bytes)(job, clip.clip_id, modality, fetched[1])
        except ClusterError:
            raise
        except UnreachableError as error:
            return Row(Status.PENDING, {}, _explain(media, error))
        except Exception as error:
            return Row(Status.FAILED, {}, _explain(media, error), time.perf_counter() - began)
        features.update(found)
        frames = max(frames, count)
    return Row(
        status=Status.INCOMPLETE if missing else Status.DONE,
        features=features,
        error=incomplete_reason(missing) if missing else "",
        seconds=time.perf_counter() - began,
        frames=frames,
    )


def features_of_bytes(
    job: Job, clip_id: str, modality: Modality, data: bytes
) -> tuple[dict[str, npt.NDArray[np.float32]], int]:
    """Compute a job's features of one modality from the bytes of a media file.

    Returns
    -------
    features : dict of str to ndarray
        By array name.
    frames : int
        Video frames used; 0 for audio.

    Raises
    ------
    MediaError, FeatureError
    """
    decoded: dict[str, npt.NDArray[Any]] = {}
    result = {}
    frames = 0
    for name, feature in job.features.items():
        found = family(feature.kind)
        if found.modality != modality:
            continue
        settings = {**found.decode(feature.settings), "max_seconds": job.data.max_seconds}
        key = repr(sorted(settings.items()))
        if key not in decoded:
            decoded[key] = _decode(modality, data, settings)
        if modality == "video":
            frames = max(frames, len(decoded[key]))
        result[name] = _compute(found, feature, decoded[key], clip_seed(job.seed, clip_id), name)
    return result, frames


def _decode(modality: Modality, data: bytes, settings: Mapping[str, Any]) -> npt.NDArray[Any]:
    from emodask import media

    return (
        media.gray_frames(data, **settings)
        if modality == "video"
        else media.mono_samples(data, **settings)
    )


def _compute(
    found: Family, feature: Feature, decoded: npt.NDArray[Any], seed: int, name: str
) -> npt.NDArray[np.float32]:
    values = found.compute(decoded, feature.settings, seed)
    expected = tuple(found.dims(feature.settings).values())
    if values.shape != expected:
        raise FeatureError(f"{name} has shape {values.shape}; expected {expected}")
    if not np.isfinite(values).all():
        raise FeatureError(f"{name} came out with numbers that are not finite")
    return as_stored(values, feature.settings.precision, name)


def as_stored(
    values: npt.NDArray[np.float32], precision: str, name: str = "the feature"
) -> npt.NDArray[np.float32]:
    """Round to the numbers that a store of this precision gives back, still as float32.

    Rounded here, and not by the store, they are the same numbers for the checksum, for a row that
    is read again and for a prediction, which has no store.

    Raises
    ------
    FeatureError
        If a number is too large for the precision.

    Examples
    --------
    >>> as_stored(np.array([0.1, 700.3], np.float32), "float16").tolist()
    [0.0999755859375, 700.5]
    """
    if precision == "float32":
        return values
    with np.errstate(over="ignore"):
        kept = values.astype(precision)
    if not np.isfinite(kept).all():
        raise FeatureError(
            f"{name} reaches {np.abs(values).max():.3g}, and {precision} ends at "
            f'{np.finfo(precision).max:.0f}; precision = "float32" holds it'
        )
    return kept.astype(np.float32)


def clip_seed(seed: int, clip_id: str) -> int:
    """The seed of a clip's noise: fixed by the job's seed and the clip's name alone.

    Examples
    --------
    >>> clip_seed(42, "01-06-01-02-01-12") == clip_seed(42, "01-06-01-02-01-12")
    True
    """
    text = f"{seed}/{clip_id}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def _explain(media: MediaFile, error: Exception) -> str:
    """File, stage and reason, without the folders of the machine that this ran on."""
    text = str(error) if isinstance(error, EmodaskError) else f"{type(error).__name__}: {error}"
    stage = "computing" if isinstance(error, FeatureError) else "reading"
    text = text.removeprefix(f"{media}: ").replace(media.folder, "")
    return f"{media.label}: {stage}: {text}"
