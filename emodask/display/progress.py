"""Progress of a job: a live bar in a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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

from emodask.display.events import EVERY
from emodask.display.pace import Pace
from emodask.display.tables import (
    show_bundle,
    show_evaluation,
    show_run,
    show_summary,
    show_verdicts,
)
from emodask.display.timelines import show_timelines
from emodask.display.wording import clock, plan_line

if TYPE_CHECKING:
    from distributed import Client

    from emodask.evaluation.folds import EvaluationProgress
    from emodask.extraction import ExtractSummary
    from emodask.extraction import Progress as ExtractProgress
    from emodask.memory import MemoryPlan, Workers
    from emodask.models.bundle import Bundle
    from emodask.pipeline import RunResult
    from emodask.prediction import Timeline, Verdict


class Reporter:
    """Progress of a job: a live bar in a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()
        self.paces: defaultdict[str, Pace] = defaultdict(Pace)
        self.last_line = 0.0
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.failed = 0

    @contextmanager
    def bars(self, what: str) -> Iterator[None]:
        """Show progress for the time of one stage."""
        self.began = time.monotonic()
        self.paces.clear()
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

    def _advance(self, what: str, done: int, total: int, note: str, *, ends: bool = True) -> None:
        now = time.monotonic()
        seconds = self.paces[what].take(done).left(total)
        left = "" if seconds is None else f"{clock(seconds)} left"
        aside = ", ".join(part for part in (note, left) if part)
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, description=what, completed=done, total=total, note=aside)
        elif (ends and done in (0, total)) or now - self.last_line >= EVERY:
            self.last_line = now
            count = f": {done}/{total}" if total > 1 else ""
            self.console.print(f"{what}{count}{', ' if aside else ''}{aside}", markup=False)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, markup=False, soft_wrap=True)

    def warn(self, line: str) -> None:
        """Print what people should beware of."""
        self.say(f"warning: {line}")

    def serving(self, address: str) -> None:
        """Print that a server answers, and where."""
        self.say(f"serving {address} (Ctrl-C ends it)")

    def closed(self) -> None:
        """Print that a server has ended as it should."""
        self.say("closed")

    def started(self, command: str, **facts: Any) -> None:
        """Take the news that a command has begun: people know, they have just typed it."""

    def connected(self, client: Client | None) -> None:
        """Take where tasks run: lines about it have been printed as it was found."""

    def planned(self, plan: MemoryPlan, workers: Workers) -> None:
        """Print what memory a worker needs."""
        self.console.print(plan_line(plan, workers), markup=False, highlight=False)

    def extract(self, progress: ExtractProgress) -> None:
        """Take the news of a batch."""
        self.failed += len(progress.failed)
        for clip, error in progress.failed:
            self.console.print(
                f"[red]failed[/red] {escape(clip)}: {escape(error)}", highlight=False
            )
        for line in progress.trouble:
            self.console.print(f"[red]trouble[/red] {escape(line)}", soft_wrap=True)
        already = progress.total - progress.to_compute
        if progress.computed == 0 and already:
            self.console.print(
                f"{already} of {progress.total} clips are already in the store; "
                f"{progress.to_compute} to do"
            )
        if not progress.to_compute:
            return
        pace = self.paces["extract"].take(progress.computed)
        rate = "starting" if pace.rate is None else f"{pace.rate:.1f} clips/s"
        note = f"{rate}, {self.failed} failed" if self.failed else rate
        self._advance("extract", progress.computed, progress.to_compute, note)

    def folds(self, progress: EvaluationProgress) -> None:
        """Take the news of a fold, or of a block of a pass over a feature."""
        if progress.all_trials:
            # One fold may search for hours: its trials say how far it is, and how long it takes.
            note = f"{progress.done} of {progress.total} folds" if progress.total > 1 else ""
            self._advance("search parameters", progress.trials, progress.all_trials, note)
        elif progress.stage == "fold" and progress.total:
            self._advance("evaluate folds", progress.done, progress.total, "")
        elif progress.total > 1 and progress.done:
            # One of several passes: where each takes moments, a line for each says nothing.
            what = f"pass over {progress.feature}"
            self._advance(what, progress.done, progress.total, "", ends=False)

    def extracted(self, summary: ExtractSummary) -> None:
        """Print the end of an extraction."""
        show_summary(self.console, summary)

    def evaluated(self, metrics: dict[str, Any], report: str) -> None:
        """Print the figures of an evaluation, unless they go to standard output as JSON."""
        if not self.console.stderr:
            show_evaluation(self.console, metrics, report)

    def fitted(self, bundle: Bundle, where: str) -> None:
        """Print what a bundle was trained on."""
        show_bundle(self.console, bundle, where)

    def ended(self, result: RunResult) -> None:
        """Print the end of a run."""
        show_run(self.console, result)

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Print what a model says of clips."""
        show_verdicts(self.console, verdicts)

    def along(self, clip: str, seconds: float) -> None:
        """Take the news of how far a recording has been judged."""
        if self.bar is not None and self.task is not None:
            note = "seconds judged"
            self.bar.update(self.task, description=escape(clip), completed=seconds // 1, note=note)
        elif time.monotonic() - self.last_line >= EVERY and time.monotonic() - self.began >= EVERY:
            self.last_line = time.monotonic()
            self.say(f"{clip}: {clock(seconds)} judged")

    def timelines(self, timelines: Sequence[Timeline]) -> None:
        """Print what a model says along recordings."""
        show_timelines(self.console, timelines)

    def fit(self) -> None:
        """Take the news that the bundle's model is being fitted."""
        self._advance("fit the bundle on all clips", 0, 1, "")

    def synth(self, done: int, total: int) -> None:
        """Take the news of a synthetic clip."""
        self._advance("synthesise", done, total, "")
