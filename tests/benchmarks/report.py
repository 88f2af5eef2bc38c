"""How a benchmark ends: tables within 80 columns, targets, JSON, Markdown."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Neighbours, machine, pin

WIDTH = 80


@dataclass(frozen=True)
class Table:
    """Rows of text below a title; the first column is what is measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def text(self) -> str:
        """For a terminal."""
        cells = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [
            row[0].ljust(widths[0])
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in cells
        ]
        rule = "-" * max(map(len, lines))
        note = [textwrap.fill(self.note, WIDTH)] if self.note else []
        return "\n".join([self.title, rule, lines[0], rule, *lines[1:], rule, *note])

    def markdown(self) -> str:
        """For the README."""
        bars = [f"| {' | '.join(row)} |" for row in (self.columns, *self.rows)]
        bars.insert(1, f"|---|{'---:|' * (len(self.columns) - 1)}")
        note = ["", self.note] if self.note else []
        return "\n".join([f"### {self.title}", "", *bars, *note])


@dataclass(frozen=True)
class Target:
    """A ratio and what it should be, measured in one run."""

    what: str
    measured: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def row(self) -> tuple[str, ...]:
        """As a row of a table."""
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.met else "missed"
        return (self.what, f"{sign} {self.limit:g}", f"{self.measured:.3g}", verdict)


@dataclass(frozen=True)
class Report:
    """What a benchmark has found."""

    tables: tuple[Table, ...]
    targets: tuple[Target, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)

    def every_table(self) -> tuple[Table, ...]:
        """The tables, and the targets as one."""
        if not self.targets:
            return self.tables
        rows = tuple(target.row() for target in self.targets)
        return (*self.tables, Table("Targets", ("", "target", "measured", ""), rows))


def described(found: dict[str, Any]) -> str:
    """The machine in a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    others = found.get("others_used")
    busy = "" if others is None else f"; meanwhile others used {others:.0%} of its cores"
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gb']} GB, {found['system']}, "
        f"Python {found['python']}, {packages}; load average {found['load_average']}{busy}"
    )


def main(
    name: str,
    summary: str,
    measure: Callable[[argparse.Namespace], Report],
    options: Callable[[argparse.ArgumentParser], None],
    measure_memory: Callable[[argparse.Namespace], None] | None = None,
) -> None:
    """Parse, pin threads, measure, print, and write JSON if asked to.

    Parameters
    ----------
    name : str
        The benchmark's, such as ``extract``.
    summary : str
        What ``--help`` says.
    measure : callable
    options : callable
        Adds the benchmark's own options.
    measure_memory : callable, optional
        What to do in a process that measures the memory of a row, ``--memory-of``.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.bench_{name}")
    parser.description = summary.splitlines()[0]
    options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    chosen = parser.parse_args()
    pin()
    if measure_memory and chosen.memory_of:
        measure_memory(chosen)
        return
    about = machine()
    with Neighbours() as neighbours:
        report = measure(chosen)
    about["others_used"] = neighbours.share
    print(textwrap.fill(described(about), WIDTH), end="\n\n")
    print("\n\n".join(table.text() for table in report.every_table()))
    if chosen.json:
        targets = [{**asdict(target), "met": target.met} for target in report.targets]
        found = {
            "benchmark": name,
            "machine": about,
            "figures": report.figures,
            "targets": targets,
            "tables": [asdict(table) for table in report.every_table()],
        }
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
