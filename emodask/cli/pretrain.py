"""The command that trains a network other features build on: pretrain."""

from __future__ import annotations

from typing import Annotated

import typer

from emodask.cli.app import app
from emodask.cli.options import make_console


@app.command(
    rich_help_panel="Models",
    epilog="Example: emodask pretrain fer2013.csv --out expression.safetensors, then "
    "emodask run fer-transfer --weights expression=expression.safetensors …",
)
def pretrain(
    pictures: Annotated[
        str,
        typer.Argument(
            metavar="PICTURES",
            help="Folder with a subfolder of face pictures a class, or a CSV as FER-2013's.",
        ),
    ],
    out: Annotated[str, typer.Option(help="NAME.safetensors; NAME.json comes beside it.")],
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of all that is random.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="At most so many passes.")] = 60,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of the processor; as many as this process may use cores. Another number "
            "rounds otherwise.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda: where it computes.")] = "auto",
) -> None:
    """Train the expression network on labelled face pictures. Run again to go on after a stop."""
    from emodask.display.pretraining import epoch_line, result_line, set_line
    from emodask.networks.pretraining import Pretraining, pretrain

    console = make_console()
    about = pretrain(
        pictures,
        out,
        Pretraining(seed=seed, epochs=epochs),
        device=device,
        threads=threads,
        on_read=lambda labelled: console.print(set_line(labelled), soft_wrap=True, markup=False),
        on_epoch=lambda epoch, better: console.print(
            epoch_line(epoch, better), soft_wrap=True, markup=False
        ),
    )
    console.print(result_line(about, out), soft_wrap=True, markup=False)
