"""The gradients of a clip in motion: a GIF, which every browser and slide program plays."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.pictures import colours
from emodask.pictures.face_figure import most_magnitude, pixel_panels
from emodask.pictures.gradients import Gradients

_PANEL = 320
"""Pixels across one of the four panels."""
_TITLE = 18
_GAP = 6
_INK, _PAPER = (27, 31, 36), (255, 255, 255)
_TIME_STEP = 10
"""Milliseconds: GIF counts time in hundredths of a second."""
_FASTEST = 20
"""Milliseconds; browsers slow down what is faster."""


def gradient_animation(found: Gradients, seconds: float | None = None) -> bytes:
    """Frame, magnitude, azimuth and polar angle side by side, over and over.

    Parameters
    ----------
    found : Gradients
    seconds : float, optional
        How long the clip is; 14 frames a second by default.

    Returns
    -------
    bytes
        A GIF with one palette for all its frames, so that colours do not flicker.
    """
    from PIL import Image

    most = most_magnitude(found)
    pictures = [
        _page([(panel.name, panel.image) for panel in pixel_panels(found, time, most)])
        for time in range(len(found.frames))
    ]
    palette = _palette(pictures)
    indexed = [
        Image.fromarray(page).quantize(palette=palette, dither=Image.Dither.NONE)
        for page in pictures
    ]
    pause = 1000 * seconds / len(indexed) if seconds else 70
    buffer = io.BytesIO()
    indexed[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=indexed[1:],
        duration=max(_FASTEST, round(pause / _TIME_STEP) * _TIME_STEP),
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def _page(panels: list[tuple[str, colours.Image]]) -> npt.NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    height, width = panels[0][1].shape[:2]
    across, down = _PANEL, max(1, round(_PANEL * height / width))
    page = Image.new("RGB", (2 * across + 3 * _GAP, 2 * (down + _TITLE) + _GAP), _PAPER)
    pen = ImageDraw.Draw(page)
    for i, (name, image) in enumerate(panels):
        left = _GAP + (i % 2) * (across + _GAP)
        top = (i // 2) * (down + _TITLE)
        pen.text((left, top + 2), name, fill=_INK, font=_font())
        scaled = Image.fromarray(image).resize((across, down), Image.Resampling.LANCZOS)
        page.paste(scaled, (left, top + _TITLE))
    return np.asarray(page)


def _font() -> Any:
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 12)


def _palette(pictures: list[npt.NDArray[np.uint8]]) -> Any:
    """The 256 colours that suit some frames from the whole clip."""
    from PIL import Image

    some = [page[::2, ::2] for page in pictures[:: max(1, len(pictures) // 6)]]
    sample = Image.fromarray(np.concatenate(some))
    return sample.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
