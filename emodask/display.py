"""What people see in a terminal: tables, progress, and plain lines where there is none."""

from __future__ import annotations

import time
from collections import Counter
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
from rich.table import Table

from emodask.emotions import EMOTIONS, emotion_name
from emodask.sources.location import redact
from emodask.sources.names import MODALITIES

if TYPE_CHECKING:
    from pathlib import Path

    from emodask.evaluation.evaluate import FoldsDone
    from emodask.extraction import ExtractSummary
    from emodask.extraction import Progress as ExtractProgress
    from emodask.job import Job
    from emodask.models.bundle import Bundle
    from emodask.pipeline import RunResult
    from emodask.prediction import Verdict
    from emodask.sources.catalogue import Catalogue
    from emodask.store import Verification

_SHOWN = 10
_PLAIN: dict[str, Any] = {"markup": False, "soft_wrap": True}
"""For lines with names and paths in them: nothing in those is markup, and none is cut."""


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
        left = f"{_clock(elapsed / done * (total - done))} left" if 0 < done < total else ""
        aside = ", ".join(part for part in (note, left) if part)
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, description=what, completed=done, total=total, note=aside)
        elif done in (0, total) or now - self.last_line >= 5:
            self.last_line = now
            count = f": {done}/{total}" if total > 1 else ""
            self.console.print(f"{what}{count}{', ' if aside else ''}{aside}", markup=False)

    def extract(self, progress: ExtractProgress) -> None:
        """Take the news of a batch."""
        self.failed += len(progress.failed)
        for clip, error in progress.failed:
            self.console.print(
                f"[red]failed[/red] {escape(clip)}: {escape(error)}", highlight=False
            )
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


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def show_catalogue(console: Console, catalogue: Catalogue) -> None:
    """Print what sources hold: clips by actor and emotion, files, problems."""
    if catalogue.clips:
        console.print(_clip_table(catalogue))
    media = Counter(part.kind for clip in catalogue.clips for part in clip.media)
    console.print(
        f"{_plural(len(catalogue), 'clip')} of {_plural(len(catalogue.actors), 'actor')}; files: "
        + (", ".join(f"{count} {kind}" for kind, count in sorted(media.items())) or "none")
    )
    for modality in MODALITIES:
        without = [clip for clip in catalogue.clips if clip.media_for(modality) is None]
        if without:
            names = ", ".join(clip.clip_id for clip in without[:3])
            more = ", ..." if len(without) > 3 else ""
            console.print(
                f"no {modality}: {_plural(len(without), 'clip')} ({names}{more})", markup=False
            )
    for what in ("unreadable", "rejected", "duplicate", "identical"):
        found = [problem for problem in catalogue.problems if problem.what == what]
        for problem in found[:_SHOWN]:
            console.print(
                f"{what}: {problem.where}: {problem.reason}", markup=False, soft_wrap=True
            )
        if len(found) > _SHOWN:
            console.print(f"{what}: and {len(found) - _SHOWN} more; --json lists all")


def _clip_table(catalogue: Catalogue) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("actor", justify="right")
    present = sorted({clip.emotion for clip in catalogue.clips})
    for code in present:
        table.add_column(emotion_name(code), justify="right")
    for heading in ("clips", "video", "audio"):
        table.add_column(heading, justify="right")
    for actor in catalogue.actors:
        clips = [clip for clip in catalogue.clips if clip.actor == actor]
        by_emotion = Counter(clip.emotion for clip in clips)
        table.add_row(
            f"{actor:02d}",
            *(str(by_emotion[code] or "·") for code in present),
            str(len(clips)),
            str(sum(clip.media_for("video") is not None for clip in clips)),
            str(sum(clip.media_for("audio") is not None for clip in clips)),
        )
    return table


def catalogue_dict(catalogue: Catalogue) -> dict[str, Any]:
    """A catalogue as plain JSON values."""
    return {
        "sources": list(catalogue.sources),
        "clips": [
            {
                "clip_id": clip.clip_id,
                "actor": clip.actor,
                "emotion": EMOTIONS[clip.emotion - 1],
                "channel": clip.channel,
                "intensity": clip.intensity,
                "statement": clip.statement,
                "repetition": clip.repetition,
                "media": {part.kind: str(part) for part in clip.media},
            }
            for clip in catalogue.clips
        ],
        "problems": [
            {"what": p.what, "where": p.where, "reason": p.reason} for p in catalogue.problems
        ],
    }


def show_summary(console: Console, summary: ExtractSummary) -> None:
    """Print the last lines of an extraction."""
    for clip, error in summary.failures[:_SHOWN]:
        console.print(f"  failed {clip}: {error}", **_PLAIN)
    if len(summary.failures) > _SHOWN:
        console.print(f"  and {len(summary.failures) - _SHOWN} more failed; see 'emodask info'")
    for error in summary.errors[:_SHOWN]:
        console.print(f"  stopped {error}", **_PLAIN)
    counts = f"{summary.done} done, {summary.failed} failed, {summary.incomplete} incomplete"
    if summary.pending:
        counts += f", {summary.pending} not computed (run again to go on)"
    console.print(f"{_plural(summary.total, 'clip')}: {counts}, in {_clock(summary.seconds)}")
    for modality, count in summary.missing.items():
        console.print(
            f"  {_plural(count, 'clip')} came without {modality}; their other features are stored"
        )
    console.print(f"store: {summary.store}", **_PLAIN)


def show_info(console: Console, about: dict[str, Any]) -> None:
    """Print what a store says of itself."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key in ("store", "job_digest", "emodask", "batch"):
        table.add_row(key.replace("_", " "), escape(str(about[key])))
    table.add_row(
        "clips", ", ".join(f"{n} {name}" for name, n in about["counts"].items() if n) or "0"
    )
    table.add_row("actors", ", ".join(map(str, about["actors"])))
    for name, array in about["arrays"].items():
        shape = ", ".join(
            f"{dim} {size}" for dim, size in zip(array["dims"], array["shape"], strict=True)
        )
        table.add_row(escape(name), f"{array['dtype']} ({shape})")
    console.print(table)
    for clip, error in about["failures"]:
        console.print(f"failed {clip}: {error}", **_PLAIN)


def show_verification(console: Console, found: Verification) -> None:
    """Print what a verification found."""
    for line in found.damage:
        console.print(f"damaged {line}", markup=False)
    console.print(", ".join(f"{count} {name}" for name, count in found.counts.items()))
    console.print(
        "[red]damaged[/red]"
        if found.damage
        else "sound: every stored row has the bytes that were written"
    )


def show_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print the two most likely emotions of each clip."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("clip", "most likely", "", "then", ""):
        table.add_column(heading, justify="right" if not heading else "left", overflow="fold")
    for verdict in verdicts:
        if verdict.error:
            continue
        (first, p), (second, q) = verdict.ranked[:2]
        table.add_row(escape(verdict.clip), f"[bold]{first}[/bold]", f"{p:.1%}", second, f"{q:.1%}")
    if table.row_count:
        console.print(table)
    for verdict in verdicts:
        if verdict.error:
            console.print(f"{verdict.clip}: {verdict.error}", **_PLAIN)


def show_evaluation(console: Console, metrics: dict[str, Any], report: str) -> None:
    """Print the table of an evaluation and where its report is."""
    from emodask.evaluation.results import headline
    from emodask.evaluation.terminal import terminal_table

    console.print(terminal_table(metrics))
    for name, entry in metrics["protocols"].items():
        if "not_run" in entry:
            console.print(f"{name} did not run: {entry['not_run']}", markup=False)
        for note in entry.get("notes", ()):
            console.print(f"{name}: {note}", markup=False)
    console.print(headline(metrics), markup=False)
    console.print(f"report: {redact(report)}/index.html", **_PLAIN)


def show_bundle(console: Console, bundle: Bundle, where: str) -> None:
    """Print what a bundle was trained on and where it is."""
    trained = bundle.about["trained_on"]
    console.print(
        f"model {bundle.model_name} fitted on {_plural(trained['clips'], 'clip')} of "
        f"{_plural(len(trained['actors']), 'actor')}; it needs {' and '.join(bundle.modalities)}",
        markup=False,
    )
    console.print(f"bundle: {redact(where)}", **_PLAIN)


def show_run(console: Console, result: RunResult) -> None:
    """Print the end of a run."""
    if result.metrics is not None:
        show_evaluation(console, result.metrics, result.layout.report)
    if result.stopped:
        console.print(f"[red]stopped[/red]: {escape(result.stopped)}", soft_wrap=True)
    else:
        console.print(f"bundle: {redact(result.layout.bundle)}", **_PLAIN)


def show_synth(console: Console, files: Sequence[Path]) -> None:
    """Print which files were synthesised."""
    for file in files:
        console.print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)", **_PLAIN)


def show_jobs(console: Console, jobs: dict[Path, Job]) -> None:
    """Print the shipped jobs."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for path, job in jobs.items():
        table.add_row(path.stem, escape(job.description))
    console.print(table)
    console.print(f"files: {next(iter(jobs)).parent}", **_PLAIN)
