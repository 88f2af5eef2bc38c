"""What becomes of zarr's event loop when the interpreter ends: its work is cancelled, it stops."""

from __future__ import annotations

import asyncio
import contextlib

from zarr.core import sync as zarr_sync

_LIMIT = 5.0
"""Seconds that the end of the interpreter waits for requests to be cancelled, and for the loop."""


def end_loop() -> None:
    """Cancel what zarr still has under way, and stop its loop.

    Where one of many chunks fails for good, zarr lets the others go on: Python would report each on
    stderr, as a task that was destroyed, when zarr closes its event loop. And zarr gives the loop's
    thread a fifth of a second: on a busy machine it would close a loop that still runs, and say so
    with a traceback. A loop that does not stop in time is left to end with the process.
    """
    loop, thread = zarr_sync.loop[0], zarr_sync.iothread[0]
    if loop is None or thread is None:
        return

    async def cancel() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(cancel(), loop).result(_LIMIT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_LIMIT)
    if thread.is_alive():
        zarr_sync.loop[0] = zarr_sync.iothread[0] = None
