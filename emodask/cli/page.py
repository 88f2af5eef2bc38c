"""The command that serves the page, the HTTP API and the pages of results."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import LogJsonOption, StorageOption, make_reporter, storage_options
from emodask.page.settings import PASSWORD_VARIABLE

_LIMITS = "What a recording may cost"


@app.command(
    rich_help_panel="Models",
    epilog="Examples: emodask serve result/bundle | emodask serve both voice face --port 8000 | "
    "emodask serve --runs results | EMODASK_PASSWORD=hush emodask serve result/bundle "
    "--host 0.0.0.0",
)
def serve(
    bundle: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders or URLs of bundles. The first judges; later ones of one modality stand "
            "in where a recording lacks the other."
        ),
    ] = None,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR_OR_URL",
            help="Show results: a run, a folder of runs or a glob of them. Repeatable.",
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the clips of the runs lie, to be played; by default where each run.json "
            "says. Repeatable."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for others too.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 7860,
    password: Annotated[
        str | None,
        typer.Option(
            envvar=PASSWORD_VARIABLE,
            show_envvar=True,
            help="Ask everybody for it, with the name emodask.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer to this name, such as that of a proxy before it, and besides to localhost "
            "alone; may be repeated. On loopback no other names are answered anyway.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Recordings judged at a time.")] = 1,
    waiting: Annotated[
        int, typer.Option(min=0, rich_help_panel=_LIMITS, help="How many may wait beside those.")
    ] = 8,
    max_upload: Annotated[
        int, typer.Option(min=1, rich_help_panel=_LIMITS, metavar="MIB", help="Size of a file.")
    ] = 200,
    max_seconds: Annotated[
        float, typer.Option(min=1, rich_help_panel=_LIMITS, help="How long it may be.")
    ] = 120.0,
    seconds: Annotated[
        float, typer.Option(min=1, rich_help_panel=_LIMITS, help="How long judging it may take.")
    ] = 120.0,
    storage_option: StorageOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Serve a page and an HTTP API that judge recordings by bundles, and pages of results."""
    from emodask.page.serving import serve_page
    from emodask.page.settings import PageSettings

    reporter = make_reporter(log_json, stderr=True)
    settings = PageSettings(
        host,
        port,
        password,
        max_upload << 20,
        max_seconds,
        seconds,
        waiting,
        allow_hosts=tuple(allow_host or ()),
    )
    try:
        serve_page(
            bundle or [],
            settings,
            runs=runs or [],
            sources=source or [],
            processes=processes,
            storage_options=storage_options(storage_option),
            say=reporter.say,
            warn=reporter.warn,
            on_serving=reporter.serving,
        )
    except (KeyboardInterrupt, SystemExit):  # how a server ends that has done its work
        reporter.closed()
