"""Tables and last lines of each command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emodask.emotions import EMOTIONS, emotion_name
from emodask.sources.location import redact
from emodask.sources.names import MODALITIES

if TYPE_CHECKING:
    from pathlib import Path

    from emodask.extraction import ExtractSummary
    from emodask.job import Job
    from emodask.models.bundle import Bundle
    from emodask.pipeline import RunResult
    from emodask.prediction import Verdict
    from emodask.sources.catalogue import Catalogue
    from emodask.store import Verification

from emodask.display.wording import clock, plural

_SHOWN = 10
_PLAIN: dict[str, Any] = {"markup": False, "soft_wrap": True}
"""For lines with names and paths in them: nothing in those is markup, and none is cut."""


def show_catalogue(console: Console, catalogue: Catalogue) -> None:
    """Print what sources hold: clips by actor and emotion, files, problems."""
    if catalogue.clips:
        console.print(_clip_table(catalogue))
    media = Counter(part.kind for clip in catalogue.clips for part in clip.media)
    console.print(
        f"{plural(len(catalogue), 'clip')} of {plural(len(catalogue.actors), 'actor')}; files: "
        + (", ".join(f"{count} {kind}" for kind, count in sorted(media.items())) or "none")
    )
    if len(catalogue.corpora) > 1:
        clips = Counter(clip.corpus or "not known" for clip in catalogue.clips)
        console.print("corpora: " + ", ".join(f"{clips[name]} {name}" for name in sorted(clips)))
    for modality in MODALITIES:
        without = [clip for clip in catalogue.clips if clip.media_for(modality) is None]
        if without:
            names = ", ".join(clip.clip_id for clip in without[:3])
            more = ", ..." if len(without) > 3 else ""
            console.print(
                f"no {modality}: {plural(len(without), 'clip')} ({names}{more})", markup=False
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
                "corpus": clip.corpus,
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
        console.print(f"  not computed: {error}", **_PLAIN)
    if len(summary.errors) > _SHOWN:
        console.print(f"  and {len(summary.errors) - _SHOWN} more not computed")
    if summary.stopped:
        console.print(f"[red]stopped[/red]: {escape(summary.stopped)}", soft_wrap=True)
    counts = f"{summary.done} done, {summary.failed} failed, {summary.incomplete} incomplete"
    if summary.pending:
        counts += f", {summary.pending} not computed (run again to go on)"
    console.print(f"{plural(summary.total, 'clip')}: {counts}, in {clock(summary.seconds)}")
    for modality, count in summary.missing.items():
        console.print(
            f"  {plural(count, 'clip')} came without {modality}; their other features are stored"
        )
    for name, count in summary.extra.items():
        console.print(f"  table {name}: {plural(count, 'row')} of no clip of the sources, left out")
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
    speakers = {verdict.speaker for verdict in verdicts if verdict.speaker is not None}
    if speakers:
        console.print(
            f"adapted to {plural(len(speakers), 'speaker')} by their own clips: better only if "
            "these show many emotions",
            markup=False,
        )
    for trust in dict.fromkeys(str(verdict.trust) for verdict in verdicts if verdict.trust):
        console.print(f"probabilities: {trust}", markup=False)
    for verdict in verdicts:
        if verdict.error:
            console.print(f"{verdict.clip}: {verdict.error}", **_PLAIN)


def show_evaluation(console: Console, metrics: dict[str, Any], report: str) -> None:
    """Print the table of an evaluation and where its report is."""
    from emodask.evaluation.chosen import choices
    from emodask.evaluation.findings import leakage_line
    from emodask.evaluation.results import headline
    from emodask.evaluation.terminal import terminal_table
    from emodask.evaluation.training import trainings

    console.print(terminal_table(metrics))
    for name, entry in metrics["protocols"].items():
        if "not_run" in entry:
            console.print(f"{name} did not run: {entry['not_run']}", markup=False)
        for note in entry.get("notes", ()):
            console.print(f"{name}: {note}", markup=False)
    if restricting := metrics["data"].get("restricting"):
        console.print(restricting, markup=False)
    for chosen in choices(metrics):
        console.print(chosen.line, markup=False)
    learned = list(trainings(metrics))
    for training in learned:
        if training.protocol == learned[0].protocol:  # the page has the others
            console.print(training.line, markup=False)
    if leaked := leakage_line(metrics):
        console.print(leaked, markup=False)
    console.print(headline(metrics), markup=False)
    console.print(f"report: {redact(report)}/index.html", **_PLAIN)


def show_bundle(console: Console, bundle: Bundle, where: str) -> None:
    """Print what a bundle was trained on and where it is."""
    trained = bundle.about["trained_on"]
    console.print(
        f"model {bundle.model_name} fitted on {plural(trained['clips'], 'clip')} of "
        f"{plural(len(trained['actors']), 'actor')}; it needs {' and '.join(bundle.needs)}",
        markup=False,
    )
    if bundle.adapted is not None:
        console.print("it can adapt to speakers: emodask predict BUNDLE CLIPS --adapt")
    console.print(f"bundle: {redact(where)}", **_PLAIN)


def show_run(console: Console, result: RunResult) -> None:
    """Print the end of a run."""
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
    from emodask.job_needs import needs

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for path, job in jobs.items():
        table.add_row(path.stem, escape(job.description))
        if wanted := needs(job):
            table.add_row("", escape(f"needs {', '.join(wanted)}"), style="dim")
    console.print(table)
    console.print(f"files: {next(iter(jobs)).parent}", **_PLAIN)
