"""Bundle + recordings -> timelines: windows are judged while the media are decoded, once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emodask.clip_features import features_of_window
from emodask.errors import EmodaskError, FeatureError, MediaError, UsageError
from emodask.features import family
from emodask.job import Job
from emodask.job_detectors import check_detectors
from emodask.models.bundle import Bundle, load_bundle
from emodask.models.system import reduce
from emodask.models.trust import trust
from emodask.prediction.clips import files_of, media_of, named, used
from emodask.prediction.gathering import gather_clips
from emodask.prediction.recording import Step, Timeline
from emodask.prediction.steps import Every, parse_step
from emodask.sources.catalogue import Clip, MediaFile
from emodask.sources.location import Location, StorageOptions
from emodask.sources.names import Modality

if TYPE_CHECKING:
    from emodask.media.windows import Window

WINDOW = 3.0
STEP = 0.5
EVERY = Every(seconds=STEP)
_AT_ONCE = 8
"""Windows whose features are reduced and classified together."""

Features = Mapping[str, npt.NDArray[np.float32]]
Judged = tuple[float, float, dict[str, float], str]
"""Start, end, probabilities or a reason."""

TimelineProgress = Callable[[str, float], None]
"""Told the name of a clip, and up to which second it has been judged."""


def predict_timeline(
    bundle: str | Path | Bundle,
    media: str | Path | Sequence[str | Path],
    storage_options: StorageOptions | None = None,
    *,
    window: float = WINDOW,
    step: float | str = STEP,
    on_progress: TimelineProgress | None = None,
) -> list[Timeline]:
    """Say which emotions recordings of any length show, window by window.

    Media are decoded once, while windows are cut from them: a file on disk is never in memory as a
    whole. Each window is judged as a clip of its own. The last one ends where the recording does;
    media no longer than a window are one window, and get the verdict of :func:`emodask.predict`.

    Parameters
    ----------
    bundle : str, Path or Bundle
        One that reads media alone: tables have a row a clip, and none for a window.
    media : str, Path or sequence of them
        As of :func:`emodask.predict`.
    storage_options : mapping, optional
        For fsspec.
    window : float
        Seconds of a window: about as long as the clips that the bundle was trained on.
    step : float or str
        Seconds from the start of a window to that of the next; or video frames, as in ``"20f"``.
    on_progress : callable, optional
        Called with the name of a clip and the second up to which it has been judged.

    Returns
    -------
    list of Timeline
        One a clip, in the order given. Windows that cannot be judged, as of silence, have a reason
        in place of probabilities. A recording that cannot be read, or not to its end, has an
        ``error`` and no combined verdict.

    Raises
    ------
    BundleError, SourceError, UsageError
    """
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, storage_options)
    every = parse_step(step)
    check_timeline(loaded, window, every)
    check_detectors(used(loaded))
    given = [media] if isinstance(media, str | Path) else list(media)
    clips = gather_clips([str(item) for item in given], storage_options)
    return [
        timeline_of(loaded, clip, window=window, every=every, on_progress=on_progress)
        for clip in clips
    ]


def check_timeline(bundle: Bundle, window: float, every: Every) -> None:
    """Refuse before any work what the bundle cannot do.

    Raises
    ------
    UsageError
    """
    if bundle.tables:
        raise UsageError(
            f"this bundle reads the table {bundle.tables[0]}, which has one row a clip and none "
            "for a window: --timeline needs a bundle of media alone"
        )
    longest = bundle.job.data.max_seconds
    if not 0.1 <= window <= longest:
        raise UsageError(f"a window of {window:g} s: 0.1 to {longest:g} s would be right")
    if every.frames is not None and "video" not in bundle.modalities:
        raise UsageError(f"a step of {every} counts video frames, and this bundle sees no video")


def timeline_of(
    bundle: Bundle,
    clip: Clip,
    *,
    window: float = WINDOW,
    every: Every = EVERY,
    on_progress: TimelineProgress | None = None,
) -> Timeline:
    """What :func:`predict_timeline` says of one clip; what ``on_progress`` raises ends it."""
    tell = on_progress or (lambda clip, seconds: None)
    judged: list[Judged] = []
    error = ""
    try:
        for found in _judged(bundle, clip, window, every):
            judged.append(found)
            tell(clip.clip_id, found[1])
    except EmodaskError as problem:
        error = str(problem)
    if judged and error:
        error = f"read up to {judged[-1][1]:.1f} s: {error}"
    elif judged and not any(chances for _, _, chances, _ in judged):
        error = f"no window could be judged: {judged[0][3]}"
    spans = [(start, end) for start, end, _, _ in judged]
    steps = tuple(
        Step(start, end, share, chances, reason)
        for (start, end, chances, reason), share in zip(judged, shares_of_time(spans), strict=True)
    )
    return Timeline(
        clip.clip_id,
        files_of(bundle, clip),
        spans[-1][1] if spans else 0.0,
        window,
        str(every),
        steps,
        trust(bundle) if any(step.probabilities for step in steps) else None,
        error,
    )


def shares_of_time(spans: Sequence[tuple[float, float]]) -> list[float]:
    """Seconds of a recording that each window is the nearest to, by its middle."""
    middles = [(start + end) / 2 for start, end in spans]
    between = [(one + other) / 2 for one, other in itertools.pairwise(middles)]
    edges = [0.0, *between, spans[-1][1]] if spans else []
    return [stop - start for start, stop in itertools.pairwise(edges)]


def _judged(bundle: Bundle, clip: Clip, window: float, every: Every) -> Iterator[Judged]:
    """Start, end, probabilities or a reason for each window, as the media are decoded."""
    from emodask.media.video import Picture
    from emodask.media.windows import windows

    job = used(bundle)
    pictures = list(
        dict.fromkeys(
            Picture(**{key: settings[key] for key in Picture._fields if key in settings})
            for feature in job.features.values()
            if (found := family(feature.kind)).modality == "video"
            for settings in [found.decode(feature.settings)]
        )
    )
    files = media_of(bundle, clip)
    tracks: dict[Modality, bytes | Path] = {}
    for modality, media in files.items():  # not by a set: storage options may be dictionaries
        same = next((other for other in tracks if files[other] == media), None)
        tracks[modality] = tracks[same] if same else _opened(media)
    waiting: list[tuple[float, float, Features | str]] = []
    try:
        for cut in windows(tracks, pictures, window, every.seconds, every.frames):
            waiting.append((cut.start, cut.stop, _features(job, clip.clip_id, cut)))
            if len(waiting) == _AT_ONCE:
                yield from _said(bundle, waiting)
                waiting = []
    except EmodaskError:
        yield from _said(bundle, waiting)  # what came before the damage
        raise
    yield from _said(bundle, waiting)


def _opened(media: MediaFile) -> bytes | Path:
    """Where a file lies on disk; else its bytes."""
    if isinstance(media.where, Location):
        fs, path = media.where.filesystem()
        if "file" in fs.protocol and Path(path).is_file():
            return Path(path)
    return media.read()


def _features(job: Job, clip_id: str, window: Window) -> Features | str:
    """The features of a window, or why there are none."""
    for modality, seconds in window.covered.items():
        if seconds < (window.stop - window.start) / 2:
            return f"no {modality}: it ends at {window.start + seconds:.1f} s"
    try:
        return features_of_window(job, clip_id, window)
    except (FeatureError, MediaError) as error:
        return str(error)


def _said(
    bundle: Bundle, waiting: Sequence[tuple[float, float, Features | str]]
) -> Iterator[Judged]:
    """Classify windows together."""
    known = [features for _, _, features in waiting if not isinstance(features, str)]
    chances = iter(())
    if known:
        arrays = {name: np.stack([found[name] for found in known]) for name in known[0]}
        chances = iter(bundle.model.predict_proba(reduce(bundle.reducers, arrays)))
    for start, end, features in waiting:
        if isinstance(features, str):
            yield start, end, {}, features
        else:
            yield start, end, named(bundle, next(chances)), ""
