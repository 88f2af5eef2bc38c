"""Commands on stores: extract, info, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import (
    CLIP_TIMEOUT,
    ClipTimeoutOption,
    ClusterConfigOption,
    JobArgument,
    JsonOption,
    LogJsonOption,
    MaxWorkersOption,
    MemoryLimitOption,
    RetryOption,
    SchedulerOption,
    SourceOption,
    StorageOption,
    StoreArgument,
    TableOption,
    WeightsOption,
    WorkersOption,
    make_console,
    make_reporter,
    print_json,
    storage_options,
    table_places,
    weight_places,
)
from emodask.cli.watching import PageOption, PagePortOption, watched


@app.command(
    rich_help_panel="Stores of features",
    epilog="Example: emodask extract jobs/spline.toml --source Audio_Speech_Actors_01-24.zip "
    "--store spline.zarr",
)
def extract(
    job: JobArgument,
    store: Annotated[str, typer.Option(help="Path or URL of the Zarr store to write.")],
    source: SourceOption = None,
    table: TableOption = None,
    weights: WeightsOption = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    max_workers: MaxWorkersOption = None,
    memory_limit: MemoryLimitOption = None,
    cluster_config: ClusterConfigOption = None,
    retry_failed: RetryOption = False,
    clip_timeout: ClipTimeoutOption = CLIP_TIMEOUT,
    storage_option: StorageOption = None,
    summary: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Path or URL for a summary, as run.json of a run."),
    ] = None,
    page: PageOption = False,
    page_port: PagePortOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Compute the features of every clip into a store. Run again to go on after a stop."""
    from emodask.clip_tables import check_sources, read_tables
    from emodask.cluster import connect
    from emodask.extraction import extract
    from emodask.job import load_job
    from emodask.job_weights import read_weights
    from emodask.run_record import RunRecorder

    settings = load_job(job)
    options = storage_options(storage_option)
    source = source or []
    check_sources(settings, source)
    places, weights_at = table_places(table), weight_places(weights)
    with watched(make_reporter(log_json), page, page_port) as reporter:
        reporter.started("extract", job=settings.name, sources=source, store=store)
        cluster = connect(
            scheduler,
            workers,
            max_workers=max_workers,
            memory_limit=memory_limit,
            config=cluster_config,
            tell=reporter.say,
        )
        recorder = RunRecorder(summary, "extract", settings, source, options)
        with recorder:
            tables = read_tables(settings, places, options)  # before anything is started
            settings = read_weights(settings, weights_at, options)
            with cluster as client, reporter.bars("extract"), recorder:
                reporter.connected(client)
                recorder.connected(client)
                recorder.stage("scan")
                found = extract(
                    settings,
                    source,
                    store,
                    client,
                    tables=tables,
                    storage_options=options,
                    retry_failed=retry_failed,
                    clip_timeout=clip_timeout,
                    on_plan=recorder.planning(reporter.planned),
                    on_progress=recorder.watching(reporter.extract),
                )
                exit_code = recorder.extracted(found)
                recorder.end("failed" if found.stopped else "finished", exit_code, found.stopped)
        reporter.extracted(found)
    if exit_code:
        raise typer.Exit(exit_code)


@app.command(rich_help_panel="Stores of features", epilog="Example: emodask info spline.zarr")
def info(
    store: StoreArgument, as_json: JsonOption = False, storage_option: StorageOption = None
) -> None:
    """Say what a store holds: settings, arrays, rows by status, failures with reasons."""
    from emodask.display import show_info
    from emodask.store import describe

    about = describe(store, storage_options(storage_option))
    if as_json:
        print_json(about)
    else:
        show_info(make_console(), about)


@app.command(rich_help_panel="Stores of features", epilog="Example: emodask verify spline.zarr")
def verify(
    store: StoreArgument, as_json: JsonOption = False, storage_option: StorageOption = None
) -> None:
    """Recompute every row's checksum from the stored bytes; exit code 1 on damage."""
    from emodask.display import show_verification
    from emodask.store import verify

    found = verify(store, storage_options(storage_option))
    if as_json:
        print_json({"counts": found.counts, "damage": list(found.damage)})
    else:
        show_verification(make_console(), found)
    if found.damage:
        raise typer.Exit(1)
