"""What a bundle saw and heard of a recording, as PNG files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emodask.features import family
from emodask.features.faces.detectors import detector
from emodask.job import Feature
from emodask.media.sound import samples_at
from emodask.media.video import Picture
from emodask.media.windows import Window, windows
from emodask.models.bundle import Bundle
from emodask.pictures.gradients import liveliest
from emodask.prediction.timeline import WINDOW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 130
_HEARING_RATE = 22_050
_LOOKS = 8
_ROWS_TO_TELL = 120
"""Of a picture: in smaller ones Haar's detector misses faces that are there."""

_THIN = 4
"""Of pixels along a side, one in so many tells how much a picture changes."""


class Seen(NamedTuple):
    """What a bundle saw: a PNG file, and whether it shows a face (None: too small to tell)."""

    picture: bytes
    face: bool | None


def face_picture(bundle: Bundle, file: Path) -> Seen | None:
    """What a bundle saw at the liveliest moment: HOG3D's gradients, or else the plain frame.

    Parameters
    ----------
    bundle : Bundle
        One that sees.
    file : Path
        A recording with video.

    Raises
    ------
    MediaError, FeatureError
    """
    feature = _feature(bundle, "video", "hog3d")
    if feature is None:
        return None
    settings: Any = feature.settings
    decode = dict(family(feature.kind).decode(settings))
    window = _liveliest_window(file, _picture(decode))
    if feature.kind != "hog3d":
        frames = window.gray_frames(**{**decode, "frames": None, "every": None})
        return Seen(_gray_png(frames[liveliest(frames)]), has_face(frames))
    from emodask.features.hog3d import hog3d, seen
    from emodask.pictures.face_figure import face_figure, face_panels

    frames = window.gray_frames(**decode)
    gray = seen(frames, settings)
    cells = hog3d(gray, settings.cell, settings.bins, settings.smooth, settings.contrast_floor)
    panels = face_panels(gray, cells, settings.smooth, settings.cell[2])
    picture = _png(face_figure(panels, settings.height / settings.width))
    return Seen(picture, has_face(frames))


def has_face(frames: npt.NDArray[Any]) -> bool | None:
    """Whether any of a few frames shows a face from the front.

    Parameters
    ----------
    frames : ndarray, shape (time, height, width)
        Gray levels.

    Returns
    -------
    bool or None
        None if the frames are too small to tell.
    """
    if frames.shape[1] < _ROWS_TO_TELL:
        return None
    look = detector("haar")
    some = frames[:: max(len(frames) // _LOOKS, 1)]
    return any(look(np.clip(frame, 0, 255).astype(np.uint8)) for frame in some)


def voice_picture(bundle: Bundle, samples: npt.NDArray[np.float32], rate: int) -> bytes | None:
    """The waveform and the mel spectrogram of a recording, at the rate that a bundle hears.

    Parameters
    ----------
    bundle : Bundle
        One that hears.
    samples : ndarray of float32, shape (n,)
        Mono, full scale 1.
    rate : int
        Samples a second.
    """
    from emodask.pictures.sound_figure import sound_figure

    feature = _feature(bundle, "audio")
    decode = family(feature.kind).decode(feature.settings) if feature else {}
    heard = int(decode.get("rate", _HEARING_RATE))
    return _png(sound_figure(samples_at(samples, rate, heard), heard))


def _feature(bundle: Bundle, modality: str, preferred: str = "") -> Feature | None:
    """A feature of a modality that the model reads, of a preferred kind if there is one."""
    found = [
        feature
        for name in bundle.model.features
        if family((feature := bundle.job.features[name]).kind).modality == modality
    ]
    return min(found, key=lambda feature: feature.kind != preferred, default=None)


def _picture(decode: dict[str, Any]) -> Picture:
    return Picture(**{key: decode[key] for key in Picture._fields if key in decode})


def _liveliest_window(file: Path, picture: Picture) -> Window:
    """Of windows one after the other, that with the frame in which most changes."""
    most, best = -1.0, None
    for window in windows({"video": file}, [picture], WINDOW, WINDOW):
        changing = np.stack([planes[picture][0, ::_THIN, ::_THIN] for planes in window.planes])
        at = liveliest(changing := changing.astype(np.float32))
        change = float(np.abs(changing[(at + 1) % len(changing)] - changing[at - 1]).mean())
        if change > most:
            most, best = change, window
    assert best is not None  # a recording has a window, or cannot be read
    return best


def _gray_png(frame: npt.NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, facecolor="white")
    return buffer.getvalue()
