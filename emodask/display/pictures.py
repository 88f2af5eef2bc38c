"""What the terminal says of pictures: files of each clip, what was left out, where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from emodask.sources.addresses import redact

if TYPE_CHECKING:
    from rich.console import Console

    from emodask.pictures.plotting import Plotted


def show_plotted(console: Console, one: Plotted) -> None:
    """One clip: which pictures there are of it, and why others are not."""
    name = one.clip.clip_id
    kinds = [file.removeprefix(f"{name}-") for file in one.files]
    if not one.failed:
        console.print(escape(f"{name} {one.clip.emotion}: {', '.join(kinds)}"), soft_wrap=True)
    for line in one.left_out:
        shown = f"  left out, {line}"
        if one.failed:
            shown = line if line.startswith(name) else f"{name}: {line}"
        console.print(f"[yellow]{escape(shown)}[/yellow]", soft_wrap=True)
    if one.failed and not one.left_out:
        console.print(f"[yellow]{escape(name)}: nothing of it can be drawn[/yellow]")


def show_plotting(console: Console, plotted: Sequence[Plotted], out: str) -> None:
    """All clips: how many were drawn, and where the pictures are."""
    drawn = sum(not one.failed for one in plotted)
    console.print(
        f"pictures of {drawn} clip{'' if drawn == 1 else 's'}: {escape(redact(out))}",
        soft_wrap=True,
    )
