"""Commands on models: evaluate, fit, predict."""

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
    SchedulerOption,
    StorageOption,
    TableOption,
    WorkersOption,
    make_reporter,
    print_json,
    storage_options,
    table_places,
)


@app.command(
    rich_help_panel="Models",
    epilog="Example: emodask evaluate jobs/spline.toml --store spline.zarr --report report",
)
def evaluate(
    job: JobArgument,
    store: Annotated[str, typer.Option(help="Store that was extracted under the same job.")],
    report: Annotated[str, typer.Option(help="Folder or URL for the report.")] = "report",
    model: ModelsOption = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    max_workers: MaxWorkersOption = None,
    memory_limit: MemoryLimitOption = None,
    cluster_config: ClusterConfigOption = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Evaluate a job's models under its protocols and write the report."""
    from emodask.cluster import connect
    from emodask.evaluation.evaluate import evaluate

    reporter = make_reporter(log_json, stderr=as_json)
    reporter.started("evaluate", store=store)
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
            storage_options=storage_options(storage_option),
            on_progress=reporter.folds,
        )
    if log_json or not as_json:
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
            storage_options=storage_options(storage_option),
            on_progress=reporter.folds,
        )
    reporter.fitted(fitted, bundle)


@app.command(
    rich_help_panel="Models",
    epilog="Examples: emodask predict bundle clip.mp4 | emodask predict bundle clip.mp4 clip.wav",
)
def predict(
    bundle: Annotated[str, typer.Argument(help="Folder or URL of a bundle.")],
    media: Annotated[
        list[str] | None, typer.Argument(help="mp4, wav, both of one clip, URLs, zips.")
    ] = None,
    table: TableOption = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
    log_json: LogJsonOption = False,
) -> None:
    """Say which emotion clips show: the two most likely, with probabilities."""
    from emodask.cluster import pin_threads
    from emodask.prediction import predict

    pin_threads()
    places = table_places(table)
    verdicts = predict(bundle, media or [], storage_options(storage_option), tables=places)
    reporter = make_reporter(log_json)
    if log_json or not as_json:
        reporter.verdicts(verdicts)
    if as_json:
        print_json([verdict.as_dict() for verdict in verdicts])
    if any(verdict.error for verdict in verdicts):
        raise typer.Exit(1)
