"""Commands on whole jobs: run, demo, jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import (
    CLIP_TIMEOUT,
    ClipTimeoutOption,
    ClusterConfigOption,
    JobArgument,
    LogJsonOption,
    MaxWorkersOption,
    MemoryLimitOption,
    ModelsOption,
    PicturesOption,
    RetryOption,
    SchedulerOption,
    SoundsOption,
    SourceOption,
    StorageOption,
    TableOption,
    WeightsOption,
    WorkersOption,
    make_console,
    make_reporter,
    storage_options,
    table_places,
    weight_places,
)
from emodask.cli.watching import PageOption, PagePortOption, watched


@app.command(
    rich_help_panel="Whole jobs",
    epilog="Example: emodask run jobs/hog3d-spline.toml --source 'ravdess/*.zip' --out result",
)
def run(
    job: JobArgument,
    out: Annotated[
        str, typer.Option(help="Folder or URL for store.zarr, report/, bundle/ and run.json.")
    ],
    source: SourceOption = None,
    table: TableOption = None,
    weights: WeightsOption = None,
    model: ModelsOption = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    max_workers: MaxWorkersOption = None,
    memory_limit: MemoryLimitOption = None,
    cluster_config: ClusterConfigOption = None,
    retry_failed: RetryOption = False,
    clip_timeout: ClipTimeoutOption = CLIP_TIMEOUT,
    sounds: SoundsOption = True,
    pictures: PicturesOption = True,
    storage_option: StorageOption = None,
    page: PageOption = False,
    page_port: PagePortOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Extract, evaluate, fit and report, in one go. Run again to go on after a stop."""
    from emodask.clip_tables import check_sources, read_tables
    from emodask.cluster import connect
    from emodask.job import load_job
    from emodask.job_weights import read_weights
    from emodask.models.system import with_models
    from emodask.pipeline import Layout, run
    from emodask.run_record import RunRecorder

    settings = with_models(load_job(job), model)
    options = storage_options(storage_option)
    source = source or []
    check_sources(settings, source)
    places, weights_at = table_places(table), weight_places(weights)
    with watched(make_reporter(log_json), page, page_port) as reporter:
        reporter.started("run", job=settings.name, sources=source, out=out)
        cluster = connect(
            scheduler,
            workers,
            max_workers=max_workers,
            memory_limit=memory_limit,
            config=cluster_config,
            tell=reporter.say,
        )
        record = Layout(out.rstrip("/")).record
        recorder = RunRecorder(record, "run", settings, source, options)
        with recorder:
            tables = read_tables(settings, places, options)  # before anything is started
            settings = read_weights(settings, weights_at, options)
            with cluster as client, reporter.bars("extract"):
                reporter.connected(client)
                result = run(
                    settings,
                    source,
                    out,
                    client,
                    tables=tables,
                    pictures=pictures,
                    storage_options=options,
                    retry_failed=retry_failed,
                    clip_timeout=clip_timeout,
                    sounds=sounds,
                    on_plan=reporter.planned,
                    on_progress=reporter.extract,
                    on_extracted=reporter.extracted,
                    on_fold=reporter.folds,
                    on_evaluated=reporter.evaluated,
                    on_fit=reporter.fit,
                    recorder=recorder,
                )
        reporter.ended(result)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


@app.command(rich_help_panel="Whole jobs", epilog="Example: emodask demo --out emodask-demo")
def demo(
    out: Annotated[
        str, typer.Option(help="Folder for the media and the results.")
    ] = "emodask-demo",
    actors: Annotated[int, typer.Option(min=2, help="How many actors to synthesise.")] = 5,
    clips: Annotated[int, typer.Option(min=8, max=60, help="Clips an actor.")] = 16,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    max_workers: MaxWorkersOption = None,
    memory_limit: MemoryLimitOption = None,
    cluster_config: ClusterConfigOption = None,
    page: PageOption = False,
    page_port: PagePortOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Synthesise a small corpus and run the default job on it: about a minute or two."""
    from emodask.cluster import connect
    from emodask.demo import DEMO_CREDIT, DEMO_JOB, demo_media, serve_command
    from emodask.pipeline import run

    with watched(make_reporter(log_json), page, page_port) as reporter:
        reporter.started("demo", job=DEMO_JOB, out=out)
        with reporter.bars("synthesise"):
            sources = demo_media(out, actors, clips, reporter.synth)
        cluster = connect(
            scheduler,
            workers,
            max_workers=max_workers,
            memory_limit=memory_limit,
            config=cluster_config,
            tell=reporter.say,
        )
        with cluster as client, reporter.bars("extract"):
            reporter.connected(client)
            result = run(
                DEMO_JOB,
                sources,
                out,
                client,
                credit=DEMO_CREDIT,
                on_plan=reporter.planned,
                on_progress=reporter.extract,
                on_extracted=reporter.extracted,
                on_fold=reporter.folds,
                on_evaluated=reporter.evaluated,
                on_fit=reporter.fit,
            )
        reporter.ended(result)
    if result.exit_code:
        raise typer.Exit(result.exit_code)
    if command := serve_command(result.layout.bundle):
        reporter.say(f"to judge recordings by it, in a browser: {command}")


@app.command(rich_help_panel="Whole jobs", epilog="Example: emodask jobs")
def jobs() -> None:
    """List the jobs that emodask ships."""
    from emodask.display import show_jobs
    from emodask.job import load_job
    from emodask.job_files import shipped_jobs

    show_jobs(make_console(), {path: load_job(path) for path in shipped_jobs().values()})
