"""The event loop of a download: in a thread of its own, so that signals and notebooks do no harm.

Ctrl-C and SIGTERM are raised where the caller waits, not inside a transfer; the loop is then told
to end, and ends in order: parts are closed and uploads withdrawn.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
News = TypeVar("News")


class ListenerError(Exception):
    """Whatever a listener raised when it was told the news: the end of the download.

    Attributes
    ----------
    error : BaseException
        ``SystemExit`` too, as of a terminal that was closed.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def listener(on_news: Callable[[News], None] | None) -> Callable[[News], None]:
    """A callback whose own failure is not taken for that of a file."""

    def tell(news: News) -> None:
        try:
            if on_news is not None:
                on_news(news)
        except BaseException as error:
            raise ListenerError(error) from error

    return tell


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine; what interrupts the wait for it cancels it and is raised.

    Raises
    ------
    BaseException
        What the coroutine or a listener raised, or what a signal did.
    """
    started = threading.Event()
    cancel: list[Callable[[], object]] = []

    async def begin() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        started.set()
        return await work

    with ThreadPoolExecutor(1) as pool:
        loop_run: Callable[..., Result] = asyncio.run
        future = pool.submit(loop_run, begin())
        try:
            return future.result()
        except ListenerError as failed:
            raise failed.error from None
        except BaseExceptionGroup as group:
            first = group.exceptions[0]
            raise (first.error if isinstance(first, ListenerError) else first) from None
        except BaseException:
            started.wait()
            with contextlib.suppress(RuntimeError):  # the loop has ended
                cancel[0]()
            raise


async def in_thread(call: Callable[..., Result], *arguments: Any) -> Result:
    """Run a blocking call in a thread; when cancelled, end only after it has ended."""
    task = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
