"""Timelines as tables for terminals, 80 columns wide."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emodask.display.wording import clock, plural

if TYPE_CHECKING:
    from rich.console import Console

    from emodask.prediction import Step, Timeline

_MOST_STEPS = 120
"""A longer timeline is shown as stretches of one emotion."""
_PLAIN: dict[str, Any] = {"markup": False, "soft_wrap": True}


def show_timelines(console: Console, timelines: Sequence[Timeline]) -> None:
    """Print the two most likely emotions of each window, and the verdict on each recording."""
    for timeline in timelines:
        _show(console, timeline)
    basis = dict.fromkeys(str(timeline.trust) for timeline in timelines if timeline.trust)
    for trust in basis:
        console.print(
            f"probabilities: {trust}. Windows cut anywhere are harder than the clips that a "
            "bundle is fitted on.",
            markup=False,
        )


def _show(console: Console, timeline: Timeline) -> None:
    from rich.table import Table
    from rich.text import Text

    if not timeline.steps:
        console.print(f"{timeline.clip}: {timeline.error}", **_PLAIN)
        return
    console.print(
        f"{timeline.clip}: {clock(timeline.seconds)}, {plural(len(timeline.steps), 'window')} of "
        f"{timeline.window:g} s, a step of {_step_words(timeline.step)}",
        **_PLAIN,
    )
    if timeline.judged:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("from", "to", "most likely", "", "then", ""):
            number = not heading or heading in ("from", "to")
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
        long = len(timeline.steps) > _MOST_STEPS
        for row in _stretches(timeline) if long else map(_row, timeline.steps):
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        if long:
            console.print(
                "stretches of one most likely emotion, with means; --csv and --json list every "
                "window",
                markup=False,
            )
    if timeline.probabilities:
        (first, p), (second, q) = timeline.ranked[:2]
        console.print(
            f"verdict: [bold]{first}[/bold] {p:.1%}, then {second} {q:.1%} (mean over time)"
        )
        shares = sorted(timeline.time_shares.items(), key=lambda item: -item[1])
        console.print(
            "share of time: " + ", ".join(f"{name} {share:.0%}" for name, share in shares if share)
        )
    if timeline.judged and timeline.unjudged:
        console.print(f"not judged: {timeline.unjudged:.1f} s", markup=False)
    if timeline.error:
        console.print(f"{timeline.clip}: {timeline.error}", **_PLAIN)


def _step_words(step: str) -> str:
    return f"{step[:-1]} frames" if step.endswith("f") else f"{step} s"


def _moment(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{clock(tenths // 10)}.{tenths % 10}"


def _row(step: Step) -> tuple[str, ...]:
    span = (_moment(step.start), _moment(step.end))
    if not step.probabilities:
        return (*span, step.reason.partition(":")[0], "", "", "")
    (first, p), (second, q) = step.ranked[:2]
    return (*span, first, f"{p:.1%}", second, f"{q:.1%}")


def _stretches(timeline: Timeline) -> list[tuple[str, ...]]:
    """Rows of neighbouring steps with one most likely emotion, each by its share of time."""

    def verdict(step: Step) -> str:
        return step.ranked[0][0] if step.probabilities else step.reason.partition(":")[0]

    rows: list[tuple[str, ...]] = []
    start = 0.0
    for name, group in itertools.groupby(timeline.steps, verdict):
        steps = list(group)
        seconds = sum(step.share for step in steps)
        span = (_moment(start), _moment(start + seconds))
        start += seconds
        if not steps[0].probabilities:
            rows.append((*span, name, "", "", ""))
            continue
        mean = {
            emotion: sum(s.probabilities[emotion] * s.share for s in steps) / seconds
            for emotion in steps[0].probabilities
        }
        second, q = max(
            ((emotion, p) for emotion, p in mean.items() if emotion != name),
            key=lambda item: item[1],
        )
        rows.append((*span, name, f"{mean[name]:.1%}", second, f"{q:.1%}"))
    return rows
