"""Commands: parse, call one function, print. No logic."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emodask import __version__
from emodask.errors import EmodaskError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="emodask",
    help="Actor zips in, an honest emotion report out.",
    epilog="Begin with: emodask demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_INTERRUPTED = 130

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job file, or the name of one that emodask ships.")
]
StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="Path or URL of a store.")]
SourceOption = Annotated[
    list[str],
    typer.Option("--source", "-s", help="Zip, folder, glob, URL or manifest CSV. Repeatable."),
]
SchedulerOption = Annotated[
    str,
    typer.Option(
        help="local (processes on this machine), sync (in this process), or tcp://host:8786."
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Worker processes of a local cluster; one per core.")
]
StorageOption = Annotated[
    list[str] | None,
    typer.Option("--storage-option", metavar="KEY=VALUE", help="Passed to fsspec. Repeatable."),
]
RetryOption = Annotated[bool, typer.Option("--retry-failed", help="Compute failed clips again.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def _options(pairs: list[str] | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError("--storage-option takes KEY=VALUE, such as anon=true")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emodask {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: emodask scan 'ravdess/*.zip'")
def scan(
    source: Annotated[list[str], typer.Argument(help="Zips, folders, globs, URLs, manifest CSVs.")],
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List the clips that sources hold, and what is missing, doubled or unreadable."""
    from emodask.display import catalogue_dict, show_catalogue
    from emodask.sources.catalogue import scan

    catalogue = scan(source, _options(storage_option))
    if as_json:
        _print_json(catalogue_dict(catalogue))
    else:
        show_catalogue(_console(), catalogue)
    if not catalogue.clips:
        raise typer.Exit(1)


@app.command(
    epilog="Example: emodask extract jobs/spline.toml --source Audio_Speech_Actors_01-24.zip "
    "--store spline.zarr"
)
def extract(
    job: JobArgument,
    source: SourceOption,
    store: Annotated[str, typer.Option(help="Path or URL of the Zarr store to write.")],
    scheduler: SchedulerOption = "local",
    workers: WorkersOption = None,
    retry_failed: RetryOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Compute the features of every clip into a store. Run again to go on after a stop."""
    from emodask.cluster import connect
    from emodask.display import Reporter, show_summary
    from emodask.extraction import extract

    console = _console()
    reporter = Reporter(console)
    with connect(scheduler, workers) as client, reporter.bars("extract"):
        summary = extract(
            job,
            source,
            store,
            client,
            storage_options=_options(storage_option),
            retry_failed=retry_failed,
            on_progress=reporter.extract,
        )
    show_summary(console, summary)
    if summary.failed or summary.pending:
        raise typer.Exit(1)


@app.command(epilog="Example: emodask info spline.zarr")
def info(
    store: StoreArgument, as_json: JsonOption = False, storage_option: StorageOption = None
) -> None:
    """Say what a store holds: settings, arrays, rows by status, failures with reasons."""
    from emodask.display import show_info
    from emodask.store import describe

    about = describe(store, _options(storage_option))
    if as_json:
        _print_json(about)
    else:
        show_info(_console(), about)


@app.command(epilog="Example: emodask verify spline.zarr")
def verify(
    store: StoreArgument, as_json: JsonOption = False, storage_option: StorageOption = None
) -> None:
    """Recompute every row's checksum from the stored bytes; exit code 1 on damage."""
    from emodask.display import show_verification
    from emodask.store import verify

    found = verify(store, _options(storage_option))
    if as_json:
        _print_json({"counts": found.counts, "damage": list(found.damage)})
    else:
        show_verification(_console(), found)
    if found.damage:
        raise typer.Exit(1)


@app.command(
    epilog="Example: emodask evaluate jobs/spline.toml --store spline.zarr --report report"
)
def evaluate(
    job: JobArgument,
    store: Annotated[str, typer.Option(help="Store that was extracted under the same job.")],
    report: Annotated[str, typer.Option(help="Folder or URL for the report.")] = "report",
    scheduler: SchedulerOption = "local",
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Evaluate a job's models under its protocols and write the report."""
    from emodask.cluster import connect
    from emodask.display import Reporter, show_evaluation
    from emodask.evaluation.evaluate import evaluate

    console = _console(stderr=as_json)
    reporter = Reporter(console)
    with connect(scheduler, workers) as client, reporter.bars("evaluate folds"):
        metrics = evaluate(
            job,
            store,
            report,
            client,
            storage_options=_options(storage_option),
            on_progress=reporter.folds,
        )
    if as_json:
        _print_json(metrics)
    else:
        show_evaluation(console, metrics, report)


@app.command(epilog="Example: emodask fit jobs/spline.toml --store spline.zarr --bundle bundle")
def fit(
    job: JobArgument,
    store: Annotated[str, typer.Option(help="Store that was extracted under the same job.")],
    bundle: Annotated[str, typer.Option(help="Folder or URL to write the bundle to.")] = "bundle",
    model: Annotated[str | None, typer.Option(help="A model of the job; its first.")] = None,
    storage_option: StorageOption = None,
) -> None:
    """Fit one model on every clip of a store and write it as a bundle."""
    from emodask.cluster import pin_threads
    from emodask.display import show_bundle
    from emodask.fitting import fit

    pin_threads()
    fitted = fit(job, store, bundle, model=model, storage_options=_options(storage_option))
    show_bundle(_console(), fitted, bundle)


@app.command(
    epilog="Examples: emodask predict bundle clip.mp4 | emodask predict bundle clip.mp4 clip.wav"
)
def predict(
    bundle: Annotated[str, typer.Argument(help="Folder or URL of a bundle.")],
    media: Annotated[list[str], typer.Argument(help="mp4, wav, both of one clip, URLs, zips.")],
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Say which emotion clips show: the two most likely, with probabilities."""
    from emodask.cluster import pin_threads
    from emodask.display import show_verdicts
    from emodask.prediction import predict

    pin_threads()
    verdicts = predict(bundle, media, _options(storage_option))
    if as_json:
        _print_json([verdict.as_dict() for verdict in verdicts])
    else:
        show_verdicts(_console(), verdicts)
    if any(verdict.error for verdict in verdicts):
        raise typer.Exit(1)


@app.command(
    epilog="Example: emodask run jobs/hog3d-spline.toml --source 'ravdess/*.zip' --out result"
)
def run(
    job: JobArgument,
    source: SourceOption,
    out: Annotated[str, typer.Option(help="Folder or URL for store.zarr, report/ and bundle/.")],
    scheduler: SchedulerOption = "local",
    workers: WorkersOption = None,
    retry_failed: RetryOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Extract, evaluate, fit and report, in one go. Run again to go on after a stop."""
    from emodask.cluster import connect
    from emodask.display import Reporter, show_run, show_summary
    from emodask.pipeline import run

    console = _console()
    reporter = Reporter(console)
    with connect(scheduler, workers) as client, reporter.bars("extract"):
        result = run(
            job,
            source,
            out,
            client,
            storage_options=_options(storage_option),
            retry_failed=retry_failed,
            on_progress=reporter.extract,
            on_extracted=lambda summary: show_summary(console, summary),
            on_fold=reporter.folds,
            on_fit=reporter.fit,
        )
    show_run(console, result)
    if result.summary.failed or result.summary.pending or result.stopped:
        raise typer.Exit(1)


@app.command(epilog="Example: emodask synth corpus --actors 6 --clips 16")
def synth(
    dest: Annotated[str, typer.Argument(help="Folder for the actor zips.")],
    actors: Annotated[int, typer.Option(min=1, help="How many actors.")] = 6,
    clips: Annotated[int, typer.Option(min=1, max=60, help="Clips an actor.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other people.")] = 0,
    size: Annotated[str, typer.Option(help="Width x height in pixels.")] = "426x240",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing zips.")] = False,
) -> None:
    """Write actor zips of animated faces with voices, named and laid out as RAVDESS is."""
    from emodask.demo import parse_size
    from emodask.display import Reporter, show_synth
    from emodask.sources.synth import synthesize

    console = _console()
    reporter = Reporter(console)
    with reporter.bars("synthesise"):
        files = synthesize(
            dest,
            actors=actors,
            clips=clips,
            seed=seed,
            size=parse_size(size),
            overwrite=overwrite,
            progress=reporter.synth,
        )
    show_synth(console, files)


@app.command(epilog="Example: emodask demo --out emodask-demo")
def demo(
    out: Annotated[
        str, typer.Option(help="Folder for the media and the results.")
    ] = "emodask-demo",
    actors: Annotated[int, typer.Option(min=2, help="How many actors to synthesise.")] = 5,
    clips: Annotated[int, typer.Option(min=8, max=60, help="Clips an actor.")] = 16,
    scheduler: SchedulerOption = "local",
    workers: WorkersOption = None,
) -> None:
    """Synthesise a small corpus and run the default job on it: about a minute or two."""
    from emodask.cluster import connect
    from emodask.demo import DEMO_CREDIT, DEMO_JOB, demo_media
    from emodask.display import Reporter, show_run, show_summary
    from emodask.pipeline import run

    console = _console()
    reporter = Reporter(console)
    with reporter.bars("synthesise"):
        sources = demo_media(out, actors, clips, reporter.synth)
    with connect(scheduler, workers) as client, reporter.bars("extract"):
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


@app.command(epilog="Example: emodask jobs")
def jobs() -> None:
    """List the jobs that emodask ships."""
    from emodask.display import show_jobs
    from emodask.job import load_job, shipped_jobs

    show_jobs(_console(), {path: load_job(path) for path in shipped_jobs().values()})


def main() -> None:
    """Run the command line: exit code 2 for misuse, 1 for failed work, 130 after Ctrl-C."""
    try:
        app()
    except EmodaskError as error:
        sys.stderr.write(f"emodask: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("EMODASK_DEBUG"):
            raise
        from emodask.sources.location import reason

        sys.stderr.write(
            f"emodask: unexpected {type(error).__name__}: {reason(error)}. "
            "EMODASK_DEBUG=1 shows where; please report it\n"
        )
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            sys.stderr.write(
                "\nemodask: stopped; what was committed is kept. Run the same command to go on\n"
            )
        raise
