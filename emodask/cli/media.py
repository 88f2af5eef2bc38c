"""Commands on media: scan, synth."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import (
    JsonOption,
    StorageOption,
    make_console,
    print_json,
    storage_options,
)


@app.command(rich_help_panel="Media", epilog="Example: emodask scan 'ravdess/*.zip'")
def scan(
    source: Annotated[list[str], typer.Argument(help="Zips, folders, globs, URLs, manifest CSVs.")],
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """List the clips that sources hold, and what is missing, doubled or unreadable."""
    from emodask.display import catalogue_dict, show_catalogue
    from emodask.sources.catalogue import scan

    catalogue = scan(source, storage_options(storage_option))
    if as_json:
        print_json(catalogue_dict(catalogue))
    else:
        show_catalogue(make_console(), catalogue)
    if not catalogue.clips:
        raise typer.Exit(1)


@app.command(rich_help_panel="Media", epilog="Example: emodask synth corpus --actors 6 --clips 16")
def synth(
    dest: Annotated[str, typer.Argument(help="Folder for the actor zips.")],
    actors: Annotated[int, typer.Option(min=1, help="How many actors.")] = 6,
    clips: Annotated[int, typer.Option(min=1, max=60, help="Clips an actor.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other people.")] = 0,
    size: Annotated[str, typer.Option(help="Width x height in pixels.")] = "426x240",
    song: Annotated[bool, typer.Option("--song", help="Sung clips in place of spoken.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing zips.")] = False,
) -> None:
    """Write actor zips of animated faces with voices, named and laid out as RAVDESS is."""
    from emodask.demo import parse_size
    from emodask.display import Reporter, show_synth
    from emodask.sources.synth import synthesize

    console = make_console()
    reporter = Reporter(console)
    with reporter.bars("synthesise"):
        files = synthesize(
            dest,
            actors=actors,
            clips=clips,
            seed=seed,
            size=parse_size(size),
            channel="song" if song else "speech",
            overwrite=overwrite,
            progress=reporter.synth,
        )
    show_synth(console, files)
