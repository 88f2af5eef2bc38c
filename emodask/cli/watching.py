"""The options that show a job on a page while it runs, and what they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from emodask.errors import UsageError

if TYPE_CHECKING:
    from emodask.display import EventReporter, Reporter, Together

_PANEL = "Watching it"
PageOption = Annotated[
    bool,
    typer.Option(
        "--page",
        rich_help_panel=_PANEL,
        help="Show how far it is on a page that this machine alone can open, until the command "
        "ends.",
    ),
]
PagePortOption = Annotated[
    int | None,
    typer.Option(
        "--page-port",
        min=0,
        max=65535,
        rich_help_panel=_PANEL,
        help="Port of that page; 0, the default, takes one that is free.",
    ),
]


@contextmanager
def watched(
    reporter: Reporter | EventReporter, page: bool, port: int | None
) -> Iterator[Reporter | EventReporter | Together]:
    """A reporter whose news are shown on a page too, if that is wanted, for the time of a command.

    Raises
    ------
    UsageError
        If the port cannot be taken, or the extra is not installed.
    """
    if not page:
        if port is not None:
            raise UsageError("--page-port is the port of a page: add --page")
        yield reporter
        return
    from emodask.display import EventReporter, Together
    from emodask.page.serving import page_packages

    with page_packages():
        from emodask.page.live.live_page import LivePage
    with LivePage(port or 0, reporter.say) as live:
        reporter.say(f"watch {live.address}")
        yield Together(reporter, EventReporter(live.take, every=0))
