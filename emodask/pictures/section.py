"""What the models see, for the report: pictures small enough to be part of the page.

Drawing never fails a report: what is missing is a line of its own.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emodask.errors import EmodaskError
from emodask.evaluation.pages.drawing import svg
from emodask.pictures import colours
from emodask.scrubbing import without_folders
from emodask.sources.addresses import StorageOptions
from emodask.sources.location import reason
from emodask.store import StoreAddress, attributes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from emodask.pictures.clip_pictures import ClipPictures
    from emodask.pictures.face_figure import Panel
    from emodask.pictures.reading import MediaReader
    from emodask.pictures.stored import StoredClip, StoredFeatures

SECONDS = 60.0
"""For all media of a report together; what has not come by then is left out."""
_MOST_BYTES = 32 << 20
"""Of one file that has to be fetched from a server: ten times a clip of RAVDESS."""
_PANEL = 320
"""Pixels across an image of a face."""


@dataclass(frozen=True)
class PanelView:
    """One image of a face or a frame, as a ``data:`` address."""

    name: str
    image: str
    pixels: bool


@dataclass(frozen=True)
class ClipView:
    """The pictures of one clip; those of its voice as SVG elements, empty if there are none."""

    clip_id: str
    emotion: str
    actor: int
    face: tuple[PanelView, ...] = ()
    voice: str = ""
    curves: str = ""
    frames: tuple[PanelView, ...] = ()


@dataclass(frozen=True)
class Section:
    """What the report shows of the features.

    Attributes
    ----------
    clips : tuple of ClipView
        One for each emotion.
    basis : str
        The B-spline basis as an SVG element; empty where no splines are fitted.
    basis_size : str
        How many of them, in words.
    cells : str
        The size of a HOG3D cell in words; empty where there are none.
    shape : str
        Width / height of a frame of HOG3D, as CSS has it.
    frames : str
        What the frames are that networks of frames see, in a sentence; empty if none are shown.
    frame_shape : str
        Width / height of one, as CSS has it.
    keys : dict of str to str
        ``data:`` addresses of what the colours mean.
    notes : tuple of str
        What is missing, and why.
    """

    clips: tuple[ClipView, ...] = ()
    basis: str = ""
    basis_size: str = ""
    cells: str = ""
    shape: str = ""
    keys: dict[str, str] | None = None
    notes: tuple[str, ...] = ()
    frames: str = ""
    frame_shape: str = ""

    @property
    def drawn_from(self) -> str:
        """What the pictures are made of, in words; empty if there are none."""
        parts = []
        if self.keys:
            parts.append("the gradients and cells that HOG3D makes of the face")
        if self.frames:
            parts.append("the frames that networks see")
        if self.basis:
            parts.append("the sound of the voice and the splines that stand for it")
        elif any(clip.voice for clip in self.clips):
            parts.append("the sound of the voice")
        return ", and ".join(parts)


def what_models_see(
    store: StoreAddress,
    sources: Sequence[str] = (),
    storage_options: StorageOptions | None = None,
    seconds: float = SECONDS,
) -> Section | None:
    """Draw one clip of each emotion.

    Parameters
    ----------
    store : StoreAddress
    sources : sequence of str
        Where the media lie; by default where the ``run.json`` beside the store says.
    storage_options : mapping, optional
        For fsspec.
    seconds : float
        For all media together.

    Returns
    -------
    Section or None
        None if the store has no feature that can be drawn. It never raises: what goes wrong is
        among the notes.
    """
    try:
        return _section(store, sources, storage_options, seconds)
    except Exception as error:  # a report without pictures is better than none
        why = str(error) if isinstance(error, EmodaskError) else reason(error)
        return Section(notes=(f"No pictures could be drawn: {_sentence(why)}.",))


def _section(
    store: StoreAddress,
    sources: Sequence[str],
    options: StorageOptions | None,
    seconds: float,
) -> Section | None:
    from emodask.pictures.clip_pictures import clip_pictures
    from emodask.pictures.reading import MediaReader, recorded_sources
    from emodask.pictures.stored import StoredFeatures

    features = StoredFeatures.at(store)
    if not (features.face or features.voice or features.frames):
        return None
    why = ""
    if not sources:
        try:
            sources = recorded_sources(store, attributes(features.group)["digest"])
        except EmodaskError as error:
            why = str(error)
    clips: list[ClipView] = []
    notes: dict[str, list[str]] = {}
    with MediaReader(features.job, sources, options, seconds, _MOST_BYTES) as reader:
        for clip in features.one_of_each_emotion():
            found = clip_pictures(features, clip, why or reader)
            frames, missing = _frames(features, clip, why or reader)
            clips.append(_view(found, frames))
            for line in (*found.left_out, *missing):
                notes.setdefault(_sentence(line), []).append(clip.emotion)
    everywhere = len(clips)
    return _drawn(
        features,
        clips,
        tuple(
            f"{line}." if len(of) == everywhere else f"{', '.join(of)}: {line}."
            for line, of in notes.items()
        ),
    )


def stored_pictures(features: StoredFeatures, clip: StoredClip) -> Section | None:
    """Draw what a store itself holds of one clip; no media are read or decoded.

    Parameters
    ----------
    features : StoredFeatures
    clip : StoredClip
        One whose features are stored.

    Returns
    -------
    Section or None
        None if nothing of it can be drawn.
    """
    from emodask.pictures.clip_pictures import clip_pictures

    unread = "media are not read"
    frames, _ = _frames(features, clip, unread)
    view = _view(clip_pictures(features, clip, unread), frames)
    if not (view.face or view.curves or view.frames):
        return None
    return _drawn(features, [view], ())


def _drawn(features: StoredFeatures, clips: list[ClipView], notes: tuple[str, ...]) -> Section:
    """The section of some clips, with what all of them share."""
    from emodask.pictures.curve_figures import basis_figure
    from emodask.pictures.frames import frames_sentence

    basis = basis_size = cells = shape = ""
    if features.spline:
        settings = features.settings(features.spline)
        basis_size = f"{settings.coefficients} B-splines of order {settings.order}"
        basis = _markup(basis_figure(settings.knots, settings.order), "B-spline basis")
    if features.face:
        settings = features.settings(features.face)
        shape = f"{settings.width} / {settings.height}"
        height, width, time = settings.cell
        cells = f"{height} × {width} pixels and {time} frames"
    said = frame_shape = ""
    if any(clip.frames for clip in clips):
        height, width = features.settings(features.frames).picture_size
        said, frame_shape = frames_sentence(features), f"{width} / {height}"
    keys = _keys() if any(clip.face for clip in clips) else None
    return Section(tuple(clips), basis, basis_size, cells, shape, keys, notes, said, frame_shape)


def _frames(
    features: StoredFeatures, clip: StoredClip, reader: MediaReader | str
) -> tuple[tuple[PanelView, ...], list[str]]:
    """What networks of frames see of a clip; and, if that is not to be had, why."""
    from emodask.pictures.frames import frame_panels

    if not features.frames:
        return (), []
    try:
        return tuple(map(_panel, frame_panels(features, clip, reader))), []
    except EmodaskError as error:
        return (), [f"frames: {error}"]


def _panel(panel: Panel) -> PanelView:
    return PanelView(panel.name, _address(panel.image, panel.pixels), panel.pixels)


def _view(found: ClipPictures, frames: tuple[PanelView, ...]) -> ClipView:
    name = found.clip.heading
    voice, curves = found.sound(), found.spline()
    return ClipView(
        found.clip.clip_id,
        found.clip.emotion,
        found.clip.actor,
        tuple(map(_panel, found.panels())),
        _markup(voice, f"Waveform and mel spectrogram, {name}") if voice else "",
        _markup(curves, f"Curves and spline fits, {name}") if curves else "",
        frames,
    )


def _address(image: colours.Image, pixels: bool) -> str:
    from PIL import Image

    if pixels:
        return colours.data_address(image, _PANEL)
    return colours.webp_address(Image.fromarray(image), lossless=True)


def _keys() -> dict[str, str]:
    return {
        "azimuth": colours.data_address(colours.azimuth_key()),
        "polar": colours.data_address(colours.key(colours.POLAR)),
        "magnitude": colours.data_address(colours.key(colours.MAGNITUDE)),
    }


def _markup(figure: Figure, title: str) -> str:
    """A figure as an SVG element for inline use, made small."""
    from markupsafe import Markup

    # The figures escape the text in them: their markup may pass as it is.
    return Markup(compact(svg(figure, title)))


def compact(drawing: str) -> str:
    """An SVG element with coordinates rounded to a tenth of a point, and images as WebP.

    Examples
    --------
    >>> compact('<path d="M 4.32123 96.480002 L 4.69507 90.9 "/>')
    '<path d="M4.3 96.5L4.7 90.9"/>'
    """
    drawing = re.sub(r' d="([^"]*)"', lambda found: f' d="{_rounded(found[1])}"', drawing)
    drawing = re.sub(r"data:image/png;base64,([^\"]*)", _as_webp, drawing)
    return re.sub(r"\n\s*", "\n", drawing)


def _rounded(path: str) -> str:
    words = re.findall(r"[A-Za-z]|[-+.\d]+(?:e[-+]?\d+)?", path)
    short = (word if word.isalpha() else f"{float(word):.1f}".removesuffix(".0") for word in words)
    return re.sub(r" ?([A-Za-z]) ?", r"\1", " ".join(short))


def _as_webp(found: re.Match[str]) -> str:
    from PIL import Image

    picture: Any = Image.open(io.BytesIO(base64.b64decode(found[1])))
    return colours.webp_address(picture.convert("RGB"))


def _sentence(text: str) -> str:
    """A text for the page, before its full stop."""
    return without_folders(text).rstrip(".")
