"""Asking again: a bounded number of times, waiting longer each time, only for what may pass."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from emodask.sources.faults import is_transient

TRIES = 5
"""How often something is asked for, on top of what the file system's own package does."""

FIRST_WAIT = 0.5
"""Seconds before the second try; the waits double from there."""

LONGEST_WAIT = 8.0

PATIENCE = 60.0
"""Seconds that a request may take before it counts as lost, whatever its size."""

SLOWEST = 50_000
"""Bytes a second below which a connection counts as stalled."""

Result = TypeVar("Result")


def time_limit(size: int) -> float:
    """Seconds that a request for so many bytes may take."""
    return PATIENCE + size / SLOWEST


def wait_before(again: int) -> float:
    """Seconds to wait before a repetition, the first being 1.

    Up to half of it is left to chance, so that workers which failed together do not return
    together.
    """
    longest = min(FIRST_WAIT * 2 ** (again - 1), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)


def retrying(call: Callable[[], Result]) -> Result:
    """The result of a call, repeated while its error is one that may pass."""
    for again in range(1, TRIES):
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
        time.sleep(wait_before(again))
    return call()


async def retrying_async(
    call: Callable[[], Awaitable[Result]], limit: float | None = None
) -> Result:
    """The result of a coroutine, made anew while its error is one that may pass.

    Parameters
    ----------
    call : callable
        Gives a fresh awaitable for each try.
    limit : float, optional
        Seconds that one try may take.
    """
    for again in range(1, TRIES):
        try:
            return await asyncio.wait_for(call(), limit)
        except Exception as error:
            if not is_transient(error):
                raise
        await asyncio.sleep(wait_before(again))
    return await asyncio.wait_for(call(), limit)
