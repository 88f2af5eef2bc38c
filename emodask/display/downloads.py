"""A download as a terminal shows it, and as events: its plan, files in flight, its end."""

from __future__ import annotations

import logging
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

from emodask.display.events import EVERY
from emodask.display.log_lines import log_event
from emodask.display.wording import clock, plural
from emodask.sources.download import RAVDESS, size_text

if TYPE_CHECKING:
    from emodask.sources.download import DownloadPlan, DownloadSummary, FileNews

LICENCE = (
    "RAVDESS is CC BY-NC-SA 4.0: no commercial use, share alike, and cite Livingstone SR, Russo FA "
    "(2018) The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
    "PLoS ONE 13(5): e0196391."
)


def _table(plan: DownloadPlan) -> Table:
    """Every wanted file, its size, and whether it is there."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("file", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for planned in plan.files:
        state = f"{size_text(planned.present)} here" if planned.state == "part" else planned.state
        table.add_row(escape(planned.file.name), size_text(planned.file.size), state)
    return table


def _sum(plan: DownloadPlan) -> str:
    """What is to be fetched to where, and what is free there."""
    if not plan.to_fetch:
        return f"nothing to fetch: {plural(len(plan.files), 'file')} in {plan.dest}"
    there = len(plan.files) - len(plan.to_fetch)
    free = "" if plan.free is None else f"; {size_text(plan.free)} free"
    already = f" ({plural(there, 'file')} already there)" if there else ""
    count = plural(len(plan.to_fetch), "file")
    return f"{size_text(plan.missing)} in {count} to {plan.dest}{already}{free}"


def _left_by(plan: DownloadPlan) -> str:
    kept = "partial files (.part) are kept" if plan.place.resumes else "uploads are withdrawn"
    return f"whole files stay in {plan.dest}; {kept}"


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
    def looking(self) -> Iterator[None]:
        """Show that the record is asked for, and what is there already is checked."""
        with self._console.status("asking Zenodo, and checking what is here"):
            yield

    def planned(self, plan: DownloadPlan, every_file: bool) -> None:
        """Show what is to be done."""
        if every_file:
            self._console.print(_table(plan))
        self._say(_sum(plan))

    def interrupted(self, plan: DownloadPlan) -> None:
        """Say what is left after Ctrl-C."""
        self._say(_left_by(plan))

    def ended(self, summary: DownloadSummary, record: str) -> None:
        """Say how it ended, and under which licence the files are."""
        for name, why in summary.failed:
            self._console.print(f"[red]failed[/red] {escape(name)}: {escape(why)}", soft_wrap=True)
        fetched, there, failed = map(len, (summary.fetched, summary.there, summary.failed))
        parts = [f"{plural(fetched, 'file')} fetched, MD5 right"] if fetched else []
        if there:
            parts.append(f"{plural(there, 'file')} there before, MD5 right")
        if failed:
            parts.append(f"{plural(failed, 'file')} failed: run the same command to try again")
        self._say("; ".join(parts))
        if record == RAVDESS:
            self._console.print(LICENCE, markup=False)

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
        elif news.what == "bytes" and time.monotonic() - self._last_line >= EVERY:
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


class DownloadEvents:
    """What :class:`DownloadReporter` shows people, as one event each."""

    def __init__(self) -> None:
        self._there: dict[str, int] = {}
        self._total = 0
        self._last = time.monotonic()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Nothing is known yet."""
        yield

    def planned(self, plan: DownloadPlan, every_file: bool) -> None:
        """Take what is to be done."""
        files = [
            {"name": planned.file.name, "size": planned.file.size, "state": planned.state}
            for planned in plan.files
        ]
        log_event(
            "download.planned",
            _sum(plan),
            dest=plan.dest,
            missing=plan.missing,
            free=plan.free,
            files=files,
        )

    @contextmanager
    def bars(self, plan: DownloadPlan) -> Iterator[None]:
        """Begin to fetch the files of a plan."""
        self._there = {planned.file.name: planned.present for planned in plan.to_fetch}
        self._total = sum(planned.file.size for planned in plan.to_fetch)
        yield

    def news(self, news: FileNews) -> None:
        """Take the news of a file."""
        if news.what == "done":
            log_event("file.done", file=news.name, size=news.size)
        elif news.what == "failed":
            log_event("file.failed", news.note, level=logging.WARNING, file=news.name)
        elif news.what in ("waiting", "again"):
            log_event(f"file.{news.what}", news.note, level=logging.WARNING, file=news.name)
        if news.name not in self._there or news.what == "failed":
            return
        self._there[news.name] = news.there
        if time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            done = sum(self._there.values())
            log_event("download.progress", f"{done} of {self._total}", done=done, total=self._total)

    def interrupted(self, plan: DownloadPlan) -> None:
        """Tell what is left after Ctrl-C."""
        log_event("note", _left_by(plan))

    def ended(self, summary: DownloadSummary, record: str) -> None:
        """Take the end of a download."""
        log_event(
            "download.finished",
            LICENCE if record == RAVDESS else "",
            level=logging.WARNING if summary.failed else logging.INFO,
            fetched=summary.fetched,
            there=summary.there,
            failed=dict(summary.failed),
        )
