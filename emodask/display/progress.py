"""Progress of a job: a live bar in a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)

if TYPE_CHECKING:
    from emodask.evaluation.evaluate import FoldsDone
    from emodask.extraction import Progress as ExtractProgress

from emodask.display.wording import clock


class Reporter:
    """Progress of a job: a live bar in a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()
        self.last_line = 0.0
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.failed = 0

    @contextmanager
    def bars(self, what: str) -> Iterator[None]:
        """Show progress for the time of one stage."""
        self.began = time.monotonic()
        self.last_line = 0.0
        if not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as self.bar:
            self.task = self.bar.add_task(what, total=None, note="")
            try:
                yield
            finally:
                self.bar = None

    def _advance(self, what: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        elapsed = now - self.began
        left = f"{clock(elapsed / done * (total - done))} left" if 0 < done < total else ""
        aside = ", ".join(part for part in (note, left) if part)
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, description=what, completed=done, total=total, note=aside)
        elif done in (0, total) or now - self.last_line >= 5:
            self.last_line = now
            count = f": {done}/{total}" if total > 1 else ""
            self.console.print(f"{what}{count}{', ' if aside else ''}{aside}", markup=False)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, markup=False, soft_wrap=True)

    def extract(self, progress: ExtractProgress) -> None:
        """Take the news of a batch."""
        self.failed += len(progress.failed)
        for clip, error in progress.failed:
            self.console.print(
                f"[red]failed[/red] {escape(clip)}: {escape(error)}", highlight=False
            )
        for line in progress.trouble:
            self.console.print(f"[red]trouble[/red] {escape(line)}", highlight=False)
        already = progress.total - progress.to_compute
        if progress.computed == 0 and already:
            self.console.print(
                f"{already} of {progress.total} clips are already in the store; "
                f"{progress.to_compute} to do"
            )
        if not progress.to_compute:
            return
        elapsed = time.monotonic() - self.began
        rate = f"{progress.computed / elapsed:.1f} clips/s" if progress.computed else "starting"
        note = f"{rate}, {self.failed} failed" if self.failed else rate
        self._advance("extract", progress.computed, progress.to_compute, note)

    def folds(self, progress: FoldsDone) -> None:
        """Take the news of a fold."""
        if progress.done == 0:
            self.began = time.monotonic()
        if progress.total:
            self._advance("evaluate folds", progress.done, progress.total, "")

    def fit(self) -> None:
        """Take the news that the bundle's model is being fitted."""
        self._advance("fit the bundle on all clips", 0, 1, "")

    def synth(self, done: int, total: int) -> None:
        """Take the news of a synthetic clip."""
        self._advance("synthesise", done, total, "")
