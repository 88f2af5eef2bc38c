"""Tasks on a cluster: a bag of items, their results as they come, and items added on the way."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from emodask.errors import ClusterError
from emodask.sources.location import redact

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_EVERY = 2.0


class Tasks(Generic[Item, Result]):
    """Items under way on a cluster, each a partition of a Dask bag.

    Iterating gives ``(item, outcome)`` in order of completion; the outcome is the exception if the
    task failed. Items may be added while iterating.

    Parameters
    ----------
    function : callable
        Must pickle, and return something small.
    client : distributed.Client or None
        None computes one item after another in this process.

    Raises
    ------
    ClusterError
        While iterating, if the scheduler went away, or all workers did for as long as Dask's
        configuration ``emodask.worker-timeout`` says (ten minutes).
    """

    def __init__(self, function: Callable[[Item], Result], client: Client | None) -> None:
        self._function = function
        self._client = client
        self._waiting: deque[Item] = deque()
        self._under_way: dict[Any, tuple[Item, Any]] = {}
        self._finished: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def add(self, items: Sequence[Item]) -> None:
        """Submit more items."""
        if not items:
            return
        if self._client is None:
            self._waiting.extend(items)
            return
        futures: list[Any] = self._client.compute(self._parts(items))
        for item, future in zip(items, futures, strict=True):
            self._under_way[future.key] = (item, future)
            future.add_done_callback(self._finished.put)

    def cancel(self) -> None:
        """Give up what has not finished."""
        self._waiting.clear()
        if self._client is not None and self._under_way:
            self._client.cancel([future for _, future in self._under_way.values()])
        self._under_way.clear()

    def __iter__(self) -> Iterator[tuple[Item, Result | Exception]]:
        try:
            if self._client is None:
                yield from self._in_this_process()
            else:
                yield from self._on_the_cluster(self._client)
        finally:
            self.cancel()

    def _parts(self, items: Sequence[Item]) -> list[Any]:
        import dask.bag

        bag = dask.bag.from_sequence(items, npartitions=len(items)).map(self._function)
        parts: list[Any] = bag.to_delayed(optimize_graph=False)
        return parts

    def _in_this_process(self) -> Iterator[tuple[Item, Result | Exception]]:
        import dask

        while self._waiting:
            item = self._waiting.popleft()
            try:
                outcome = dask.compute(self._parts([item])[0], scheduler="sync")[0][0]
            except Exception as error:
                outcome = error
            yield item, outcome

    def _on_the_cluster(self, client: Client) -> Iterator[tuple[Item, Result | Exception]]:
        alone_since = None
        while self._under_way:
            try:
                future = self._finished.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                alone_since = self._look(client, alone_since)
                continue
            alone_since = None
            if future.key not in self._under_way:
                continue
            if future.status in ("cancelled", "lost"):
                raise _gone(client)
            item, _ = self._under_way.pop(future.key)
            try:
                outcome = future.exception() if future.status == "error" else future.result()[0]
            except (OSError, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
                raise _gone(client) from error
            finally:
                # Not left to its finaliser, where a Ctrl-C would be swallowed.
                future.release()
            yield item, outcome

    def _look(self, client: Client, alone_since: float | None) -> float | None:
        """See whether the scheduler and any worker are there; since when no worker is, if so."""
        import dask
        from dask.utils import parse_timedelta

        if client.status not in ("running", "connecting"):
            raise _gone(client)
        try:
            if client.status == "connecting" or client.scheduler_info()["workers"]:
                return None
        except OSError:
            return None  # a moment later its status says what has become of it
        if alone_since is None:
            return time.monotonic()
        patience = dask.config.get("emodask.worker-timeout", "10 minutes")
        if time.monotonic() - alone_since > parse_timedelta(patience):
            raise ClusterError(
                f"{_address(client)}: no worker for {patience}; what was committed is kept. Start "
                "workers and run the same command to go on"
            )
        return alone_since


def _gone(client: Client) -> ClusterError:
    return ClusterError(
        f"{_address(client)}: the scheduler went away; what was committed is kept. Run the same "
        "command to go on"
    )


def _address(client: Client) -> str:
    return redact(str(getattr(client.scheduler, "address", "the cluster")))


def run_bag(
    function: Callable[[Item], Result], items: Sequence[Item], client: Client | None
) -> Iterator[tuple[Item, Result | Exception]]:
    """Map a function over a Dask bag with one item a partition, and yield as items finish.

    Parameters
    ----------
    function : callable
        Must pickle, and return something small.
    items : sequence
    client : distributed.Client or None
        None computes one after another in this process.

    Yields
    ------
    item, result
        In order of completion; the exception in place of a result if the task failed.
    """
    tasks = Tasks(function, client)
    tasks.add(items)
    yield from tasks


def killed_its_workers(outcome: object) -> bool:
    """Whether a task failed because the workers that it ran on died under it."""
    from distributed.scheduler import KilledWorker

    return isinstance(outcome, KilledWorker)
