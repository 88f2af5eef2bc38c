"""The frame CNN: convolutions on each gray picture of a clip, judged alone and then together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.utils._param_validation import Interval

from emodask.models.networks.network import Dims, Network, shown

if TYPE_CHECKING:
    import torch

CHANNELS = (16, 32, 64, 64, 64)
"""Of the convolutions: the first is of 5 x 5 and takes every other pixel, the others are of 3 x 3
and are followed by the largest of each 2 x 2."""


@dataclass(eq=False, repr=False, kw_only=True)
class FrameCnn(Network):
    """Five convolutions with batch normalisation, then twice 32 units with dropout.

    Gray levels from 0 to 255 become 0 to 1. Each picture is trained on with the label of its clip;
    a clip's probabilities are the mean of those of its pictures. Of pictures of 256 x 256 and 8
    emotions it learns 230 136 parameters, of 128 x 128 131 832.

    Parameters
    ----------
    size : int
        Side that pictures are scaled down to first; 0 takes them as they are stored. Half the side
        takes a quarter of the time.
    dropout : float
    augment : bool
        Mirror, turn, shift, zoom and light pictures a little at random each time that they are
        trained on; see :func:`~emodask.models.networks.picture_layers.augmented`.
    """

    epochs: int = 40
    batch_size: int = 8
    size: int = 0
    dropout: float = 0.3
    augment: bool = True

    by_frame: ClassVar[bool] = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Network._parameter_constraints,
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "size": [Interval(Integral, 0, 1024, closed="both")],
        "augment": ["boolean"],
    }

    @classmethod
    def check_shapes(cls, shapes: Sequence[Dims]) -> None:
        """One feature of pictures, height and width."""
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(f"it reads one feature of (picture, y, x), not {shown(shapes)}")

    def layers(self, dims: Dims, n_classes: int) -> tuple[torch.nn.Module, torch.nn.Module]:
        from torch import channels_last, nn

        from emodask.models.networks.picture_layers import GrayLevels

        below: list[nn.Module] = [GrayLevels(self.size)]
        before = 1
        for number, channels in enumerate(CHANNELS):
            first = number == 0
            below += [
                nn.Conv2d(before, channels, 5, stride=2, padding=2, bias=False)
                if first
                else nn.Conv2d(before, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
            if not first:
                below.append(nn.MaxPool2d(2, ceil_mode=True))
            before = channels
        height, width = (self.size, self.size) if self.size else dims
        halvings = 2 ** len(CHANNELS)
        flat = before * -(-height // halvings) * -(-width // halvings)
        below.append(nn.Flatten())
        for numbers in (flat, 32):
            below += [
                nn.Linear(numbers, 32, bias=False),
                nn.BatchNorm1d(32),  # without, most of the units fall silent for good
                nn.ReLU(inplace=True),
                nn.Dropout(self.dropout),
            ]
        # Pixels beside their channels take a third less time on a processor.
        hidden = nn.Sequential(*below).to(memory_format=channels_last)  # type: ignore[call-overload]
        return hidden, nn.Linear(32, n_classes)

    def augmented(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if not self.augment:
            return batch
        from emodask.models.networks.picture_layers import augmented

        _, height, width = self.shapes_[0]
        changed = batch.clone()
        for clip in changed:  # one after another, of which a processor's cache holds what it takes
            pictures = clip.reshape(-1, 1, height, width)
            pictures.copy_(255 * augmented(pictures / 255, generator))
        return changed
