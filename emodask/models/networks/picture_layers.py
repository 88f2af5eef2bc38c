"""What networks do to pictures: scale them, and change them at random while training."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate

DEGREES = 10.0
SHIFT = 0.06
"""Of the side of a picture, in each direction."""
ZOOM = 0.1
LIGHT = 0.15
"""Of the brightest level, added; and by how much what is dark and what is bright differ."""


def augmented(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the pictures; turn, shift, zoom and light each a little otherwise.

    Parameters
    ----------
    pictures : Tensor of float32, shape (m, 1, height, width)
        From 0 to 1.
    generator : torch.Generator
        Of the CPU: the same seed gives the same pictures on every device.

    Returns
    -------
    Tensor, shaped as they are
        From 0 to 1. What comes into the picture at its edges repeats them.

    Examples
    --------
    >>> pictures = torch.full((2, 1, 8, 8), 0.5)
    >>> once, again = (augmented(pictures, torch.Generator().manual_seed(1)) for _ in range(2))
    >>> torch.equal(once, again), torch.equal(once, pictures)
    (True, False)
    """
    count = len(pictures)
    draws = 2 * torch.rand((7, count), generator=generator) - 1  # from -1 to 1
    turn = math.radians(DEGREES) * draws[0]
    zoom = 1 + ZOOM * draws[1]
    mirror = torch.where(draws[2] < 0, -1.0, 1.0)
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    across = torch.stack([mirror * cos, -sin, 2 * SHIFT * draws[3]], dim=1)
    down = torch.stack([mirror * sin, cos, 2 * SHIFT * draws[4]], dim=1)
    moves = torch.stack([across, down], dim=1).to(pictures.device)
    grid = affine_grid(moves, list(pictures.shape), align_corners=False)
    moved = grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    light, contrast = (LIGHT * draws[5:7]).to(pictures.device)[:, :, None, None, None]
    return ((moved - 0.5) * (1 + contrast) + 0.5 + light).clamp(0, 1)


class GrayLevels(nn.Module):
    """Gray levels from 0 to 255, (m, height, width), as pictures of one channel from 0 to 1.

    Parameters
    ----------
    size : int
        Side that they are scaled to, each pixel the mean of those that it covers; 0: as they are.
    """

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self.size = size

    def forward(self, levels: Tensor) -> Tensor:
        """Pictures, (m, 1, height, width)."""
        pictures = levels.unsqueeze(1) / 255
        if not self.size:
            return pictures
        return interpolate(pictures, (self.size, self.size), mode="area")
