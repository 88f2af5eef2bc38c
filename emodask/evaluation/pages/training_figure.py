"""The picture of how a network learned: loss and validation UAR by epoch, one line a fold."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from emodask.evaluation.pages.drawing import (
    INK,
    MARK,
    SHADE,
    new_figure,
    rule_percents,
    svg,
    write,
)
from emodask.evaluation.training import Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 80
"""Longer curves are drawn at about so many of their epochs: a page holds many of them."""

_BEST: dict[str, Any] = {**MARK, "color": INK, "markersize": 3.5}

Curve = Callable[[Curves], Sequence[float | None]]


def training_figure(folds: Sequence[Curves], chance: float | None = None, title: str = "") -> str:
    """Draw what each fold's network reached after each epoch, and the median over folds.

    The median ends where fewer than half of the folds still train: those that go on are no
    sample of all.

    Parameters
    ----------
    folds : sequence of Curves
        At least one, each of at least one epoch.
    chance : float, optional
        UAR of guessing, ruled across.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element for inline use, as of
        :func:`emodask.evaluation.pages.figures.confusion_figure`.

    Examples
    --------
    >>> fold = Curves("actor-01", (1, 2), (2.0, 1.5), (2.1, 2.2), (0.2, 0.25), 2)
    >>> ">loss<" in training_figure([fold])
    True
    """
    width, height, high = 5.53, 2.5, 1.65
    figure = new_figure(width, height)
    bottom = 0.3 / height
    last = max(fold.epochs[-1] for fold in folds)
    left = figure.add_axes((0.42 / width, bottom, 2.05 / width, high / height))
    right = figure.add_axes((3.22 / width, bottom, 2.05 / width, high / height))
    losses: tuple[tuple[Curve, str], ...] = (
        (lambda fold: fold.train_loss, SHADE),
        (lambda fold: fold.valid_loss, MARK["color"]),
    )
    held_out = any(value is not None for fold in folds for value in fold.valid_loss)
    _loss_panel(left, folds, losses, last)
    if any(value is not None for fold in folds for value in fold.valid_uar):
        _uar_panel(right, folds, chance, last)
    legend = figure.add_axes((0, 1 - 0.3 / height, 1, 0.3 / height))
    legend.set_axis_off()
    legend.set_xlim(0, width)
    legend.set_ylim(0, 1)
    names = [("training", SHADE)] + [("validation", MARK["color"])] * held_out
    for place, (name, color) in enumerate(names):
        x = 1.55 + 0.95 * place
        legend.plot([x, x + 0.22], [0.5, 0.5], color=color, lw=2)
        write(legend, x + 0.29, 0.5, name, fontsize=8)
    if any(fold.best_epoch for fold in folds):
        legend.plot([3.72], [0.5], **_BEST)
        write(legend, 3.82, 0.5, "best epoch of a fold", fontsize=8)
    return svg(figure, title)


def _loss_panel(
    axes: Axes, folds: Sequence[Curves], losses: Sequence[tuple[Curve, str]], last: int
) -> None:
    ticks, cut = _ticks(folds, losses)
    top = ticks[-1]
    _prepare(axes, last, top)
    for tick in ticks:
        axes.plot([1, max(last, 2)], [tick] * 2, color=INK, alpha=0.15, lw=0.8, clip_on=False)
        x = 1 - 0.04 * (max(last, 2) - 1)
        write(axes, x, tick, f"{tick:g}", ha="right", fontsize=8, alpha=0.75)
    write(axes, 1, 1.13 * top, "loss" + cut, fontsize=8, alpha=0.75)
    for curve, color in losses:
        _lines(axes, folds, curve, color)
    for fold in folds:
        _mark(axes, fold, fold.valid_loss, top)


def _uar_panel(axes: Axes, folds: Sequence[Curves], chance: float | None, last: int) -> None:
    _prepare(axes, last, 1)
    right = max(last, 2)
    rule_percents(axes, 1, right, gap=0.04 * (right - 1))
    write(axes, 1, 1.13, "validation UAR, percent", fontsize=8, alpha=0.75)
    if chance is not None:
        axes.plot([1, right], [chance] * 2, color=INK, lw=1.1, ls=":", clip_on=False)
        write(axes, right, chance - 0.06, "chance", ha="right", fontsize=8)
    _lines(axes, folds, lambda fold: fold.valid_uar, MARK["color"])
    for fold in folds:
        _mark(axes, fold, fold.valid_uar, 1)


def _prepare(axes: Axes, last: int, top: float) -> None:
    """Panels of epochs 1 to ``last``; a single epoch stands at the left."""
    axes.set_axis_off()
    axes.set_xlim(1, max(last, 2))
    axes.set_ylim(0, top)
    for epoch in sorted({1, last}):
        write(axes, epoch, -0.12 * top, str(epoch), ha="center", fontsize=8, alpha=0.75)
    middle = (1 + max(last, 2)) / 2
    write(axes, middle, -0.12 * top, "epoch", ha="center", fontsize=8, alpha=0.75)


def _ticks(folds: Sequence[Curves], losses: Sequence[tuple[Curve, str]]) -> tuple[list[float], str]:
    """Where to rule the panel of losses, up to above all medians; what is said of lines beyond."""
    from matplotlib.ticker import MaxNLocator

    every = [v for curve, _ in losses for fold in folds for v in curve(fold) if v is not None]
    medians = [v for curve, _ in losses for _, v in _median(folds, curve)]
    ordinary = sorted(every)[int(0.97 * (len(every) - 1))] if every else 0.0
    highest = max([*medians, ordinary])
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, highest if highest > 0 else 1)
    top = [round(float(tick), 12) for tick in ticks]
    return top, f", above {top[-1]:g} cut off" if max(every, default=0) > top[-1] else ""


def _lines(axes: Axes, folds: Sequence[Curves], curve: Curve, color: str) -> None:
    alpha = 0.6 if len(folds) < 8 else 0.4
    for fold in folds:
        points = [(x, y) for x, y in zip(fold.epochs, curve(fold), strict=True) if y is not None]
        _line(axes, points, color=color, lw=0.7, alpha=alpha)
    _line(axes, _median(folds, curve), color=color, lw=2.2)


def _line(axes: Axes, points: Sequence[tuple[int, float]], **style: Any) -> None:
    step = -(-len(points) // _MOST_POINTS)
    shown = [*points[:-1][:: max(step, 1)], *points[-1:]]
    marker: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(shown) == 1 else {}
    axes.plot([x for x, _ in shown], [y for _, y in shown], **style, **marker)


def _median(folds: Sequence[Curves], curve: Curve) -> list[tuple[int, float]]:
    """Epochs that at least half of the folds have reached, with the median over those."""
    values: dict[int, list[float]] = {}
    for fold in folds:
        for epoch, value in zip(fold.epochs, curve(fold), strict=True):
            if value is not None:
                values.setdefault(epoch, []).append(value)
    return [
        (epoch, statistics.median(found))
        for epoch, found in sorted(values.items())
        if 2 * len(found) >= len(folds)
    ]


def _mark(axes: Axes, fold: Curves, values: Sequence[float | None], top: float) -> None:
    best = fold.at_best(values)
    if fold.best_epoch is not None and best is not None and best <= top:
        axes.plot([fold.best_epoch], [best], **_BEST)
