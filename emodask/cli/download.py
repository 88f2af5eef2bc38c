"""The command that fetches RAVDESS: download."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import LogJsonOption, StorageOption, make_console, storage_options
from emodask.errors import UsageError


@app.command(
    rich_help_panel="Media",
    epilog="Examples: emodask download ravdess --actors 1-4\n\n"
    "emodask download s3://bucket/ravdess --yes",
)
def download(
    dest: Annotated[
        str, typer.Argument(metavar="DEST", help="Folder, or a bucket such as s3://bucket/ravdess.")
    ],
    channel: Annotated[
        list[str], typer.Option(metavar="NAMES", help="speech, song, or speech,song.")
    ] = ["speech"],  # noqa: B006
    modality: Annotated[
        list[str], typer.Option(metavar="NAMES", help="video, audio, or video,audio.")
    ] = ["video", "audio"],  # noqa: B006
    actors: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="Whose video zips, such as 1-4,7; an audio zip holds everyone.",
        ),
    ] = "1-24",
    parallel: Annotated[
        int, typer.Option(min=1, max=8, metavar="COUNT", help="Files in flight at once, up to 8.")
    ] = 3,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the start.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be fetched, and end.")
    ] = False,
    record: Annotated[str, typer.Option(metavar="NUMBER", help="The Zenodo record.")] = "1188976",
    storage_option: StorageOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Fetch RAVDESS from Zenodo, and check every byte. Run again to go on after a stop.

    A ZENODO_TOKEN in the environment is sent to Zenodo alone.
    """
    from emodask.display.downloads import DownloadEvents, DownloadReporter
    from emodask.sources.download import (
        DownloadSummary,
        Selection,
        fetch,
        parse_actors,
        plan_download,
        require_room,
    )

    reporter = DownloadEvents() if log_json else DownloadReporter(make_console())
    selection = Selection(_listed(channel), _listed(modality), parse_actors(actors))
    with reporter.looking():
        plan = plan_download(
            dest,
            selection,
            record=record,
            storage_options=storage_options(storage_option),
            on_news=reporter.news,
        )
    if dry_run or plan.to_fetch:
        reporter.planned(plan, every_file=dry_run)
    if dry_run:
        return
    summary = DownloadSummary(there=tuple(planned.file.name for planned in plan.files))
    if plan.to_fetch:
        require_room(plan)
        if not yes:
            _ask()
        try:
            with reporter.bars(plan):
                summary = fetch(plan, parallel=parallel, on_news=reporter.news)
        except KeyboardInterrupt:
            reporter.interrupted(plan)
            raise
    reporter.ended(summary, record)
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
