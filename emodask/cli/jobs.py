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
    MaxWorkersOption,
    MemoryLimitOption,
    RetryOption,
    SchedulerOption,
    SourceOption,
    StorageOption,
    WorkersOption,
    make_console,
    storage_options,
)


@app.command(
    rich_help_panel="Whole jobs",
    epilog="Example: emodask run jobs/hog3d-spline.toml --source 'ravdess/*.zip' --out result",
)
def run(
    job: JobArgument,
    source: SourceOption,
    out: Annotated[str, typer.Option(help="Folder or URL for store.zarr, report/ and bundle/.")],
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    max_workers: MaxWorkersOption = None,
    memory_limit: MemoryLimitOption = None,
    cluster_config: ClusterConfigOption = None,
    retry_failed: RetryOption = False,
    clip_timeout: ClipTimeoutOption = CLIP_TIMEOUT,
    storage_option: StorageOption = None,
) -> None:
    """Extract, evaluate, fit and report, in one go. Run again to go on after a stop."""
    from emodask.cluster import connect
    from emodask.display import Reporter, show_run, show_summary
    from emodask.pipeline import run

    console = make_console()
    reporter = Reporter(console)
    cluster = connect(
        scheduler,
        workers,
        max_workers=max_workers,
        memory_limit=memory_limit,
        config=cluster_config,
        tell=reporter.say,
    )
    with cluster as client, reporter.bars("extract"):
        result = run(
            job,
            source,
            out,
            client,
            storage_options=storage_options(storage_option),
            retry_failed=retry_failed,
            clip_timeout=clip_timeout,
            on_progress=reporter.extract,
            on_extracted=lambda summary: show_summary(console, summary),
            on_fold=reporter.folds,
            on_fit=reporter.fit,
        )
    show_run(console, result)
    if result.summary.failed or result.summary.pending or result.stopped:
        raise typer.Exit(1)


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
) -> None:
    """Synthesise a small corpus and run the default job on it: about a minute or two."""
    from emodask.cluster import connect
    from emodask.demo import DEMO_CREDIT, DEMO_JOB, demo_media
    from emodask.display import Reporter, show_run, show_summary
    from emodask.pipeline import run

    console = make_console()
    reporter = Reporter(console)
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
        result = run(
            DEMO_JOB,
            sources,
            out,
            client,
            credit=DEMO_CREDIT,
            on_progress=reporter.extract,
            on_extracted=lambda summary: show_summary(console, summary),
            on_fold=reporter.folds,
            on_fit=reporter.fit,
        )
    show_run(console, result)


@app.command(rich_help_panel="Whole jobs", epilog="Example: emodask jobs")
def jobs() -> None:
    """List the jobs that emodask ships."""
    from emodask.display import show_jobs
    from emodask.job import load_job, shipped_jobs

    show_jobs(make_console(), {path: load_job(path) for path in shipped_jobs().values()})
