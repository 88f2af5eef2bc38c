"""The reliability diagram: how often a model is right, by how sure it says it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emodask.evaluation.pages.drawing import (
    BAR,
    INK,
    MARK,
    box,
    new_figure,
    rule_percents,
    svg,
    write,
)


def reliability_figure(
    bins: Sequence[Mapping[str, Any]], title: str = "Reliability diagram"
) -> str:
    """Draw the share that is right in each bin of stated probability, and its clip counts.

    Parameters
    ----------
    bins : sequence of mapping
        ``low``, ``high``, ``clips``, ``confidence``, ``accuracy`` of each bin, the last two None
        in an empty one.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element for inline use, as of
        :func:`emodask.evaluation.pages.figures.confusion_figure`.

    Examples
    --------
    >>> one = {"low": 0.5, "high": 1.0, "clips": 12, "confidence": 0.8, "accuracy": 0.6}
    >>> ">12<" in reliability_figure([one])
    True
    """
    width, height = 5.53, 4.0
    figure = new_figure(width, height)
    axes = figure.add_axes((0.78 / width, 0.85 / height, 4.5 / width, 2.4 / height))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    rule_percents(axes, 0, 1, gap=0.02)
    write(axes, -0.15, 1.11, "right, percent", fontsize=8, alpha=0.75)
    axes.plot([0, 1], [0, 1], color=INK, alpha=0.6, lw=1.2, ls="--")
    for one in bins:
        low, high = one["low"], one["high"]
        middle = (low + high) / 2
        write(axes, high, -0.07, f"{100 * high:.0f}", ha="center", fontsize=8, alpha=0.75)
        write(axes, middle, -0.26, str(one["clips"]), ha="center", fontsize=8, alpha=0.75)
        if one["clips"]:
            box(axes, low + 0.004, 0, high - low - 0.008, one["accuracy"], **BAR)
            axes.plot([one["confidence"]], [one["accuracy"]], **MARK)
    write(axes, -0.15, -0.26, "clips", fontsize=8, alpha=0.75)
    write(axes, 0.5, -0.165, "stated probability, percent", ha="center", fontsize=8, alpha=0.75)
    axes.plot([0.33], [1.21], **MARK)
    write(axes, 0.36, 1.21, "mean stated probability of a bin's clips", fontsize=8)
    dashes: dict[str, Any] = {"color": INK, "alpha": 0.6, "lw": 1.2, "ls": "--", "clip_on": False}
    axes.plot([0.312, 0.348], [1.11] * 2, **dashes)
    write(axes, 0.36, 1.11, "where it is right as often as it states", fontsize=8)
    return svg(figure, title)
