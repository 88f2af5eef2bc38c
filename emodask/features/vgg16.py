"""VGG16's or VGG-Face's maps of some frames of a clip: a frozen base whose weights a job names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.features import Family
from emodask.features.network.frozen import LIBRARIES, applied, frozen
from emodask.features.network.settings import FrameSettings
from emodask.networks.layouts import Layout
from emodask.networks.vgg16 import CHANNELS, LAYOUT, STRIDE, base, map_size, normalised

_PIXELS_AT_ONCE = 4 * 224 * 224
"""Pictures are computed together as far as they have no more pixels than this."""

# The first block's maps in and out, and as much again for oneDNN's reordering: 64 channels of
# float32 each. The copies of the weights that it makes of a layer come on top. Measured.
_BYTES_A_PIXEL = 4 * 64 * 4
_REORDERED = 48 << 20


class Settings(FrameSettings):
    """Keys of ``[features.vgg16]``.

    Attributes
    ----------
    height, width : int
        Pixels of a frame, 32 at least: every 32 give a position of the maps.
    normalisation : "imagenet", "vggface" or "none"
        What is subtracted of the gray levels, which stand for red, green and blue alike: as
        torchvision's weights have it, as VGG-Face's have it, or nothing.

    Examples
    --------
    >>> Settings(frames=120, height=128, width=227, normalisation="vggface").output
    'maps'
    """

    height: int = Field(default=224, ge=STRIDE, le=2048)
    width: int = Field(default=224, ge=STRIDE, le=2048)
    normalisation: Literal["imagenet", "vggface", "none"] = "imagenet"

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        return self.height, self.width

    @property
    def layout(self) -> Layout:
        """The tensors that the network's weights must have."""
        return LAYOUT


def _dims(settings: Settings) -> Mapping[str, int]:
    dims = {"vgg16_frame": settings.frames, "vgg16_channel": CHANNELS}
    if settings.output == "maps":
        dims["vgg16_y"] = map_size(settings.height)
        dims["vgg16_x"] = map_size(settings.width)
    return dims


def _compute(frames: npt.NDArray[Any], settings: Settings, seed: int) -> npt.NDArray[np.float32]:
    module = frozen(base, LAYOUT, settings.content)
    pictures = settings.cropped(frames, settings.height, settings.width, close=False)
    prepared = partial(normalised, normalisation=settings.normalisation)
    out = np.empty(tuple(_dims(settings).values()), np.float32)
    return applied(module, pictures, prepared, _batch(settings), out)


def _batch(settings: Settings) -> int:
    wanted = _PIXELS_AT_ONCE // (settings.height * settings.width)
    return max(1, min(settings.frames, wanted))


def _memory(settings: Settings, count: int) -> int:
    pixels = settings.height * settings.width
    cropping = settings.crop_memory(settings.frames, settings.height, settings.width)
    return _REORDERED + _BYTES_A_PIXEL * _batch(settings) * pixels + cropping


def _prepare(settings: Settings) -> None:
    settings.load_detector()
    frozen(base, LAYOUT, settings.content)(_nothing())


def _nothing() -> Any:
    """The smallest picture: what PyTorch sets up with its first convolution is there then."""
    import torch

    return torch.zeros((1, 3, STRIDE, STRIDE))


FAMILY = Family(
    modality="video",
    settings=Settings,
    dims=_dims,
    decode=lambda settings: settings.decoding(settings.height, settings.width),
    compute=_compute,
    memory=_memory,
    streamed=True,
    prepare=_prepare,
    resident=lambda settings: LIBRARIES + LAYOUT.size,
    extra="networks",
)
