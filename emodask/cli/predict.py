"""The command that predicts: clips as wholes, clips of one speaker together, and recordings."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import (
    JsonOption,
    LogJsonOption,
    StorageOption,
    TableOption,
    make_reporter,
    print_json,
    storage_options,
    table_places,
)
from emodask.errors import UsageError

_TIMELINE = "Along a recording"


@app.command(
    rich_help_panel="Models",
    epilog="Examples: emodask predict bundle clip.mp4 | emodask predict bundle clip.mp4 clip.wav "
    "| emodask predict bundle talk.mp4 --timeline --picture talk.png",
)
def predict(
    bundle: Annotated[str, typer.Argument(help="Folder or URL of a bundle.")],
    media: Annotated[
        list[str] | None, typer.Argument(help="mp4, wav, both of one clip, folders, URLs, zips.")
    ] = None,
    table: TableOption = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="Standardise each speaker's clips by each other: takes 8 or more of a speaker, of "
            "many emotions. Without names of RAVDESS or TESS, all clips are one speaker's.",
        ),
    ] = False,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline", rich_help_panel=_TIMELINE, help="Judge windows along media of any length."
        ),
    ] = False,
    window: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=_TIMELINE, metavar="SECONDS", help="Length of a window; 3.0 s."
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_TIMELINE,
            metavar="SECONDS|FRAMES",
            help="From one window to the next; 0.5 s. 20f is every 20th video frame.",
        ),
    ] = None,
    csv: Annotated[
        bool,
        typer.Option("--csv", rich_help_panel=_TIMELINE, help="Print CSV, a row for each window."),
    ] = False,
    picture: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_TIMELINE,
            metavar="FILE",
            help="Draw the timeline as .png or .svg; of several clips, FILE-CLIP.png each.",
        ),
    ] = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Say which emotion clips show: the two most likely, with probabilities."""
    options = {"--window": window, "--step": step, "--csv": csv or None, "--picture": picture}
    given = [name for name, value in options.items() if value is not None]
    if given and not timeline:
        raise UsageError(f"{given[0]} belongs to --timeline; add it")
    if timeline:
        if table or adapt:
            raise UsageError(
                f"{'--table' if table else '--adapt'} judges whole clips, --timeline windows of "
                "recordings; use one of them"
            )
        if csv and as_json:
            raise UsageError("--csv and --json both go to standard output; choose one")
        _timeline(
            bundle, media or [], window, step, csv, picture, as_json, storage_option, log_json
        )
    else:
        _clips(bundle, media or [], table, adapt, as_json, storage_option, log_json)


def _clips(
    bundle: str,
    media: list[str],
    table: list[str] | None,
    adapt: bool,
    as_json: bool,
    storage_option: list[str] | None,
    log_json: bool,
) -> None:
    from emodask.cluster import pin_threads
    from emodask.prediction import predict

    pin_threads()
    verdicts = predict(
        bundle,
        media,
        storage_options(storage_option),
        tables=table_places(table),
        adapt=adapt,
    )
    reporter = make_reporter(log_json)
    if log_json or not as_json:
        reporter.verdicts(verdicts)
    if as_json:
        print_json([verdict.as_dict() for verdict in verdicts])
    if any(verdict.error for verdict in verdicts):
        raise typer.Exit(1)


def _timeline(
    bundle: str,
    media: list[str],
    window: float | None,
    step: str | None,
    csv: bool,
    picture: str | None,
    as_json: bool,
    storage_option: list[str] | None,
    log_json: bool,
) -> None:
    from emodask.cluster import pin_threads
    from emodask.prediction import predict_timeline
    from emodask.prediction.export import timelines_csv
    from emodask.prediction.picture import check_picture, draw_timelines
    from emodask.prediction.timeline import STEP, WINDOW

    if not media:
        raise UsageError("--timeline needs media: pass files, folders or zips")
    if picture is not None:
        check_picture(picture)
    pin_threads()
    reporter = make_reporter(log_json, stderr=csv or as_json)
    with reporter.bars("timeline"):
        timelines = predict_timeline(
            bundle,
            media,
            storage_options(storage_option),
            window=WINDOW if window is None else window,
            step=STEP if step is None else step,
            on_progress=reporter.along,
        )
    if log_json or not (csv or as_json):
        reporter.timelines(timelines)
    if as_json:
        print_json([timeline.as_dict() for timeline in timelines])
    if csv:
        sys.stdout.write(timelines_csv(timelines))
    if picture is not None:
        for file in draw_timelines(timelines, picture):
            reporter.say(f"picture: {file}")
    if any(timeline.error for timeline in timelines):
        raise typer.Exit(1)
