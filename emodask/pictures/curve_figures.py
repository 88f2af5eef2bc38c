"""Pictures of spline features: the 34 curves of a voice with their fits, and the B-spline basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.pages.drawing import INK, MARK, new_figure, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANT = "noise"
"""The variant of a voice that is drawn: the clip itself under faint noise."""

_COLUMNS = 6
_DENSE = 72
"""Points at which a fit is drawn."""
_BASIS = ("#1c6cb0", "#d55e00", "#009e73", "#cc79a7")
"""Okabe & Ito: legible to colour-blind readers, and neighbours differ."""

_STYLES: dict[str, dict[str, Any]] = {
    "base": {"color": INK, "alpha": 0.15, "lw": 0.7},
    "curve": {"color": INK, "alpha": 0.55, "lw": 0.6},
    "fit": {"color": MARK["color"], "lw": 1.3},
}


def curves_figure(
    coefficients: npt.NDArray[np.floating],
    knots: int,
    order: int,
    curves: npt.NDArray[np.floating] | None = None,
    heading: str = "",
) -> Figure:
    """Draw each descriptor's curve over the clip, and the spline that stands for it.

    Parameters
    ----------
    coefficients : array, shape (knots + order - 2, 34)
        Of one variant, as stored.
    knots, order : int
        Of the basis.
    curves : array, shape (34, frames), optional
        What was fitted; only the fits are drawn where the media is not to be had.
    heading : str
        What stands above.
    """
    from matplotlib.collections import LineCollection

    from emodask.features.audio.bspline import bspline_basis
    from emodask.features.audio.descriptors import CURVES

    fits = (bspline_basis(np.linspace(0, 1, _DENSE), knots, order) @ coefficients).T
    rows = -(-len(CURVES) // _COLUMNS)
    wide, high, top = 1.28, 0.82, 0.62 if heading else 0.34
    full, tall = _COLUMNS * wide, top + rows * high
    figure = new_figure(full, tall)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, full)
    axes.set_ylim(tall, 0)
    if heading:
        write(axes, 0.06, 0.2, heading, fontsize=11, fontweight="bold")
    _legend(axes, top - 0.16, curves is not None)
    lines: dict[str, list[npt.NDArray[Any]]] = {"base": [], "curve": [], "fit": []}
    for i, name in enumerate(CURVES):
        row, column = divmod(i, _COLUMNS)
        left, upper = column * wide + 0.06, top + row * high
        drawn = {"fit": fits[i]} if curves is None else {"fit": fits[i], "curve": curves[i]}
        low = min(float(values.min()) for values in drawn.values())
        span = max(max(float(values.max()) for values in drawn.values()) - low, 1e-9)
        bottom = upper + high - 0.1
        write(axes, left, upper + 0.1, name.replace("_", " "), fontsize=7.5, alpha=0.85)
        for kind, values in {**drawn, "base": np.array([low, low])}.items():
            x = left + np.linspace(0, wide - 0.16, len(values))
            y = bottom - (high - 0.32) * (values - low) / span
            lines[kind].append(np.column_stack([x, y]))
    for kind, style in _STYLES.items():
        axes.add_collection(LineCollection(lines[kind], clip_on=False, **style))
    return figure


def _legend(axes: Any, y: float, with_curves: bool) -> None:
    entries = [("spline fit", {**_STYLES["fit"], "lw": 1.6})]
    if with_curves:
        entries.append(("curve", {**_STYLES["curve"], "lw": 0.8}))
    x = 0.06
    for name, style in entries:
        axes.plot([x, x + 0.3], [y, y], **style)
        write(axes, x + 0.38, y, name, fontsize=8)
        x += 1.28


def basis_figure(knots: int, order: int, heading: str = "") -> Figure:
    """Draw the B-splines that curves are sums of.

    Parameters
    ----------
    knots, order : int
        Equally spaced knots on [0, 1]; degree + 1.
    heading : str
        What stands above.
    """
    from emodask.features.audio.bspline import bspline_basis

    points = np.unique(np.concatenate([np.linspace(0, 1, 241), np.linspace(0, 1, knots)]))
    basis = bspline_basis(points, knots, order)
    width, top, high, below = 5.53, 0.4 if heading else 0.1, 1.5, 0.5
    tall = top + high + below
    figure = new_figure(width, tall)
    axes = figure.add_axes((0.42 / width, below / tall, 1 - 0.6 / width, high / tall))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    if heading:
        write(axes, 0, 1.15, heading, fontsize=11, fontweight="bold")
    for level in (0, 0.5, 1):
        axes.plot([0, 1], [level] * 2, color=INK, alpha=0.15, lw=0.8, clip_on=False)
        write(axes, -0.015, level, f"{level:g}", ha="right", fontsize=8, alpha=0.75)
    for i, spline in enumerate(basis.T):
        within = np.flatnonzero(spline > 0)
        part = slice(max(within[0] - 1, 0), within[-1] + 2)
        axes.plot(points[part], spline[part], color=_BASIS[i % 4], lw=1.4, clip_on=False)
    for knot in np.linspace(0, 1, knots):
        axes.plot([knot] * 2, [0, -0.04], color=INK, alpha=0.6, lw=0.8, clip_on=False)
    for x, name, ha in ((0, "start of the clip", "left"), (1, "its end", "right")):
        write(axes, x, -0.15, name, ha=ha, fontsize=8, alpha=0.75)
    write(axes, 0.5, -0.15, f"{knots} knots", ha="center", fontsize=8, alpha=0.75)
    return figure
