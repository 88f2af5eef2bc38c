"""The architectures: what each one's layers are, its parameters, and the features it can read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.utils._param_validation import Interval

from emodask.models.networks.network import MOST, Dims, Network, shown

if TYPE_CHECKING:
    import torch

    Layers = tuple[torch.nn.Module, torch.nn.Module]

_DROPOUT = {"dropout": [Interval(Real, 0, 1, closed="left")]}


@dataclass(eq=False, repr=False, kw_only=True)
class MfccImageCnn(Network):
    """Cepstral coefficients by time as a picture of one channel, and one wide convolution.

    256 filters of 4 x 4, ReLU, the largest of each 4 x 4, batch normalisation, dropout 0.8; then 64
    units, dropout 0.2, and 32.
    """

    epochs: int = 40
    patience: int = 8

    @classmethod
    def check_shapes(cls, shapes: Sequence[Dims]) -> None:
        """One feature of two dimensions, of 7 at least."""
        if len(shapes) != 1 or len(shapes[0]) != 2 or any(0 < size < 7 for size in shapes[0]):
            raise ValueError(
                "it reads one feature of two dimensions, such as frames by coefficients, of at "
                f"least 7 x 7, not {shown(shapes)}"
            )

    def layers(self, dims: Dims, n_classes: int) -> Layers:
        from torch import channels_last, nn

        places = math.prod((size - 3) // 4 for size in dims)
        convolution = nn.Conv2d(1, 256, 4)
        convolution.to(memory_format=channels_last)  # type: ignore[call-overload]  # faster
        hidden = nn.Sequential(
            nn.Unflatten(1, (1, dims[0])),
            convolution,
            nn.MaxPool2d(4),
            nn.ReLU(),  # of the largest is the largest of the ReLU, on a sixteenth of the numbers
            nn.BatchNorm2d(256),
            nn.Dropout(0.8),
            nn.Flatten(),
            nn.Linear(256 * places, 64),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(64, 32),
            nn.ReLU(),
        )
        return hidden, nn.Linear(32, n_classes)


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceCnn(Network):
    """Numbers of a clip as a sequence of one channel: two convolutions of 128 filters of width 5.

    Of 157 numbers and 8 emotions it learns 102 280 parameters.
    """

    dropout: float = 0.1

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Network._parameter_constraints,
        **_DROPOUT,
    }

    @classmethod
    def check_shapes(cls, shapes: Sequence[Dims]) -> None:
        """At least 8 numbers."""
        _at_least(8, shapes)

    def layers(self, dims: Dims, n_classes: int) -> Layers:
        from torch import nn

        numbers = math.prod(dims)
        hidden = nn.Sequential(
            nn.Flatten(),
            nn.Unflatten(1, (1, numbers)),
            nn.Conv1d(1, 128, 5, padding="same"),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.MaxPool1d(8),
            nn.Conv1d(128, 128, 5, padding="same"),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Flatten(),
        )
        return hidden, nn.Linear(128 * (numbers // 8), n_classes)


@dataclass(eq=False, repr=False, kw_only=True)
class CurveCnn(Network):
    """Numbers of a clip as a sequence: two convolutions with max-pooling, then 128 units.

    64 filters of width 5 and the largest of each 4, twice; batch normalisation; 128 units, dropout.
    """

    epochs: int = 10
    batch_size: int = 8
    learning_rate: float = 1e-4
    dropout: float = 0.5

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Network._parameter_constraints,
        **_DROPOUT,
    }

    @classmethod
    def check_shapes(cls, shapes: Sequence[Dims]) -> None:
        """At least 16 numbers."""
        _at_least(16, shapes)

    def layers(self, dims: Dims, n_classes: int) -> Layers:
        from torch import nn

        numbers = math.prod(dims)
        flat = 64 * (numbers // 16)
        hidden = nn.Sequential(
            nn.Flatten(),
            nn.Unflatten(1, (1, numbers)),
            nn.Conv1d(1, 64, 5, padding="same"),
            nn.MaxPool1d(4),
            nn.ReLU(),
            nn.Conv1d(64, 64, 5, padding="same"),
            nn.MaxPool1d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.BatchNorm1d(flat),
            nn.Linear(flat, 128),
            nn.ReLU(),
            nn.Dropout(self.dropout),
        )
        return hidden, nn.Linear(128, n_classes)


@dataclass(eq=False, repr=False, kw_only=True)
class DenseHead(Network):
    """Layers of units on numbers of any shape, such as those of a frozen base.

    Parameters
    ----------
    hidden : sequence of int
        Units of each layer.
    dropout : float
        After each.
    """

    hidden: Sequence[int] = (512, 256)
    dropout: float = 0.0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Network._parameter_constraints,
        **_DROPOUT,
        "hidden": [tuple, list],
    }

    def _validate_params(self) -> None:
        super()._validate_params()
        sizes = self.hidden
        if not sizes or not all(type(n) is int and 1 <= n <= MOST for n in sizes):
            raise ValueError(
                f"The 'hidden' parameter of {type(self).__name__} must be one whole number above 0 "
                f"for each layer, such as [512, 256]. Got {list(sizes)!r} instead."
            )

    def layers(self, dims: Dims, n_classes: int) -> Layers:
        from torch import nn

        sizes = [math.prod(dims), *self.hidden]
        below: list[nn.Module] = [nn.Flatten()]
        for given, units in itertools.pairwise(sizes):
            below += [nn.Linear(given, units), nn.ReLU(), nn.Dropout(self.dropout)]
        return nn.Sequential(*below), nn.Linear(sizes[-1], n_classes)


@dataclass(eq=False, repr=False, kw_only=True)
class EmbeddingFusion(DenseHead):
    """A small network on what other networks have learnt: 16 units twice, dropout 0.1."""

    hidden: Sequence[int] = (16, 16)
    dropout: float = 0.1


@dataclass(eq=False, repr=False, kw_only=True)
class FrameLayer(Network):
    """One small layer on the numbers of each frame, learnt to be read by other models.

    Batch normalisation, then units with ReLU; each frame's emotion is judged from them alone. A
    model of ``embeddings`` reads the units of all frames.

    Parameters
    ----------
    units : int
    """

    units: int = 21

    by_frame: ClassVar[bool] = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Network._parameter_constraints,
        "units": Network._parameter_constraints["batch_size"],
    }

    def layers(self, dims: Dims, n_classes: int) -> Layers:
        from torch import nn

        numbers = math.prod(dims)
        hidden = nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(numbers), nn.Linear(numbers, self.units), nn.ReLU()
        )
        return hidden, nn.Linear(self.units, n_classes)


@dataclass(eq=False, repr=False, kw_only=True)
class ConvHead(Network):
    """Two convolutions on the maps of a frozen base, frame by frame: 8 of 1 x 1, then 4 x 4.

    The first narrows the maps to 8, the second gives each emotion its score; on maps larger than
    4 x 4 it is the mean of the scores over places.
    """

    by_frame: ClassVar[bool] = True

    @classmethod
    def check_shapes(cls, shapes: Sequence[Dims]) -> None:
        """One feature of frames, channels, height and width."""
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise ValueError(f"it reads one feature of (frame, channel, y, x), not {shown(shapes)}")

    def layers(self, dims: Dims, n_classes: int) -> Layers:
        from torch import nn

        from emodask.models.networks.modules import MeanOverPlaces

        channels, height, width = dims
        window = nn.Conv2d(8, n_classes, (min(4, height), min(4, width)))
        hidden = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.ReLU())
        return hidden, nn.Sequential(window, MeanOverPlaces())


def _at_least(numbers: int, shapes: Sequence[Dims]) -> None:
    found = [math.prod(dims) for dims in shapes]
    if all(found) and sum(found) < numbers:
        raise ValueError(f"it reads at least {numbers} numbers a clip, not {shown(shapes)}")
