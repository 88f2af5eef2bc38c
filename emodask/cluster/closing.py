"""How a connection to a cluster closes: without accounts of what was asked for and is now cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from distributed import Client


def expect_lost_connections(client: Client) -> None:
    """From now on, say nothing of lost connections that nobody waits for.

    A scheduler asks all workers at once; where they are too busy to answer, they are ended first.
    Of the connections that are lost then Dask waits for one, and asyncio would report each of the
    others with a traceback, as late as after the loop is closed. Whatever else goes wrong is
    reported as before, and with ``EMODASK_DEBUG`` all is.

    Parameters
    ----------
    client : distributed.Client
        Its event loop is also that of a scheduler that this process has started.
    """
    from distributed.comm import CommClosedError

    if os.environ.get("EMODASK_DEBUG"):
        return
    loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop  # type: ignore[union-attr]
    before = loop.get_exception_handler()

    def report(where: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), CommClosedError):
            return
        if before is None:
            where.default_exception_handler(context)
        else:
            before(where, context)

    loop.set_exception_handler(report)
