"""A whole network as PyTorch has it: standardising, shaping, then the layers of an architecture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from emodask.models.networks.network import Dims, Network


class Whole(nn.Module):
    """Rows of numbers -> a score for each frame and class; one frame where there are none.

    Parameters
    ----------
    network : Network
        Whose layers they are.
    shapes : sequence of tuple of int
        Of the features whose numbers make a row.
    n_classes : int
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Network, shapes: Sequence[Dims], n_classes: int) -> None:
        super().__init__()
        numbers = sum(math.prod(dims) for dims in shapes)
        kept = numbers if network.scale else 1
        self.register_buffer("mean", torch.zeros(kept))
        self.register_buffer("deviation", torch.ones(kept))
        self.scale = network.scale
        dims = tuple(shapes[0]) if len(shapes) == 1 else (numbers,)
        self.frames = dims[0] if network.by_frame else 1
        self.dims = dims[1:] if network.by_frame else dims
        self.hidden, self.head = network.layers(self.dims, n_classes)

    def hidden_and_scores(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What the layers below the last say, (n, frames, ...), and scores (n, frames, classes)."""
        if self.scale:
            rows = (rows - self.mean) / self.deviation
        n = len(rows)
        hidden = self.hidden(rows.reshape(n * self.frames, *self.dims))
        scores = self.head(hidden)
        return (
            hidden.reshape(n, self.frames, *hidden.shape[1:]),
            scores.reshape(n, self.frames, -1),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Scores, (n, frames, classes)."""
        return self.hidden_and_scores(rows)[1]


class CrossEntropy(nn.Module):
    """Cross-entropy of every frame against the label of its clip."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The mean over frames of clips, weighted by class."""
        each = labels.repeat_interleave(scores.shape[1])
        return functional.cross_entropy(scores.flatten(0, 1), each, weight=self.weight)


def chances(scores: Tensor) -> Tensor:
    """Scores of frames -> probabilities of clips."""
    return scores.softmax(dim=2).mean(dim=1)


class MeanOverPlaces(nn.Module):
    """(n, channels, y, x) -> (n, channels)."""

    def forward(self, maps: Tensor) -> Tensor:
        """The mean of each channel."""
        return maps.mean(dim=(2, 3))
