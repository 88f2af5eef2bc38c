"""Everything that can be drawn of one clip, and what had to be left out and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emodask.clip_features import clip_seed
from emodask.errors import EmodaskError
from emodask.features import family
from emodask.features.hog3d import hog3d, seen
from emodask.job_weights import weighted
from emodask.pictures.curve_figures import curves_figure
from emodask.pictures.face_figure import Panel, face_figure, face_panels
from emodask.pictures.gradients import gradients, liveliest
from emodask.pictures.reading import MediaReader
from emodask.pictures.sound_figure import sound_figure
from emodask.pictures.stored import StoredClip, StoredFeatures
from emodask.sources.names import Modality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float32]

_ALIKE = 0.98
"""Correlation with what is stored below which media are taken for those of another clip."""
_CLEAREST = 80
"""Percentile of cells by their gradients from which they tell clips apart."""
_CURVES_APART = 0.1
"""Most that the half of the curves may be apart from what is stored, as a share of their range."""
OTHER_MEDIA = "the media give other features than the store has; these are other media"


@dataclass(frozen=True, eq=False)
class ClipPictures:
    """What there is of a clip: numbers of the store, and media where they are to be had.

    Attributes
    ----------
    clip : StoredClip
    features : StoredFeatures
    cells : float32 array, shape (cells_y, cells_x, cells_t, bins, 2), or None
    coefficients : float32 array, shape (coefficients, 34), or None
    frames : float32 array, shape (time, height, width), or None
    samples : float32 array, shape (n,), or None
    curves : float32 array, shape (34, frames), or None
    seconds : float or None
        How long the video is.
    left_out : tuple of str
        What is not there, and why.
    """

    clip: StoredClip
    features: StoredFeatures
    cells: Floats | None = None
    coefficients: Floats | None = None
    frames: Floats | None = None
    samples: Floats | None = None
    curves: Floats | None = None
    seconds: float | None = None
    left_out: tuple[str, ...] = ()

    def panels(self) -> list[Panel]:
        """The images of the face."""
        if not self.features.face:
            return []
        settings = self.features.settings(self.features.face)
        return face_panels(self.frames, self.cells, settings.smooth, settings.cell[2])

    def face(self) -> Figure | None:
        """The picture of the face; None if there is nothing of it."""
        panels = self.panels()
        if not panels:
            return None
        settings = self.features.settings(self.features.face)
        return face_figure(panels, settings.height / settings.width, self.clip.heading)

    def sound(self, heading: str = "") -> Figure | None:
        """The picture of the voice; None without its media."""
        if self.samples is None:
            return None
        return sound_figure(self.samples, self.rate, heading)

    def spline(self, heading: str = "") -> Figure | None:
        """The picture of the curves and their fits; None without coefficients."""
        if self.coefficients is None:
            return None
        settings = self.features.settings(self.features.spline)
        return curves_figure(
            self.coefficients, settings.knots, settings.order, self.curves, heading
        )

    @property
    def rate(self) -> int:
        """Samples per second of the sound."""
        feature = self.features.job.features[self.features.voice]
        return int(family(feature.kind).decode(feature.settings)["rate"])


def clip_pictures(
    features: StoredFeatures, clip: StoredClip, reader: MediaReader | str
) -> ClipPictures:
    """Gather what there is of a clip.

    Parameters
    ----------
    features : StoredFeatures
    clip : StoredClip
    reader : MediaReader or str
        Where its media come from, or why there are none.
    """
    cells = features.numbers(clip, features.face)
    coefficients = features.coefficients(clip)
    left_out: list[str] = []

    def media(modality: Modality, feature: str) -> tuple[Floats | None, float | None]:
        if not feature:
            return None, None
        try:
            if isinstance(reader, str):
                raise EmodaskError(reader)
            decoded, seconds = reader.decoded(clip.clip_id, modality, feature)
            if modality == "video":
                decoded = seen(decoded, features.settings(feature))
            return decoded, seconds
        except EmodaskError as error:
            left_out.append(f"{'face' if modality == 'video' else 'voice'}: {error}")
        return None, None

    frames, seconds = media("video", features.face)
    if frames is not None and cells is not None and not _same_face(features, frames, cells):
        left_out.append(f"face: {OTHER_MEDIA}")
        frames = None
    samples, _ = media("audio", features.voice)
    curves = None
    if samples is not None:
        why = OTHER_MEDIA
        try:
            if coefficients is not None:
                curves = _curves(features, clip, samples)
                same = _same_curves(features, curves, coefficients)
            else:
                same = _same_feature(features, clip, samples)
        except EmodaskError as error:  # too short for the feature, or its package is absent
            same, why = False, str(error)
        if not same:
            left_out.append(f"voice: {why}")
            samples = curves = None
    limit = features.job.data.max_seconds
    usable = seconds is not None and math.isfinite(seconds) and 0 < seconds <= limit
    return ClipPictures(
        clip,
        features,
        cells,
        coefficients,
        frames,
        samples,
        curves,
        seconds if usable else None,
        tuple(left_out),
    )


def _same_face(features: StoredFeatures, frames: Floats, cells: Floats) -> bool:
    """Whether the frames give the stored histograms, where there is anything but faint noise.

    Noise becomes full-strength histograms in flat cells, and differs from one build of a decoder to
    the next; so the cells with the strongest gradients of one slice of time decide.
    """
    settings = features.settings(features.face)
    found = hog3d(frames, settings.cell, settings.bins, settings.smooth, settings.contrast_floor)
    if found.shape != cells.shape:
        return False
    if np.array_equal(found, cells):
        return True
    height, width, time = settings.cell
    rows, columns, slices = found.shape[:3]
    at = min(liveliest(frames) // time, slices - 1)
    weights = gradients(frames[at * time : (at + 1) * time + 1], settings.smooth).magnitude[:time]
    whole = weights[:, : rows * height, : columns * width]
    strength = whole.reshape(-1, rows, height, columns, width).mean(axis=(0, 2, 4))
    clear = strength >= np.percentile(strength, _CLEAREST)
    return _alike(found[:, :, at][clear], cells[:, :, at][clear])


def _same_feature(features: StoredFeatures, clip: StoredClip, samples: Floats) -> bool:
    """Whether the voice gives about the numbers that are stored of it; yes if none are.

    What a network computes is taken to be of this voice: its weights need not be on this machine,
    and a report does not load them.
    """
    stored = features.numbers(clip, features.voice)
    if stored is None or features.voice in weighted(features.job):
        return True
    feature = features.job.features[features.voice]
    seed = clip_seed(features.job.seed, clip.clip_id)
    found = family(feature.kind).compute(samples, feature.settings, seed)
    return _alike(found, stored)


def _alike(found: Floats, stored: Floats) -> bool:
    if found.shape != stored.shape:
        return False
    if np.array_equal(found, stored):
        return True
    return bool(np.corrcoef(found.ravel(), stored.ravel())[0, 1] >= _ALIKE)


def _curves(features: StoredFeatures, clip: StoredClip, samples: Floats) -> Floats:
    from emodask.features.audio.descriptors import descriptors
    from emodask.features.audio.variants import with_noise

    settings = features.settings(features.spline)
    seed = clip_seed(features.job.seed, clip.clip_id)
    return descriptors(with_noise(samples, settings.noise, seed), settings.rate)


def _same_curves(features: StoredFeatures, curves: Floats, coefficients: Floats) -> bool:
    """Whether most of the curves, fitted again, follow what is stored."""
    from emodask.features.audio.bspline import projector

    settings = features.settings(features.spline)
    again = projector(curves.shape[1], settings.knots, settings.order) @ curves.T
    wide = np.ptp(coefficients, axis=0) + 1e-9
    apart = np.abs(again - coefficients).max(axis=0) / wide
    return bool(np.median(apart) < _CURVES_APART)
