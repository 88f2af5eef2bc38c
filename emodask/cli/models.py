"""Commands on models: evaluate, fit."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import (
    ClusterConfigOption,
    JobArgument,
    JsonOption,
    LogJsonOption,
    MaxWorkersOption,
    MemoryLimitOption,
    ModelsOption,
    PicturesOption,
    SchedulerOption,
    SoundsOption,
    SourceOption,
    StorageOption,
    WeightsOption,
    WorkersOption,
    make_reporter,
    print_json,
    storage_options,
    weight_places,
)
from emodask.cli.watching import PageOption, PagePortOption, watched


@app.command(
    rich_help_panel="Models",
    epilog="Example: emodask evaluate jobs/spline.toml --store spline.zarr --report report",
)
def evaluate(
    job: JobArgument,
    store: Annotated[str, typer.Option(help="Store that was extracted under the same job.")],
    report: Annotated[str, typer.Option(help="Folder or URL for the report.")] = "report",
    model: ModelsOption = None,
    source: SourceOption = None,
    sounds: SoundsOption = True,
    pictures: PicturesOption = True,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    max_workers: MaxWorkersOption = None,
    memory_limit: MemoryLimitOption = None,
    cluster_config: ClusterConfigOption = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
    page: PageOption = False,
    page_port: PagePortOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Evaluate a job's models under its protocols and write the report.

    Its figures come from the store alone. --source says where the media lie
    that it shows pictures of, by default where the run.json beside the store
    says, and lets it lead to the clips of its surest mistakes.
    """
    from emodask.cluster import connect
    from emodask.evaluation.evaluate import evaluate
    from emodask.sources.catalogue import scan

    options = storage_options(storage_option)
    with watched(make_reporter(log_json, stderr=as_json), page, page_port) as reporter:
        reporter.started("evaluate", store=store)
        media = scan(source, options).clips if source else ()
        cluster = connect(
            scheduler,
            workers,
            max_workers=max_workers,
            memory_limit=memory_limit,
            config=cluster_config,
            tell=reporter.say,
        )
        with cluster as client, reporter.bars("evaluate folds"):
            reporter.connected(client)
            metrics = evaluate(
                job,
                store,
                report,
                client,
                models=model,
                media=media,
                sounds=sounds,
                sources=source or (),
                pictures=pictures,
                storage_options=options,
                on_progress=reporter.folds,
            )
        reporter.evaluated(metrics, report)
    if as_json:
        print_json(metrics)


@app.command(
    rich_help_panel="Models",
    epilog="Example: emodask fit jobs/spline.toml --store spline.zarr --bundle bundle",
)
def fit(
    job: JobArgument,
    store: Annotated[str, typer.Option(help="Store that was extracted under the same job.")],
    bundle: Annotated[str, typer.Option(help="Folder or URL to write the bundle to.")] = "bundle",
    model: Annotated[str | None, typer.Option(help="A model of the job; its first.")] = None,
    weights: WeightsOption = None,
    storage_option: StorageOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Fit one model on every clip of a store and write it as a bundle."""
    from emodask.cluster import pin_threads
    from emodask.fitting import fit

    pin_threads()
    reporter = make_reporter(log_json)
    reporter.started("fit", store=store)
    with reporter.bars("fit"):
        fitted = fit(
            job,
            store,
            bundle,
            model=model,
            weights=weight_places(weights),
            storage_options=storage_options(storage_option),
            on_progress=reporter.folds,
        )
    reporter.fitted(fitted, bundle)
