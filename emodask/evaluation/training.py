"""How networks learned in the folds: their curves out of ``metrics.json``, and sums in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emodask.evaluation.results import ordered_protocols, percent


@dataclass(frozen=True)
class Curves:
    """What one fold's network reached after each epoch.

    Attributes
    ----------
    fold : str
    epochs : tuple of int
        Ascending, the first is 1.
    train_loss, valid_loss, valid_uar : tuple of float or None
        One an epoch; None where nothing was measured.
    best_epoch : int or None
        The one whose weights were kept; None where nothing was held out.
    """

    fold: str
    epochs: tuple[int, ...]
    train_loss: tuple[float | None, ...]
    valid_loss: tuple[float | None, ...]
    valid_uar: tuple[float | None, ...]
    best_epoch: int | None

    def at_best(self, values: Sequence[float | None]) -> float | None:
        """What one of the curves has at the best epoch."""
        if self.best_epoch not in self.epochs:
            return None
        return values[self.epochs.index(self.best_epoch)]


@dataclass(frozen=True)
class Training:
    """How one model's networks learned under one protocol.

    Attributes
    ----------
    protocol, model : str
    parameters : int
        That are learned.
    folds : tuple of Curves
    uar : float or None
        What the model reached on the tested clips, to set the validation UAR beside.
    """

    protocol: str
    model: str
    parameters: int
    folds: tuple[Curves, ...]
    uar: float | None = None

    @property
    def parameters_text(self) -> str:
        """The parameters, in groups of three digits."""
        return f"{self.parameters:,}".replace(",", " ")

    @property
    def epochs(self) -> str:
        """How many epochs the folds trained, in words."""
        return _spread(fold.epochs[-1] for fold in self.folds)

    @property
    def best_epochs(self) -> str:
        """Which epochs were kept, in words; nothing where nothing was held out."""
        return _spread(fold.best_epoch for fold in self.folds if fold.best_epoch)

    @property
    def valid_uar(self) -> float | None:
        """Median over folds of the validation UAR at the best epoch."""
        found = [fold.at_best(fold.valid_uar) for fold in self.folds]
        values = [value for value in found if value is not None]
        return statistics.median(values) if values else None

    @property
    def line(self) -> str:
        """All of it in one line."""
        text = (
            f"{self.protocol}: {self.model} learned {self.parameters_text} parameters in "
            f"{self.epochs} epoch{'' if self.epochs == '1' else 's'}"
        )
        if self.best_epochs:
            text += f", best {self.best_epochs}"
        if self.valid_uar is not None:
            text += f"; validation UAR there {percent(self.valid_uar, ' %')}"
        return text


def trainings(metrics: Mapping[str, Any]) -> Iterator[Training]:
    """Every network's training, in the order of the report's protocols; none without networks.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.

    Examples
    --------
    >>> epoch = {"epoch": 1, "train_loss": 2.0, "valid_loss": 2.1, "valid_uar": 0.25}
    >>> fold = {"fold": "actor-01", "epochs": 1, "best_epoch": 1, "history": [epoch]}
    >>> models = {"cnn": {"uar": 0.3, "training": {"parameters": 102280, "folds": [fold]}}}
    >>> loso = {"speaker_independent": True, "models": models}
    >>> [one.line for one in trainings({"protocols": {"loso": loso}})]
    ['loso: cnn learned 102 280 parameters in 1 epoch, best 1; validation UAR there 25.0 %']
    """
    for protocol, entry in ordered_protocols(metrics):
        for model, summary in (entry.get("models") or {}).items():
            about = summary.get("training") or {}
            folds = tuple(_curves(fold) for fold in about.get("folds", ()) if fold["history"])
            if folds:
                yield Training(protocol, model, int(about["parameters"]), folds, summary.get("uar"))


def _curves(fold: Mapping[str, Any]) -> Curves:
    history = fold["history"]

    def curve(key: str) -> tuple[float | None, ...]:
        return tuple(_finite(one.get(key)) for one in history)

    held_out = curve("valid_loss")
    return Curves(
        fold=str(fold["fold"]),
        epochs=tuple(int(one["epoch"]) for one in history),
        train_loss=curve("train_loss"),
        valid_loss=held_out,
        valid_uar=curve("valid_uar"),
        best_epoch=fold.get("best_epoch") if any(v is not None for v in held_out) else None,
    )


def _finite(value: float | None) -> float | None:
    """A number that can be drawn: a loss that has run away is none."""
    return value if value is not None and math.isfinite(value) else None


def _spread(values: Iterable[int]) -> str:
    """Numbers of folds by median and range.

    Examples
    --------
    >>> _spread([12]), _spread([12, 30, 14]), _spread([])
    ('12', '14 (12 to 30)', '')
    """
    found = sorted(values)
    if not found:
        return ""
    middle = f"{statistics.median_low(found)}"
    return middle if found[0] == found[-1] else f"{middle} ({found[0]} to {found[-1]})"
