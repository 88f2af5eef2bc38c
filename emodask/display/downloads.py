"""A download as a terminal shows it: its plan, a bar for each file in flight, its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from emodask.display.wording import clock, plural
from emodask.sources.download import RAVDESS, size_text

if TYPE_CHECKING:
    from emodask.sources.download import DownloadPlan, DownloadSummary, FileNews

LICENCE = (
    "RAVDESS is CC BY-NC-SA 4.0: no commercial use, share alike, and cite Livingstone SR, Russo FA "
    "(2018) The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
    "PLoS ONE 13(5): e0196391."
)
_EVERY = 10.0
"""Seconds between lines where there are no bars."""


def show_plan(console: Console, plan: DownloadPlan) -> None:
    """Print every wanted file, its size, and whether it is there."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("file", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for planned in plan.files:
        state = f"{size_text(planned.present)} here" if planned.state == "part" else planned.state
        table.add_row(escape(planned.file.name), size_text(planned.file.size), state)
    console.print(table)
    console.print(plan_line(plan), markup=False, soft_wrap=True)


def plan_line(plan: DownloadPlan) -> str:
    """What is to be fetched to where, and what fits there."""
    there = len(plan.files) - len(plan.to_fetch)
    free = "" if plan.free is None else f"; {size_text(plan.free)} free"
    already = f" ({plural(there, 'file')} already there)" if there else ""
    count = plural(len(plan.to_fetch), "file")
    return f"{size_text(plan.missing)} in {count} to {plan.dest}{already}{free}."


def show_download(console: Console, summary: DownloadSummary, record: str) -> None:
    """Print how a download ended, and under which licence its files are."""
    for name, why in summary.failed:
        console.print(f"[red]failed[/red] {escape(name)}: {escape(why)}", soft_wrap=True)
    parts = [f"{plural(len(summary.fetched), 'file')} fetched, MD5 right"]
    if summary.there:
        parts.append(f"{len(summary.there)} there before")
    if summary.failed:
        parts.append(f"{len(summary.failed)} failed; run the same command to try again")
    console.print(", ".join(parts))
    if record == RAVDESS:
        console.print(LICENCE, markup=False)


class DownloadReporter:
    """Progress of a download: live bars in a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._there: dict[str, int] = {}
        self._total = 0
        self._files = 0
        self._done = 0
        self._brought = 0
        self._began = self._last_line = time.monotonic()

    @contextmanager
    def bars(self, plan: DownloadPlan) -> Iterator[None]:
        """Show progress while the files of a plan are fetched."""
        self._total = sum(planned.file.size for planned in plan.to_fetch)
        self._files = len(plan.to_fetch)
        self._there = {planned.file.name: planned.present for planned in plan.to_fetch}
        self._began = self._last_line = time.monotonic()
        if not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self._console, transient=True) as self._bars:
            self._tasks[""] = self._bars.add_task(
                f"all of {plural(self._files, 'file')}",
                total=self._total,
                completed=sum(self._there.values()),
            )
            try:
                yield
            finally:
                self._bars = None

    def news(self, news: FileNews) -> None:
        """Take the news of a file."""
        self._brought += max(0, news.there - self._there.get(news.name, news.there))
        if news.name in self._there and news.what != "failed":
            self._there[news.name] = news.there
        if news.what in ("waiting", "again"):
            self._say(f"{news.name}: {news.note}")
        elif news.what == "done":
            self._done += 1
            self._say(f"{news.name}: {size_text(news.size)}, MD5 right")
        elif news.what == "failed":
            self._say(f"{news.name}: failed, {news.note}")
        if self._bars is not None:
            self._draw(self._bars, news)
        elif news.what == "bytes" and time.monotonic() - self._last_line >= _EVERY:
            self._line()

    def _draw(self, bars: Progress, news: FileNews) -> None:
        if news.what == "begun":
            self._tasks[news.name] = bars.add_task(news.name, total=news.size, completed=news.there)
        elif news.name in self._tasks:
            bars.update(self._tasks[news.name], completed=news.there)
        if news.what in ("done", "failed") and news.name in self._tasks:
            bars.remove_task(self._tasks.pop(news.name))
        bars.update(self._tasks[""], completed=sum(self._there.values()))

    def _line(self) -> None:
        self._last_line = time.monotonic()
        there = sum(self._there.values())
        rate = self._brought / max(self._last_line - self._began, 1e-9)
        left = f", {clock((self._total - there) / rate)} left" if rate else ""
        self._say(
            f"download: {size_text(there)} of {size_text(self._total)}, "
            f"{self._done}/{self._files} files, {size_text(round(rate))}/s{left}"
        )

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
