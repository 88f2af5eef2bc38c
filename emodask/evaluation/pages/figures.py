"""Pictures of an evaluation as SVG: the confusion matrix and the scores of each emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.pages.drawing import BAR, INK, MARK, SHADE, box, new_figure, svg, write

WHITE_TEXT_FROM = 0.85
"""Share of a cell's shade above which white text has more contrast than the page's own."""

SCORES = (("recall", "recall"), ("precision", "precision"), ("f1", "F1"))
"""Key and label of each score, in the order of their columns."""


def confusion_figure(
    confusion: npt.ArrayLike, emotions: Sequence[str], title: str = "Confusion matrix"
) -> str:
    """Draw a confusion matrix: shade and percentage by row, counts beneath.

    Parameters
    ----------
    confusion : (k, k) array of counts
        Rows true, columns predicted.
    emotions : sequence of k str
        Their names.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element without width, height or global styles, for inline use. Text and
        lines have the page's own colour.

    Examples
    --------
    >>> svg = confusion_figure([[3, 1], [0, 4]], ["happy", "angry"])
    >>> svg.startswith("<svg"), "75" in svg, "currentColor" in svg
    (True, True, True)
    """
    counts = np.asarray(confusion)
    k = len(emotions)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    left, right, top, width, height = 1.05, 0.2, 0.65, 0.56, 0.47
    figure = new_figure(left + k * width + right, top + k * height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.5 - left / width, k - 0.5 + right / width)
    axes.set_ylim(k - 0.5, -0.5 - top / height)
    for i, row in enumerate(emotions):
        write(axes, -0.65, i - 0.13, row, ha="right")
        noun = "clip" if totals[i] == 1 else "clips"
        write(axes, -0.65, i + 0.2, f"{totals[i]} {noun}", ha="right", fontsize=8, alpha=0.75)
        write(axes, i - 0.2, -0.6, row, va="bottom", rotation=35, rotation_mode="anchor")
        for j in range(k):
            share = float(shares[i, j])
            # A faint ground keeps empty cells visible on any page colour.
            face, edge = (SHADE, 0.05 + 0.95 * share), SHADE if i == j else "none"
            box(axes, j - 0.46, i - 0.46, 0.92, 0.92, facecolor=face, edgecolor=edge, lw=0.8)
            if counts[i, j]:
                ink = "#ffffff" if share >= WHITE_TEXT_FROM else INK
                style: dict[str, Any] = {"ha": "center", "color": ink}
                weight = "bold" if i == j else "normal"
                write(axes, j, i - 0.11, f"{100 * share:.0f}", fontweight=weight, **style)
                write(axes, j, i + 0.23, str(counts[i, j]), fontsize=7.5, alpha=0.75, **style)
    for y, axis_name in ((-1.03, "predicted →"), (-0.72, "true ↓")):
        write(axes, -0.65, y, axis_name, ha="right", fontsize=8, alpha=0.75)
    return svg(figure, title)


def per_emotion_figure(
    per_emotion: Mapping[str, Mapping[str, float | int | None]],
    title: str = "Scores of each emotion",
) -> str:
    """Draw recall, precision and F1 of each emotion, with their values and clip counts.

    Parameters
    ----------
    per_emotion : mapping
        ``{name: {"recall", "precision", "f1", "support"}}``; scores in [0, 1] or None.
    title : str
        The picture's accessible name; it is not drawn.

    Returns
    -------
    str
        An ``<svg>`` element for inline use, as of :func:`confusion_figure`.

    Examples
    --------
    >>> scores = {"recall": 0.5, "precision": None, "f1": 0.25, "support": 4}
    >>> ">50<" in per_emotion_figure({"calm": scores})
    True
    """
    k = len(per_emotion)
    row_height = 0.36
    figure = new_figure(5.53, 0.85 + row_height * k)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.47, 1.88)
    axes.set_ylim(k - 0.5 + 0.35 / row_height, -0.5 - 0.5 / row_height)
    for share in (0, 0.25, 0.5, 0.75, 1):
        axes.plot([share, share], [-0.5, k - 0.5], color=INK, alpha=0.15, lw=0.8, clip_on=False)
        write(axes, share, k - 0.1, f"{100 * share:.0f}", ha="center", fontsize=8, alpha=0.75)
    write(axes, -0.06, k - 0.1, "percent", ha="right", fontsize=8, alpha=0.75)
    box(axes, 1.14, -1.62, 0.08, 0.54, **BAR)
    axes.plot([1.41], [-1.35], **MARK)
    for x, (key, label) in zip((1.18, 1.41, 1.61), SCORES, strict=True):
        write(axes, x, -0.8, label, ha="center", fontsize=8)
        for i, scores in enumerate(per_emotion.values()):
            value = scores[key]
            write(axes, x, i, "–" if value is None else f"{100 * value:.0f}", ha="center")
    write(axes, 1.78, -0.8, "clips", ha="center", fontsize=8)
    for i, (name, scores) in enumerate(per_emotion.items()):
        write(axes, -0.06, i, name, ha="right")
        write(axes, 1.78, i, str(scores["support"]), ha="center", alpha=0.75)
        if (recall := scores["recall"]) is not None:
            box(axes, 0, i - 0.27, recall, 0.54, **BAR)
        if (precision := scores["precision"]) is not None:
            axes.plot([precision], [i], **MARK)
    return svg(figure, title)
