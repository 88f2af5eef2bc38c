"""Comparisons and leaderboards as lines and tables for terminals, 80 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emodask.evaluation.findings import p_text, points, points_interval
from emodask.evaluation.results import percent

if TYPE_CHECKING:
    from rich.console import Console

    from emodask.evaluation.compare import Change, Comparison

_PLAIN: dict[str, Any] = {"markup": False, "soft_wrap": False}


def show_comparison(console: Console, found: Comparison) -> None:
    """Print both runs' scores, their differences, and what they mean."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    leaky = "" if found.speaker_independent else " (leaky)"
    console.print(f"A  {found.run_a}, {found.model_a}", **_PLAIN)
    console.print(f"B  {found.run_b}, {found.model_b}", **_PLAIN)
    console.print(
        f"{found.n_clips} clips of {found.n_actors} actors, protocol {found.protocol}{leaky}",
        **_PLAIN,
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("percent", no_wrap=True)
    for heading in ("A", "B", "B - A"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)

    def add(name: str, change: Change, style: str = "") -> None:
        cells = (
            name,
            percent(change.a),
            percent(change.b),
            points(change.difference),
            points_interval(change.ci95),
        )
        table.add_row(*(Text(cell) for cell in cells), style=style)

    add("UAR", found.uar, "bold")
    add("accuracy", found.accuracy)
    table.add_section()
    for name, change in found.recall.items():
        add(f"recall, {name}", change)
    console.print(table)
    test = found.mcnemar
    console.print(
        f"clips: both right {test.both}, only A {test.only_a}, only B {test.only_b}, neither "
        f"{test.neither}; McNemar's exact test, clips taken for independent: p "
        f"{_equals(p_text(test.p_value))}",
        **_PLAIN,
    )
    for note in found.notes:
        console.print(f"note: {note}", **_PLAIN)
    console.print(verdict(found), **_PLAIN)


def verdict(found: Comparison) -> str:
    """Say in a sentence whether B is better than A.

    The interval over actors decides: McNemar's test takes the clips of one actor for independent.
    """
    change = found.uar
    if change.difference is None or change.ci95 is None:
        return "Too few actors to say which is better on other people."
    low, high = change.ci95
    amount = points(abs(change.difference)).lstrip("+")
    within = f"(95 % interval of B - A {points_interval(change.ci95)})"
    if low <= 0 <= high:
        return (
            f"No difference that would surely hold with other actors: UAR {within} includes zero."
        )
    better, worse = ("B", "A") if change.difference > 0 else ("A", "B")
    sentence = f"{better} recognises {amount} points of UAR more than {worse} {within}."
    if not found.speaker_independent:
        sentence += " The protocol is leaky: it says nothing about new people."
    return sentence


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"
