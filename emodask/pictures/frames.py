"""The frames of a clip, or the faces in them, as networks of frames read them."""

from __future__ import annotations

import numpy as np

from emodask.errors import EmodaskError
from emodask.pictures import colours
from emodask.pictures.face_figure import Panel
from emodask.pictures.reading import MediaReader
from emodask.pictures.stored import StoredClip, StoredFeatures

_MOST = 6
"""Frames of a clip that are shown, of however many a feature has."""


def frame_panels(
    features: StoredFeatures, clip: StoredClip, reader: MediaReader | str
) -> list[Panel]:
    """Some frames of a clip, spread evenly over those that its first feature of frames reads.

    Pictures are drawn as they are stored. Of frozen networks' maps the store has no frames: those
    are decoded anew, and cropped to the face where the feature crops them.

    Parameters
    ----------
    features : StoredFeatures
        With a feature of frames.
    clip : StoredClip
    reader : MediaReader or str
        Where its media come from, or why there are none.

    Raises
    ------
    EmodaskError
        If they are not to be had; the message says why.
    """
    settings = features.settings(features.frames)
    pictures = None
    if features.holds_frames:
        pictures = features.numbers(clip, features.frames)
    if pictures is None:
        if isinstance(reader, str):
            raise EmodaskError(reader)
        decoded, _ = reader.decoded(clip.clip_id, "video", features.frames)
        pictures = settings.cropped(decoded, *settings.picture_size, close=False)
    count = len(pictures)
    shown = np.unique(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int))
    what = "face" if settings.crop == "face" else "frame"
    return [
        Panel(f"{what} {place + 1} of {count}", colours.gray(pictures[place].astype(np.float32)))
        for place in shown
    ]


def frames_sentence(features: StoredFeatures) -> str:
    """What the panels of :func:`frame_panels` are, in a sentence."""
    name = features.frames
    height, width = features.settings(name).picture_size
    what = "faces" if features.settings(name).crop == "face" else "frames"
    size = f"gray, {height} × {width} pixels"
    if features.holds_frames:
        return f"The {what} that {name} holds and a network reads: {size}."
    return (
        f"The {what} that {name} was computed from, decoded anew: {size}. Models read what a "
        "frozen network makes of them."
    )
