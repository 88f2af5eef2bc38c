"""Comparisons and leaderboards as lines and tables for terminals, 80 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emodask.evaluation.findings import p_text, points, points_interval
from emodask.evaluation.results import interval_text, percent
from emodask.sources.addresses import redact

if TYPE_CHECKING:
    from rich.console import Console

    from emodask.evaluation.compare import Change, Comparison
    from emodask.evaluation.pages.leaderboard import Leaderboard

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


def show_leaderboard(console: Console, board: Leaderboard, page: str | None) -> None:
    """Print as many protocols as fit beside the systems, and name the others."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    room = max(console.width, 60) - 46
    shown: list[tuple[str, str]] = []
    unseen: list[str] = []
    for name, independent in board.protocols[1:]:
        heading = name.replace("-", "-\n", 1) + ("" if independent else "\n(leaky)")
        width = max(4, *map(len, heading.split("\n"))) + 2
        if width > room:
            unseen.append(name)
            continue
        shown.append((name, heading))
        room -= width
    caption = "percent; UAR with its 95 % interval over actors; * speaker-adapted"
    if unseen:
        caption += f"; on the page too: {', '.join(unseen)}"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("run: model", overflow="fold", min_width=16)
    first = board.protocols[0]
    leaky = "" if first[1] else " (leaky)"
    table.add_column(Text(f"{first[0]}{leaky}"), justify="right", no_wrap=True)
    for _, heading in shown:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for rank, entry in enumerate(board.entries, start=1):
        row = entry.scores.get(first[0])
        interval = f" [{interval_text(row.uar_ci95)}]" if row and row.uar_ci95 else ""
        mark = {"speaker-adapted": "*", "control": " (control)"}.get(entry.kind, "")
        cells = [
            str(rank),
            f"{entry.run}: {entry.model}{mark}",
            (percent(row.uar) if row else "–") + interval,
        ]
        for name, _ in shown:
            other = entry.scores.get(name)
            cells.append(percent(other.uar) if other else "–")
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    console.print(caption, **_PLAIN)
    if board.mixed:
        console.print(
            "note: not all rows were tested on the same clips, actors and emotions; the page says "
            "which",
            **_PLAIN,
        )
    for _, why in board.skipped:
        console.print(f"left out: {why}", **_PLAIN)
    console.print(board.headline, **_PLAIN)
    if page is not None:
        console.print(f"page: {redact(page)}", markup=False, soft_wrap=True)
