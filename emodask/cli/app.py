"""The command line's root: its name, its help, its version."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask import __version__

app = typer.Typer(
    name="emodask",
    help="Actor zips in, an honest emotion report out.",
    epilog="Exit codes: 0 done, 1 some work failed, 2 misuse, 130 and 143 stopped by Ctrl-C or "
    "SIGTERM; what was committed is kept. Begin with: emodask demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
