"""Arguments and options that commands share, and how they are read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emodask.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from emodask.display import EventReporter, Reporter

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job file, or the name of one that emodask ships.")
]
StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="Path or URL of a store.")]
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", "-s", help="Zip, folder, glob, URL or manifest CSV. Repeatable."),
]
TableOption = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        metavar="NAME=FILE",
        help="CSV or Parquet (path or URL) of a feature that is a table. Repeatable.",
    ),
]
WeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="NAME=FILE",
        help="Weights (path or URL) of a feature that a network computes. Repeatable.",
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A model of the job to evaluate, instead of all. Repeatable.",
    ),
]
_CLUSTER = "Where it runs"
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_CLUSTER,
        help="local (processes on this machine, the default), sync (in this process), slurm, "
        "kubernetes, tcp://host:8786, tls://host:8786, or file:scheduler.json.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, rich_help_panel=_CLUSTER, help="Workers to start; one per core on this machine."
    ),
]
MaxWorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, rich_help_panel=_CLUSTER, help="Scale between --workers and this as needed."
    ),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", rich_help_panel=_CLUSTER, help="Memory of one worker, such as 4GiB."
    ),
]
ClusterConfigOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_CLUSTER,
        help=r"TOML with all of this, \[tls], \[slurm], \[kubernetes]; or set EMODASK_CLUSTER.",
    ),
]
ClipTimeoutOption = Annotated[
    float,
    typer.Option(
        min=0.1, metavar="SECONDS", help="Give a clip up that takes longer to decode and compute."
    ),
]
CLIP_TIMEOUT = 300.0
PicturesOption = Annotated[
    bool,
    typer.Option(
        "--pictures/--no-pictures",
        help="Show in the report what the models see: faces and voices of one clip an emotion.",
    ),
]
StorageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-option",
        metavar="KEY=VALUE",
        help="Passed to fsspec; s3:KEY=VALUE to the addresses of that protocol alone. Repeatable.",
    ),
]
RetryOption = Annotated[bool, typer.Option("--retry-failed", help="Compute failed clips again.")]
SoundsOption = Annotated[
    bool,
    typer.Option(
        "--sounds/--no-sounds", help="Whether the report holds the sound of its surest mistakes."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
LOG_JSON = "--log-json"
LogJsonOption = Annotated[
    bool,
    typer.Option(LOG_JSON, help="Log events on standard error, one JSON object a line."),
]


def make_console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def make_reporter(log_json: bool, stderr: bool = False) -> Reporter | EventReporter:
    from emodask.display import EventReporter, Reporter

    return EventReporter() if log_json else Reporter(make_console(stderr))


def storage_options(pairs: list[str] | None) -> dict[str, Any]:
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


def table_places(pairs: list[str] | None) -> dict[str, str]:
    return _places(pairs, "--table", "action_units=openface.csv", "table")


def weight_places(pairs: list[str] | None) -> dict[str, str]:
    return _places(pairs, "--weights", "vgg16=vgg16-397923af.pth", "feature")


def _places(pairs: list[str] | None, option: str, example: str, each: str) -> dict[str, str]:
    places: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, place = pair.partition("=")
        if not (name and equals and place):
            raise UsageError(f"{option} takes NAME=FILE, such as {example}")
        if name in places:
            raise UsageError(f"{option} names {name} twice; one file a {each}")
        places[name] = place
    return places


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")
