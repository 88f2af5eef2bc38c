"""The picture of whom a model understands: its UAR for each actor."""

from __future__ import annotations

from collections.abc import Mapping
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

_MOST_LABELS = 32
"""More actors than this are drawn without their codes and values, which would overlap."""


def per_actor_figure(
    per_actor: Mapping[str, Mapping[str, Any]],
    mean: float | None = None,
    chance: float | None = None,
    title: str = "UAR of each actor",
) -> str:
    """Draw the UAR of each actor, the best understood first, beside that of all and chance.

    Parameters
    ----------
    per_actor : mapping
        ``{actor: {"uar", "accuracy", "clips"}}``; ``uar`` in [0, 1].
    mean, chance : float, optional
        UAR of all clips together, and of guessing.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element for inline use, as of
        :func:`emodask.evaluation.pages.figures.confusion_figure`.

    Examples
    --------
    >>> one = {"uar": 0.5, "accuracy": 0.5, "clips": 8}
    >>> ">50<" in per_actor_figure({"7": one}, mean=0.5, chance=0.125)
    True
    """
    ranked = sorted(per_actor.items(), key=lambda item: (-item[1]["uar"], int(item[0])))
    n = len(ranked)
    width, height, left = 5.53, 3.5, 0.62
    figure = new_figure(width, height)
    axes = figure.add_axes((left / width, 0.65 / height, 1 - (left + 0.6) / width, 2.4 / height))
    axes.set_axis_off()
    span = max(n, 8)
    axes.set_xlim(-0.6, span - 0.4)
    axes.set_ylim(0, 1)
    rule_percents(axes, -0.6, span - 0.4, gap=0.2)
    for i, (actor, scores) in enumerate(ranked):
        box(axes, i - 0.36, 0, 0.72, scores["uar"], **BAR)
        if n <= _MOST_LABELS:
            size = 8 if n <= 24 else 6.5
            shown = f"{100 * scores['uar']:.0f}"
            write(axes, i, -0.09, actor, ha="center", fontsize=size, alpha=0.75)
            write(axes, i, -0.2, shown, ha="center", fontsize=size)
    for y, name in ((-0.09, "actor"), (-0.2, "percent")):
        if n <= _MOST_LABELS:
            write(axes, -0.8, y, name, ha="right", fontsize=8, alpha=0.75)
    level = None
    for value, label, style in ((mean, "all", "-"), (chance, "chance", ":")):
        if value is None:
            continue
        color = MARK["color"] if label == "all" else INK
        axes.plot([-0.6, span - 0.4], [value] * 2, color=color, lw=1.3, ls=style, clip_on=False)
        # Two lines that lie close would have their names on each other.
        near = level is not None and abs(level - value) < 0.08
        write(axes, span - 0.3, value - (0.09 if near else 0), label, fontsize=8)
        level = value
    return svg(figure, title)
