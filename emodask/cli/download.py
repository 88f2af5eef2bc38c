"""The command that fetches RAVDESS: download."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import StorageOption, make_console, storage_options
from emodask.errors import UsageError


@app.command(
    rich_help_panel="Media",
    epilog="Examples: emodask download ravdess --actors 1-4\n\n"
    "emodask download s3://bucket/ravdess --yes",
)
def download(
    dest: Annotated[str, typer.Argument(help="Folder, or a bucket such as s3://bucket/ravdess.")],
    channel: Annotated[
        list[str], typer.Option(help="speech, song, or speech,song.", show_default=True)
    ] = ["speech"],  # noqa: B006
    modality: Annotated[
        list[str], typer.Option(help="video, audio, or video,audio.", show_default=True)
    ] = ["video", "audio"],  # noqa: B006
    actors: Annotated[
        str, typer.Option(help="Whose video zips, such as 1-4,7; an audio zip holds everyone.")
    ] = "1-24",
    jobs: Annotated[int, typer.Option(min=1, max=8, help="Files in flight at once.")] = 3,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the start.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be fetched, and end.")
    ] = False,
    record: Annotated[str, typer.Option(help="Number of the Zenodo record.")] = "1188976",
    storage_option: StorageOption = None,
) -> None:
    """Fetch RAVDESS from Zenodo, and check every byte. Run again to go on after a stop.

    The environment may hold a ZENODO_TOKEN, sent to Zenodo alone.
    """
    from emodask.display.downloads import DownloadReporter, plan_line, show_download, show_plan
    from emodask.sources.download import (
        DownloadSummary,
        Selection,
        fetch,
        parse_actors,
        plan_download,
        require_space,
    )

    console = make_console()
    reporter = DownloadReporter(console)
    selection = Selection(_listed(channel), _listed(modality), parse_actors(actors))
    plan = plan_download(
        dest,
        selection,
        record=record,
        storage_options=storage_options(storage_option),
        on_news=reporter.news,
    )
    if dry_run:
        show_plan(console, plan)
        return
    if not plan.to_fetch:
        there = tuple(planned.file.name for planned in plan.files)
        show_download(console, DownloadSummary(there=there), record)
        return
    require_space(plan)
    console.print(plan_line(plan), markup=False, soft_wrap=True)
    if not yes:
        _ask()
    try:
        with reporter.bars(plan):
            summary = fetch(plan, jobs=jobs, on_news=reporter.news)
    except KeyboardInterrupt:
        kept = "partial files (.part) are kept" if plan.place.resumes else "uploads are withdrawn"
        console.print(f"whole files stay in {plan.dest}; {kept}", markup=False, soft_wrap=True)
        raise
    show_download(console, summary, record)
    if summary.failed:
        raise typer.Exit(1)


def _listed(given: list[str]) -> tuple[str, ...]:
    names = (name.strip().lower() for part in given for name in part.split(","))
    return tuple(dict.fromkeys(names))


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask in; --yes goes on without asking")
    if not typer.confirm("Go on?"):
        raise typer.Exit(0)
