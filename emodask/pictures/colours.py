"""Numbers -> colours: gray levels, magnitudes and angles as images, and their keys.

Magnitudes are drawn in ``magma``, azimuths in the cyclic ``twilight``, polar angles in ``PuOr``:
all legible to colour-blind readers. Angles fade to gray where the gradient is faint.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

MAGNITUDE, AZIMUTH, POLAR = "magma", "twilight", "PuOr"
LOUDNESS = "magma"
FADED = 0.5
"""Gray, from 0 to 1, of what has no angle."""
FAINT, CLEAR = 1.0, 9.0
"""Gray levels a pixel up to which an angle has no colour, and from which it has all of it."""


def _mapped(share: npt.NDArray[np.floating], colours: str) -> npt.NDArray[np.float32]:
    import matplotlib

    table = matplotlib.colormaps[colours](np.linspace(0, 1, 256))[:, :3].astype(np.float32)
    places = np.clip(np.nan_to_num(share) * 256, 0, 255).astype(np.uint8)
    found: npt.NDArray[np.float32] = table[places]
    return found


def _bytes(rgb: npt.NDArray[np.floating]) -> Image:
    return np.round(255 * np.clip(rgb, 0, 1)).astype(np.uint8)


def gray(levels: npt.NDArray[np.floating]) -> Image:
    """Gray levels from 0 to 255 as they are."""
    return _bytes(np.repeat(levels[..., None] / 255, 3, axis=-1))


def magnitude(values: npt.NDArray[np.floating], most: float) -> Image:
    """Gradient magnitudes, by their square root: faint edges show beside strong ones.

    Parameters
    ----------
    values : array, shape (height, width)
    most : float
        The magnitude that gets the brightest colour.

    Examples
    --------
    >>> magnitude(np.zeros((1, 1)), 10.0).tolist()
    [[[0, 0, 4]]]
    """
    return _bytes(_mapped(np.sqrt(np.clip(values / max(most, 1e-6), 0, 1)), MAGNITUDE))


def azimuth(angles: npt.NDArray[np.floating], weight: npt.NDArray[Any] | None = None) -> Image:
    """Azimuths in (-pi, pi]; ``weight`` is the magnitude, None shows all but NaN in full."""
    return _faded(_mapped((angles + np.pi) / (2 * np.pi), AZIMUTH), angles, weight)


def polar(angles: npt.NDArray[np.floating], weight: npt.NDArray[Any] | None = None) -> Image:
    """Polar angles in [0, pi]; ``weight`` as of :func:`azimuth`.

    Examples
    --------
    An angle without a gradient is gray:

    >>> polar(np.array([[0.0]]), np.array([[0.0]])).tolist()
    [[[128, 128, 128]]]
    """
    return _faded(_mapped(angles / np.pi, POLAR), angles, weight)


def _faded(
    rgb: npt.NDArray[np.float32],
    angles: npt.NDArray[np.floating],
    weight: npt.NDArray[Any] | None,
) -> Image:
    if weight is None:
        share = np.isfinite(angles) * 1.0
    else:
        share = np.clip((weight - FAINT) / (CLEAR - FAINT), 0, 1)
    return _bytes(FADED + (rgb - FADED) * share[..., None])


def azimuth_key(size: int = 96) -> npt.NDArray[np.uint8]:
    """A ring of azimuths, each where brightness grows towards; RGBA, clear outside the ring."""
    place = np.linspace(-1, 1, size)
    right, down = np.meshgrid(place, place)
    radius = np.hypot(right, down)
    ring = np.clip(np.minimum(1 - radius, radius - 0.45) * size / 2, 0, 1)
    colours = azimuth(np.arctan2(right, down))
    return np.dstack([colours, _bytes(ring)])


def key(colours: str, steps: int = 128, height: int = 6) -> Image:
    """A bar of one of the colour scales, from its lowest value to its highest."""
    return _bytes(np.repeat(_mapped(np.linspace(0, 1, steps)[None], colours), height, axis=0))


def data_address(image: npt.NDArray[np.uint8], width: int | None = None) -> str:
    """An image as a ``data:`` address for a page: WebP, scaled down to a width.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3 or 4)
    width : int, optional
        Pixels; narrower images stay as they are.

    Examples
    --------
    >>> data_address(np.zeros((4, 6, 3), np.uint8))[:23]
    'data:image/webp;base64,'
    """
    from PIL import Image as pillow

    picture = pillow.fromarray(image)
    if width is not None and width < picture.width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), pillow.Resampling.LANCZOS)
    return webp_address(picture)


def webp_address(picture: Any, lossless: bool = False) -> str:
    """A Pillow image as a ``data:`` address."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=100 if lossless else 78, lossless=lossless, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
