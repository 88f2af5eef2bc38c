"""Progress and results of a job as events, for log collectors."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from emodask.display.log_lines import log_event, reroute_library_logs
from emodask.display.pace import Pace
from emodask.display.wording import plan_line
from emodask.sources.addresses import redact

if TYPE_CHECKING:
    from distributed import Client

    from emodask.evaluation.folds import EvaluationProgress
    from emodask.extraction import ExtractSummary
    from emodask.extraction import Progress as ExtractProgress
    from emodask.memory import MemoryPlan, Workers
    from emodask.models.bundle import Bundle
    from emodask.pipeline import RunResult
    from emodask.prediction import Timeline, Verdict

EVERY = 5.0
"""Seconds between two events, or two plain lines, that say how far something is."""


class Tell(Protocol):
    """What takes events: a name, a line in words, and facts as :func:`log_event` takes them."""

    def __call__(
        self, event: str, message: str = "", *, level: int = logging.INFO, **fields: Any
    ) -> None:
        """Take an event."""


class EventReporter:
    """What :class:`emodask.display.Reporter` shows people, as one event each.

    Parameters
    ----------
    tell : callable
        Told of each event; by default it is logged.
    every : float
        Seconds between two events that say how far something is.
    """

    def __init__(self, tell: Tell = log_event, every: float = EVERY) -> None:
        self.tell = tell
        self.every = every
        self.paces: defaultdict[str, Pace] = defaultdict(Pace)
        self.last = 0.0
        self.failed = 0

    @contextmanager
    def bars(self, what: str) -> Iterator[None]:
        """Begin a stage."""
        self.paces.clear()
        self.last = 0.0
        yield

    def say(self, line: str) -> None:
        """Pass a line on."""
        self.tell("note", line)

    def warn(self, line: str) -> None:
        """Pass on what people should beware of."""
        log_event("warning", line, level=logging.WARNING)

    def serving(self, address: str) -> None:
        """Tell that a server answers, and where."""
        reroute_library_logs()
        log_event("serve.started", f"serving {address}", address=address)

    def closed(self) -> None:
        """Tell that a server has ended as it should."""
        log_event("serve.finished")

    def started(self, command: str, **facts: Any) -> None:
        """Tell that a command has begun."""
        self.tell(f"{command}.started", **facts)

    def connected(self, client: Client | None) -> None:
        """Tell where tasks run, and where they can be watched."""
        if client is None:
            self.tell("cluster.connected", scheduler="sync", workers=0)
            return
        if self.tell is log_event:
            reroute_library_logs()
        self.tell(
            "cluster.connected",
            scheduler=redact(str(getattr(client.scheduler, "address", ""))),
            workers=len(client.nthreads()),
            dashboard=redact(client.dashboard_link) if client.dashboard_link else None,
        )

    def planned(self, plan: MemoryPlan, workers: Workers) -> None:
        """Tell what memory a worker needs, part by part."""
        self.tell("memory.planned", plan_line(plan, workers), limit=workers.limit, **plan.as_dict())

    def _progress(self, event: str, done: int, total: int, **facts: Any) -> None:
        left = self.paces[event].take(done).left(total)
        now = time.monotonic()
        if done in (0, total) or now - self.last >= self.every:
            self.last = now
            self.tell(
                event,
                f"{done} of {total}",
                done=done,
                total=total,
                seconds_left=None if left is None else round(left, 1),
                **facts,
            )

    def extract(self, progress: ExtractProgress) -> None:
        """Take the news of a batch."""
        for clip, error in progress.failed:
            self.tell("clip.failed", error, level=logging.WARNING, clip=clip)
        for line in progress.trouble:
            self.tell("batch.failed", line, level=logging.WARNING)
        self.failed += len(progress.failed)
        rate = self.paces["extract.progress"].take(progress.computed).rate
        self._progress(
            "extract.progress",
            progress.computed,
            progress.to_compute,
            batches=progress.batches,
            all_batches=progress.all_batches,
            failed=self.failed,
            clips_per_second=None if rate is None else round(rate, 3),
            store=progress.counts,
        )

    def extracted(self, summary: ExtractSummary) -> None:
        """Take the end of an extraction."""
        self.tell(
            "extract.finished",
            summary.stopped,
            level=logging.ERROR if summary.stopped else logging.INFO,
            store=summary.store,
            clips=summary.total,
            done=summary.done,
            failed=summary.failed,
            incomplete=summary.incomplete,
            pending=summary.pending,
            computed=summary.computed,
            seconds=round(summary.seconds, 3),
            missing=summary.missing,
            extra_rows=summary.extra,
        )

    def folds(self, progress: EvaluationProgress) -> None:
        """Take the news of a fold, or of a block of a pass over a feature."""
        if progress.all_trials:
            folds = {"folds_done": progress.done, "folds": progress.total}
            self._progress("search.progress", progress.trials, progress.all_trials, **folds)
        elif progress.stage == "fold":
            self._progress("evaluate.fold", progress.done, progress.total)
        elif progress.done:
            self._progress(
                "evaluate.reduction", progress.done, progress.total, feature=progress.feature
            )

    def evaluated(self, metrics: dict[str, Any], report: str) -> None:
        """Take the figures of an evaluation."""
        from emodask.evaluation.results import headline
        from emodask.run_record import figures

        self.tell(
            "evaluate.finished",
            headline(metrics),
            report=redact(report),
            protocols=figures(metrics),
        )

    def fit(self) -> None:
        """Take the news that the bundle's model is being fitted."""
        self.tell("fit.started")

    def fitted(self, bundle: Bundle, where: str) -> None:
        """Take the news that the bundle is there."""
        self.tell("fit.finished", bundle=redact(where), trained_on=bundle.about["trained_on"])

    def ended(self, result: RunResult) -> None:
        """Take the end of a run."""
        if not result.stopped:
            self.tell("fit.finished", bundle=redact(result.layout.bundle))
        self.tell(
            "run.finished",
            result.stopped,
            level=logging.ERROR if result.stopped else logging.INFO,
            exit_code=result.exit_code,
            record=redact(result.layout.record),
        )

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Take what a model says of clips."""
        for verdict in verdicts:
            if verdict.error:
                self.tell("clip.failed", verdict.error, level=logging.WARNING, clip=verdict.clip)
            else:
                chances = {name: round(chance, 6) for name, chance in verdict.ranked}
                self.tell("clip.predicted", clip=verdict.clip, probabilities=chances)

    def along(self, clip: str, seconds: float) -> None:
        """Take the news of how far a recording has been judged."""
        now = time.monotonic()
        if now - self.last >= EVERY:
            self.last = now
            self.tell("timeline.progress", clip=clip, seconds=round(seconds, 1))

    def timelines(self, timelines: Sequence[Timeline]) -> None:
        """Take what a model says along recordings."""
        for timeline in timelines:
            if timeline.error:
                self.tell(
                    "timeline.failed", timeline.error, level=logging.WARNING, clip=timeline.clip
                )
                continue
            chances = {name: round(chance, 6) for name, chance in timeline.ranked}
            self.tell(
                "timeline.predicted",
                clip=timeline.clip,
                seconds=round(timeline.seconds, 3),
                windows=len(timeline.steps),
                probabilities=chances,
            )

    def synth(self, done: int, total: int) -> None:
        """Take the news of a synthetic clip."""
        self._progress("synthesise.progress", done, total)
