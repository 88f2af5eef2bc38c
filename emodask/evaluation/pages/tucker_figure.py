"""Pictures of a Tucker decomposition: its factors, and the error by rank of each dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.pages.drawing import BAR, INK, MARK, SHADE, box, new_figure, svg, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LABELS = 10
"""More indices than this are labelled by their numbers, or by what their names begin with."""


def error_by_rank_figure(modes: Sequence[Mapping[str, Any]], title: str = "Error by rank") -> str:
    """Draw what is lost by cutting one dimension alone, by how many components are kept.

    Parameters
    ----------
    modes : sequence of mapping
        ``dim``, ``size``, ``rank`` and ``error_by_rank`` of each, as of
        :func:`emodask.evaluation.reductions.describe_reductions`.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element for inline use, as of
        :func:`emodask.evaluation.pages.figures.confusion_figure`.

    Examples
    --------
    >>> mode = {"dim": "cell_y", "size": 3, "rank": 2, "error_by_rank": [0.5, 0.25, 0.0]}
    >>> ">cell_y<" in error_by_rank_figure([mode])
    True
    """
    columns = 1 if len(modes) <= 2 else 2
    rows = -(-len(modes) // columns)
    width, panel, gap = 5.53, 1.3, 0.75
    height = rows * (panel + gap) + 0.1
    figure = new_figure(width, height)
    for place, mode in enumerate(modes):
        row, column = divmod(place, columns)
        left, across = (0.5, 4.8) if columns == 1 else (0.5 + 2.8 * column, 2.1)
        bottom = height - 0.32 - panel - row * (panel + gap)
        axes = figure.add_axes((left / width, bottom / height, across / width, panel / height))
        _error_panel(axes, mode)
    return svg(figure, title)


def _error_panel(axes: Axes, mode: Mapping[str, Any]) -> None:
    errors, size, rank = [1.0, *mode["error_by_rank"]], mode["size"], mode["rank"]
    axes.set_axis_off()
    axes.set_xlim(0, size)
    axes.set_ylim(0, 1)
    for share in (0, 0.5, 1):
        axes.plot([0, size], [share] * 2, color=INK, alpha=0.15, lw=0.8, clip_on=False)
        write(axes, -0.03 * size, share, f"{100 * share:.0f}", ha="right", fontsize=8, alpha=0.75)
    axes.plot(range(size + 1), errors, color=SHADE, lw=1.6, clip_on=False)
    axes.plot([rank], [errors[rank]], **MARK)
    low = errors[rank] < 0.7
    write(
        axes,
        rank + (0.035 if rank < 0.6 * size else -0.035) * size,
        errors[rank] + (0.12 if low else -0.12),
        f"{rank} kept: {100 * errors[rank]:.1f} %",
        ha="left" if rank < 0.6 * size else "right",
        fontsize=8,
    )
    for end in (0, size):
        write(axes, end, -0.13, str(end), ha="center", fontsize=8, alpha=0.75)
    write(axes, 0, 1.17, str(mode["dim"]), fontsize=9, fontweight="bold")
    write(axes, size / 2, -0.13, "components kept", ha="center", fontsize=8, alpha=0.75)


def factors_figure(modes: Sequence[Mapping[str, Any]], title: str = "Factors") -> str:
    """Draw the leading components of each factor as strips over their dimension.

    Parameters
    ----------
    modes : sequence of mapping
        ``dim``, ``size``, ``rank``, ``labels`` and ``components`` of each, as of
        :func:`emodask.evaluation.reductions.describe_reductions`.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element for inline use, as of
        :func:`emodask.evaluation.pages.figures.confusion_figure`.

    Examples
    --------
    >>> mode = {"dim": "angle", "size": 2, "rank": 1, "labels": ["azimuth", "polar"]}
    >>> ">azimuth<" in factors_figure([{**mode, "components": [[0.8, -0.6]]}])
    True
    """
    width, line, between = 5.53, 0.15, 0.62
    tall = [line * max(2, len(mode["components"])) for mode in modes]
    height = sum(tall) + between * len(modes) + 0.3
    figure = new_figure(width, height)
    top = height - 0.55
    for mode, high in zip(modes, tall, strict=True):
        axes = figure.add_axes((0.35 / width, (top - high) / height, 4.98 / width, high / height))
        _factor_panel(axes, mode, line / high * len(mode["components"]))
        top -= high + between
    legend = figure.add_axes((0, 1 - 0.28 / height, 1, 0.28 / height))
    legend.set_axis_off()
    legend.set_xlim(0, width)
    legend.set_ylim(0, 1)
    for x, colour, words in (
        (2.35, BAR["facecolor"], "positive"),
        (3.1, MARK["color"], "negative"),
    ):
        box(legend, x, 0.25, 0.13, 0.5, facecolor=colour)
        write(legend, x + 0.18, 0.5, words, fontsize=8)
    write(legend, 3.9, 0.5, "full: largest of its row", fontsize=8, alpha=0.75)
    return svg(figure, title)


def _factor_panel(axes: Axes, mode: Mapping[str, Any], share: float) -> None:
    components = np.asarray(mode["components"], np.float64)
    rows, size = components.shape
    axes.set_axis_off()
    axes.imshow(
        _coloured(components), aspect="auto", interpolation="none", extent=(0, size, rows, 0)
    )
    axes.set_xlim(0, size)
    axes.set_ylim(rows / share, 0)
    axes.add_artist(_frame(size, rows))
    unit = rows / share / max(2, rows)  # data units of one line
    for row in {0, rows - 1}:
        write(axes, -0.012 * size, row + 0.5, str(row + 1), ha="right", fontsize=7, alpha=0.75)
    shown = "" if mode["rank"] == rows else f", the first {rows} drawn"
    kept = f"{size} → {mode['rank']} component{'' if mode['rank'] == 1 else 's'}{shown}"
    write(axes, 0, -0.75 * unit, str(mode["dim"]), fontsize=9, fontweight="bold")
    write(axes, 0.2 * size, -0.75 * unit, kept, fontsize=8, alpha=0.75)
    for start, end, words in _marks(mode["labels"], size):
        if start:
            axes.plot([start, start], [0, rows], color=INK, alpha=0.25, lw=0.5)
        style: dict[str, Any] = {"ha": "center", "fontsize": 7, "alpha": 0.75}
        write(axes, (start + end) / 2, rows + 0.65 * unit, words, **style)


def _marks(labels: Sequence[str], size: int) -> list[tuple[float, float, str]]:
    """Where to rule, and what to write between: names, what they begin with, or numbers."""
    if labels and size <= _MOST_LABELS:
        return [(place, place + 1, name) for place, name in enumerate(labels)]
    groups = [(name, len(list(some))) for name, some in groupby(x.split("/")[0] for x in labels)]
    if 1 < len(groups) <= _MOST_LABELS:
        found, start = [], 0
        for name, count in groups:
            found.append((float(start), float(start + count), name))
            start += count
        return found
    ends = {0, size - 1} if size <= 2 else {0, (size - 1) // 2, size - 1}
    # No rules: the centre of an index's column is where its number stands.
    return [(0.0, 2 * (place + 0.5), str(place + 1)) for place in sorted(ends)]


def _coloured(components: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Two hues by sign, as opaque as the value is large: legible on any page colour."""
    from matplotlib.colors import to_rgb

    largest = np.abs(components).max(axis=1, keepdims=True)
    strength = np.abs(components) / np.where(largest > 0, largest, 1.0)
    colours = np.where(components[..., None] >= 0, to_rgb(SHADE), to_rgb(MARK["color"]))
    return np.concatenate([colours, strength[..., None]], axis=2)


def _frame(width: float, height: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (0, 0), width, height, facecolor="none", edgecolor=INK, alpha=0.3, lw=0.6, clip_on=False
    )
