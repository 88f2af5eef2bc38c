"""Asking again: a bounded number of times, waiting longer each time, only for what may pass."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from emodask.sources.faults import asked_wait, is_transient

TRIES = 5
"""How often something is asked for, on top of what the file system's own package does."""

FIRST_WAIT = 0.5
"""Seconds before the second try; the waits double from there."""

LONGEST_WAIT = 8.0

LONGEST_ASKED = 60.0
"""Seconds that a server may ask to be left alone; one that asks for more counts as absent."""

ENOUGH = 150.0
"""Seconds after which nothing is asked for once more: each try may have been long."""

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


class _Tries:
    """How often something was asked for, and for how long."""

    def __init__(self) -> None:
        self.failed = 0
        self.began = time.monotonic()

    def wait_after(self, error: Exception) -> float | None:
        """Seconds until the next try, None if there is to be none."""
        self.failed += 1
        if not is_transient(error) or self.failed >= TRIES:
            return None
        asked = asked_wait(error)
        if asked > LONGEST_ASKED or time.monotonic() - self.began > ENOUGH:
            return None
        return max(wait_before(self.failed), asked)


def retrying(call: Callable[[], Result]) -> Result:
    """The result of a call, repeated while its error is one that may pass."""
    tries = _Tries()
    while True:
        try:
            return call()
        except Exception as error:
            wait = tries.wait_after(error)
            if wait is None:
                raise
        time.sleep(wait)


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
    tries = _Tries()
    while True:
        try:
            return await asyncio.wait_for(call(), limit)
        except Exception as error:
            wait = tries.wait_after(error)
            if wait is None:
                raise
        await asyncio.sleep(wait)
