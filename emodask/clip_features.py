"""The bytes of one clip's media -> its features: what a decoder process runs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.errors import FeatureError
from emodask.features import Family, family
from emodask.job import Feature, Job
from emodask.sources.names import Modality

if TYPE_CHECKING:
    from emodask.media.windows import Window

Steps = dict[str, float]
"""Seconds of wall time by step: ``decoding video``, ``decoding sound``, and each feature's name."""

Compute = Callable[
    [Job, str, Modality, bytes, Steps], tuple[dict[str, npt.NDArray[np.float32]], int]
]
"""What turns bytes into features: :func:`features_of_bytes`, here or in a decoder process."""

_LEVELS = 255

DECODING: dict[Modality, str] = {"video": "decoding video", "audio": "decoding sound"}


def features_of_bytes(
    job: Job, clip_id: str, modality: Modality, data: bytes, steps: Steps | None = None
) -> tuple[dict[str, npt.NDArray[np.float32]], int]:
    """Compute a job's features of one modality from the bytes of a media file.

    What each step took is added to ``steps``.

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
    steps = {} if steps is None else steps
    result = {}
    frames = 0
    for name, feature in job.features.items():
        found = family(feature.kind)
        if found.modality != modality:
            continue
        settings = {**found.decode(feature.settings), "max_seconds": job.data.max_seconds}
        key = repr(sorted(settings.items()))
        if key not in decoded:
            began = time.perf_counter()
            decoded[key] = _decode(modality, data, settings)
            add_step(steps, DECODING[modality], began)
        if modality == "video":
            frames = max(frames, len(decoded[key]))
        began = time.perf_counter()
        result[name] = _compute(found, feature, decoded[key], clip_seed(job.seed, clip_id), name)
        add_step(steps, name, began)
    return result, frames


def features_of_window(
    job: Job, clip_id: str, window: Window
) -> dict[str, npt.NDArray[np.float32]]:
    """Compute a job's features of a stretch of a recording, as of a clip that holds it alone.

    Raises
    ------
    MediaError, FeatureError
    """
    result = {}
    for name, feature in job.features.items():
        found = family(feature.kind)
        settings: Mapping[str, Any] = found.decode(feature.settings)
        decoded = (
            window.gray_frames(**settings)
            if found.modality == "video"
            else window.mono_samples(**settings)
        )
        result[name] = _compute(found, feature, decoded, clip_seed(job.seed, clip_id), name)
    return result


def add_step(steps: Steps, name: str, began: float) -> None:
    """Add the time since ``began``, as of ``time.perf_counter``, to a step's."""
    add_steps(steps, {name: time.perf_counter() - began})


def add_steps(steps: Steps, more: Mapping[str, float]) -> None:
    """Add what each step took to what it has taken.

    Examples
    --------
    >>> steps = {"reading": 1.0}
    >>> add_steps(steps, {"reading": 0.5, "spline": 2.0})
    >>> steps
    {'reading': 1.5, 'spline': 2.0}
    """
    for name, seconds in more.items():
        steps[name] = steps.get(name, 0.0) + seconds


def decoded_media(job: Job, name: str, data: bytes) -> npt.NDArray[Any]:
    """The frames or the samples that a feature of a job is computed from.

    Parameters
    ----------
    job : Job
    name : str
        Of the feature, one of video or audio.
    data : bytes
        A whole media file.

    Raises
    ------
    MediaError
    """
    feature = job.features[name]
    found = family(feature.kind)
    settings = {**found.decode(feature.settings), "max_seconds": job.data.max_seconds}
    return _decode("video" if found.modality == "video" else "audio", data, settings)


def table_feature(
    job: Job, clip_id: str, name: str, row: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """A clip's row of a table, as its feature of that name.

    Raises
    ------
    FeatureError
        If the row does not have the columns that the job names.
    """
    feature = job.features[name]
    return _compute(family(feature.kind), feature, row, clip_seed(job.seed, clip_id), name)


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
    >>> as_stored(np.array([0.1, 70.5, 71.5], np.float32), "uint8").tolist()
    [0.0, 70.0, 72.0]
    """
    if precision == "float32":
        return values
    if precision == "uint8":
        levels = np.rint(values)
        low, high = levels.min(), levels.max()
        if low < 0 or high > _LEVELS:
            raise FeatureError(
                f"{name} reaches from {low:g} to {high:g}; gray levels go from 0 to {_LEVELS}"
            )
        return levels
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
