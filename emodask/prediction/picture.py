"""The picture of a timeline: areas of probability over time, what is most likely, the verdict."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emodask.display.wording import clock
from emodask.errors import UsageError
from emodask.prediction.recording import Step, Timeline
from emodask.sources.addresses import is_url

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "neutral": "#999999",
    "calm": "#56b4e9",
    "happy": "#f0e442",
    "sad": "#0072b2",
    "angry": "#d55e00",
    "fearful": "#cc79a7",
    "disgust": "#009e73",
    "surprised": "#e69f00",
}
"""Okabe & Ito's, which colour-blind readers can tell apart, and gray."""

_GAP: dict[str, Any] = {"facecolor": "#f4f4f4", "edgecolor": "#bbbbbb", "hatch": "///", "lw": 0}
"""What could not be judged."""

_DARK = {"sad", "angry", "disgust"}


def check_picture(file: str) -> None:
    """Refuse a place for pictures that cannot be meant, before any work.

    Raises
    ------
    UsageError
    """
    path = Path(file)
    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--picture {file}: the name must end in .png or .svg")
    if is_url(file):
        raise UsageError("--picture takes a file on this machine, no URL")
    if not path.parent.is_dir():
        raise UsageError(f"--picture {file}: there is no folder {path.parent}")


def draw_timelines(timelines: Sequence[Timeline], file: str | Path) -> list[Path]:
    """Draw a picture of each timeline that has a judged window.

    Parameters
    ----------
    timelines : sequence of Timeline
    file : str or Path
        A ``.png`` or ``.svg``; of several timelines each gets the name of its clip before the dot.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UsageError
        If a file cannot be written.
    """
    import matplotlib

    place = Path(file)
    written = []
    for timeline in timelines:
        if not timeline.judged:
            continue
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in timeline.clip)
        path = place if len(timelines) == 1 else place.with_stem(f"{place.stem}-{name}")
        try:
            with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": timeline.clip}):
                _figure(timeline).savefig(path, dpi=150)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
        written.append(path)
    return written


def _figure(timeline: Timeline) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), facecolor="white")
    FigureCanvasAgg(figure)
    areas = figure.add_axes((0.065, 0.3, 0.715, 0.56))
    strip = figure.add_axes((0.065, 0.145, 0.715, 0.09), sharex=areas)
    aside = figure.add_axes((0.795, 0.145, 0.195, 0.715))
    edges = [0.0, *itertools.accumulate(step.share for step in timeline.steps)]
    _draw_areas(areas, timeline, edges)
    _draw_strip(strip, timeline, edges)
    _draw_verdict(aside, timeline)
    figure.text(0.065, 0.925, _title(timeline), fontsize=12, weight="bold", parse_math=False)
    trust = f"Probabilities: {timeline.trust}." if timeline.trust else ""
    figure.text(0.065, 0.02, trust, fontsize=7.5, color="#444444", parse_math=False)
    return figure


def _title(timeline: Timeline) -> str:
    name = timeline.clip if len(timeline.clip) <= 40 else f"{timeline.clip[:39]}…"
    if not timeline.probabilities:
        return f"{name}: read up to {clock(timeline.seconds)}, no verdict"
    (first, p), (second, q) = timeline.ranked[:2]
    return f"{name}: {first} {p:.0%}, then {second} {q:.0%}"


def _draw_areas(axes: Axes, timeline: Timeline, edges: Sequence[float]) -> None:
    emotions = list(timeline.judged[0].probabilities)
    chances = np.array(
        [[step.probabilities.get(name, 0.0) for step in timeline.steps] for name in emotions]
    )
    held = np.concatenate([chances, chances[:, -1:]], axis=1)  # each holds until the next edge
    axes.stackplot(
        edges,
        held,
        step="post",
        colors=[COLOURS[name] for name in emotions],
        edgecolor="white",
        linewidth=0.4,
    )
    for start, stop in _gaps(timeline.steps, edges):
        axes.axvspan(start, stop, **_GAP)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"], fontsize=8)
    axes.set_ylabel("probability, percent", fontsize=8)
    axes.tick_params(axis="x", labelbottom=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_strip(axes: Axes, timeline: Timeline, edges: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    place = 0
    for name, group in itertools.groupby(timeline.steps, _most_likely):
        count = len(list(group))
        start, stop = edges[place], edges[place + count]
        place += count
        face = {"facecolor": COLOURS[name], "edgecolor": "white", "lw": 0.4} if name else _GAP
        axes.axvspan(start, stop, **face)
        # A letter takes about a hundredth of the width.
        if name and (stop - start) / edges[-1] > 0.01 * (len(name) + 1):
            colour = "white" if name in _DARK else "black"
            middle = (start + stop) / 2
            axes.text(middle, 0.47, name, ha="center", va="center", fontsize=8, color=colour)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5], ["most\nlikely"], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=_nice_steps(edges[-1])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(x, edges[-1])))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(
        f"time ({'minutes:seconds' if edges[-1] >= 60 else 'seconds'}); windows of "
        f"{timeline.window:g} s around each moment",
        fontsize=8,
    )


def _nice_steps(seconds: float) -> list[float]:
    return [1, 1.5, 2, 3, 6, 10] if seconds >= 60 else [1, 2, 5, 10]


def _tick(seconds: float, length: float) -> str:
    return clock(seconds) if length >= 60 else f"{seconds:g}"


def _draw_verdict(axes: Axes, timeline: Timeline) -> None:
    """The legend: emotions by how likely the whole is to show them, with their share of time."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    chances = timeline.probabilities
    shares = timeline.time_shares
    for x, heading in ((0.72, "whole"), (0.98, "of time")):
        axes.text(x, 0.97, heading, ha="right", va="center", fontsize=8, color="#444444")
    order = sorted(shares, key=lambda name: -(chances or shares)[name])
    for row, name in enumerate(order):
        y = 0.87 - 0.1 * row
        axes.add_patch(_square(0.02, y - 0.03, 0.09, 0.06, COLOURS[name]))
        weight = "bold" if row == 0 and chances else "normal"
        style: dict[str, Any] = {"va": "center", "fontsize": 9, "weight": weight}
        axes.text(0.15, y, name, **style)
        axes.text(0.72, y, f"{chances[name]:.0%}" if chances else "–", ha="right", **style)
        axes.text(0.98, y, f"{shares[name]:.0%}", ha="right", **style)
    if timeline.unjudged:
        y = 0.87 - 0.1 * len(order)
        axes.text(0.15, y, f"not judged: {timeline.unjudged:.1f} s", va="center", fontsize=8)


def _square(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=colour, edgecolor="none")


def _most_likely(step: Step) -> str:
    return step.ranked[0][0] if step.probabilities else ""


def _gaps(steps: Sequence[Step], edges: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Stretches that could not be judged."""
    for step, (start, stop) in zip(steps, itertools.pairwise(edges), strict=True):
        if not step.probabilities:
            yield start, stop
