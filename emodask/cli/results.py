"""Commands on results of runs: compare, leaderboard, plot."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import (
    JsonOption,
    SourceOption,
    StorageOption,
    StoreArgument,
    make_console,
    print_json,
    storage_options,
)


@app.command(
    rich_help_panel="Results",
    epilog="Example: emodask compare result-spline result-hog3d --model svc:mlp",
)
def compare(
    run_a: Annotated[
        str, typer.Argument(metavar="RUN_A", help="Folder or URL of a run, or of its report.")
    ],
    run_b: Annotated[
        str, typer.Argument(metavar="RUN_B", help="Another, or the same for two of its models.")
    ],
    protocol: Annotated[str, typer.Option(help="One that both ran.")] = "loso",
    model: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="The model of each; the first of each by default."),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Compare on the clips that both were tested on.")
    ] = False,
    as_json: JsonOption = False,
    storage_option: StorageOption = None,
) -> None:
    """Say whether one run is better than another on the same clips, and how surely.

    Differences of UAR, accuracy and each emotion's recall, RUN_B minus RUN_A, with 95 % intervals
    that draw the same actors for both; and McNemar's exact test on single clips.
    """
    from emodask.evaluation.compare import compare

    found = compare(
        run_a,
        run_b,
        protocol=protocol,
        model=model,
        common=common,
        storage_options=storage_options(storage_option),
    )
    if as_json:
        print_json(found.as_dict())
    else:
        from emodask.display.results import show_comparison

        show_comparison(make_console(), found)


@app.command(
    rich_help_panel="Results",
    epilog="Example: emodask leaderboard 'results/*' --out leaderboard.html",
)
def leaderboard(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUNS", help="Runs, folders of runs or globs; paths or URLs."),
    ],
    out: Annotated[
        str, typer.Option(metavar="PAGE", help="Path or URL of the HTML page to write.")
    ] = "leaderboard.html",
    storage_option: StorageOption = None,
) -> None:
    """Put many runs side by side: a table here, and one page that needs nothing but itself.

    One row for each run and model, sorted by the UAR under loso; leaky protocols come last and are
    named so. Exits with 1 if a run had to be left out.
    """
    from emodask.display.results import show_leaderboard
    from emodask.evaluation.pages.leaderboard import leaderboard

    board = leaderboard(runs, out, storage_options=storage_options(storage_option))
    show_leaderboard(make_console(), board, out)
    if board.skipped:
        raise typer.Exit(1)


@app.command(
    rich_help_panel="Results",
    epilog="Examples: emodask plot result/store.zarr | emodask plot result/store.zarr "
    "--clip 03-01-05-01-01-01-12 --source 'ravdess/*.zip' --out pictures",
)
def plot(
    store: StoreArgument,
    clip: Annotated[
        list[str] | None,
        typer.Option(
            "--clip",
            metavar="CLIP",
            help="Name of a clip or of a file of it; by default one of each emotion. Repeatable.",
        ),
    ] = None,
    source: SourceOption = None,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder or URL for the pictures.")
    ] = "pictures",
    storage_option: StorageOption = None,
) -> None:
    """Draw what the models see of clips: gradients of the face, curves of the voice.

    PNGs of a frame, its gradient magnitude, azimuth, polar angle and HOG3D
    cells; of waveform and mel spectrogram; of the 34 curves and their spline
    fits; of the B-spline basis. A GIF shows the gradients in motion.

    Media are read from --source, by default from where the run.json beside
    the store says; cells, fits and basis need none. Exits with 1 if nothing
    of some clip can be drawn.
    """
    from emodask.display.pictures import show_plotted, show_plotting
    from emodask.pictures.plotting import plot

    console = make_console()
    plotted = plot(
        store,
        out,
        clip or (),
        source or (),
        storage_options=storage_options(storage_option),
        on_clip=lambda one: show_plotted(console, one),
    )
    show_plotting(console, plotted, out)
    if any(one.failed for one in plotted):
        raise typer.Exit(1)
