"""How pictures of pages are drawn: SVG in the page's own colours, its bars and its marks."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's text colour: written as ``currentColor``, so dark pages stay legible."""
SHADE = "#1c6cb0"

BAR: dict[str, Any] = {"facecolor": SHADE, "alpha": 0.75, "edgecolor": "none"}
MARK: dict[str, Any] = {
    "color": "#d55e00",
    "marker": "D",
    "markersize": 5.5,
    "markeredgewidth": 0,
    "linestyle": "none",
    "clip_on": False,
}
"""Okabe & Ito's vermilion: apart from :data:`SHADE` for colour-blind readers, and in shape."""


def new_figure(width: float, height: float) -> Figure:
    """Make a transparent figure of its own, in inches, outside pyplot's global state."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="none")
    FigureCanvasSVG(figure)
    return figure


def write(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Put text at data coordinates, never read as mathematics."""
    settings = {"color": INK, "fontsize": 10, "va": "center", "parse_math": False, **style}
    axes.text(x, y, text, **settings)


def box(axes: Axes, x: float, y: float, width: float, height: float, **style: Any) -> None:
    """Draw a rectangle from its lower corner in data coordinates."""
    from matplotlib.patches import Rectangle

    axes.add_artist(Rectangle((x, y), width, height, clip_on=False, **style))


def rule_percents(axes: Axes, left: float, right: float, gap: float) -> None:
    """Draw faint lines across at each quarter of 1, with their percentages ``gap`` left of them."""
    for share in (0, 0.25, 0.5, 0.75, 1):
        axes.plot([left, right], [share] * 2, color=INK, alpha=0.15, lw=0.8, clip_on=False)
        write(axes, left - gap, share, f"{100 * share:.0f}", ha="right", fontsize=8, alpha=0.75)


def svg(figure: Figure, title: str) -> str:
    """Render to an SVG element for inline use: own ids, the page's ink and font, an ARIA name."""
    import matplotlib

    buffer = io.BytesIO()
    # Text stays text: it is small, searchable, and takes the page's font. Ids hash the title, so
    # figures on one page do not share them.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawing = buffer.getvalue().decode("utf-8")
    drawing = drawing[drawing.index("<svg") :]
    global_parts = r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
    drawing = re.sub(global_parts, "", drawing, flags=re.DOTALL)
    drawing = re.sub(r' id="[^"]*_\d+"', "", drawing).replace(INK, "currentColor")
    drawing = re.sub(r' (width|height)="[\d.]+pt"', "", drawing, count=2)
    name = html.escape(title)
    return drawing.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)
