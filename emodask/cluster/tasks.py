"""Tasks on a cluster: a bag of items, few at a time, and their results as they come."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from emodask.errors import ClusterError
from emodask.sources.location import redact

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_EVERY = 2.0
_PER_THREAD = 4
_AT_LEAST = 8


def window(threads: int) -> int:
    """How many tasks the scheduler holds at most: four a thread of the workers, and eight at least.

    More would only fill the scheduler's memory; fewer would let workers wait. It grows with the
    workers that join, and a cluster that scales by its work sees enough of it to grow.

    Examples
    --------
    >>> window(1), window(2), window(100)
    (8, 8, 400)
    """
    return max(_AT_LEAST, _PER_THREAD * threads)


class Tasks(Generic[Item, Result]):
    """Items computed on a cluster, each a partition of a Dask bag; few are there at any time.

    Iterating gives ``(item, outcome)`` in order of completion; the outcome is the exception if the
    task failed. Of the items, only as many are drawn and submitted as :func:`window` says; when
    half of them have finished, others follow. Items may be added while iterating.

    Parameters
    ----------
    function : callable
        Must pickle, and return something small.
    client : distributed.Client or None
        None computes one item after another in this process.
    items : iterable
        May be a generator, however long.
    shared : callable, optional
        Of an item: a future of the cluster, or any value in this process, that the function takes
        as its second argument. Many items may share one; a worker fetches it once.

    Raises
    ------
    ClusterError
        While iterating, if the scheduler went away, or all workers did for as long as Dask's
        configuration ``emodask.worker-timeout`` says (ten minutes).
    """

    def __init__(
        self,
        function: Callable[..., Result],
        client: Client | None,
        items: Iterable[Item] = (),
        shared: Callable[[Item], Any] | None = None,
    ) -> None:
        self._function = function
        self._shared = shared
        self._client = client
        self._waiting = iter(items)
        self._next: deque[Item] = deque()
        self._alone: deque[Item] = deque()
        self._under_way: dict[Any, tuple[Item, Any]] = {}
        self._finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._most = 0
        self._counted = -math.inf

    def add(self, item: Item, alone: bool = False) -> None:
        """Add an item that comes before all those that wait.

        Parameters
        ----------
        item
        alone : bool
            Compute it while nothing else of these items is under way: a worker that then dies
            has died of it.
        """
        (self._alone if alone else self._next).append(item)

    def cancel(self) -> None:
        """Give up what has not finished."""
        self._waiting = iter(())
        self._next.clear()
        self._alone.clear()
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
        """A bag of some items, a partition and a task each."""
        import dask.bag
        from dask.utils import funcname

        name = f"{funcname(self._function)}-{uuid4().hex}"
        graph: dict[Any, Any] = {(name, i): self._task(item) for i, item in enumerate(items)}
        parts: list[Any] = dask.bag.Bag(graph, name, len(items)).to_delayed(optimize_graph=False)
        return parts

    def _task(self, item: Item) -> tuple[Any, ...]:
        work = partial(_partition, self._function, item)
        if self._shared is None:
            return (work,)
        shared = self._shared(item)
        # Dask puts its value in the place of a future, and leaves anything else alone in a partial.
        return (partial(work, shared),) if self._client is None else (work, shared)

    def _in_this_process(self) -> Iterator[tuple[Item, Result | Exception]]:
        import dask

        while True:
            added = self._next or self._alone
            lot = [added.popleft()] if added else list(islice(self._waiting, 1))
            if not lot:
                return
            try:
                outcome = dask.compute(self._parts(lot)[0], scheduler="sync")[0][0]
            except Exception as error:
                outcome = error
            yield lot[0], outcome

    def _top_up(self, client: Client) -> None:
        """Submit what there is room for."""
        if self._next:
            self._submit(client, [self._next.popleft() for _ in range(len(self._next))], 1)
        elif self._alone:
            if not self._under_way:
                self._submit(client, [self._alone.popleft()], 1)
        elif 2 * len(self._under_way) < self._window(client):
            # Lots of more than two a thread: these Dask keeps on its scheduler, and gives a worker
            # one to compute and one to come; fewer it would deal out at once.
            room = self._most - len(self._under_way)
            self._submit(client, list(islice(self._waiting, room)), 0)

    def _window(self, client: Client) -> int:
        now = time.monotonic()
        if now - self._counted >= _LOOK_EVERY and client.status == "running":
            self._counted = now
            # While the scheduler does not answer, what it last said holds.
            with contextlib.suppress(OSError):
                self._most = window(sum(client.nthreads().values()))
        self._most = self._most or window(0)
        return self._most

    def _submit(self, client: Client, items: Sequence[Item], priority: int) -> None:
        if not items:
            return
        futures: list[Any] = client.compute(self._parts(items), priority=priority)
        for item, future in zip(items, futures, strict=True):
            self._under_way[future.key] = (item, future)
            future.add_done_callback(self._finished.put)

    def _on_the_cluster(self, client: Client) -> Iterator[tuple[Item, Result | Exception]]:
        alone_since = None
        while True:
            self._top_up(client)
            if not self._under_way:
                return
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
                outcome = self._outcome(client, future)
            finally:
                # Not left to its finaliser, where a Ctrl-C would be swallowed.
                future.release()
            yield item, outcome

    def _outcome(self, client: Client, future: Any) -> Result | Exception:
        """Fetch what a future has come to.

        A worker may die before it has handed over what it computed. Dask computes that again as
        soon as there is a worker, which may be never.
        """
        alone_since = None
        while True:
            try:
                if future.status == "error":
                    failed: Exception = future.exception(timeout=_LOOK_EVERY)
                    return failed
                (result,) = future.result(timeout=_LOOK_EVERY)
            except TimeoutError:
                alone_since = self._look(client, alone_since)
            except (OSError, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
                raise _gone(client) from error
            except Exception:
                if future.status != "error":  # it failed when it was computed again
                    raise
            else:
                return result

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


def _partition(function: Callable[..., Result], item: Item, *shared: Any) -> list[Result]:
    return [function(item, *shared)]


def _gone(client: Client) -> ClusterError:
    return ClusterError(
        f"{_address(client)}: the scheduler went away; what was committed is kept. Run the same "
        "command to go on"
    )


def _address(client: Client) -> str:
    return redact(str(getattr(client.scheduler, "address", "the cluster")))


def run_bag(
    function: Callable[[Item], Result], items: Iterable[Item], client: Client | None
) -> Iterator[tuple[Item, Result | Exception]]:
    """Map a function over a Dask bag with one item a partition, and yield as items finish.

    Parameters
    ----------
    function : callable
        Must pickle, and return something small.
    items : iterable
    client : distributed.Client or None
        None computes one after another in this process.

    Yields
    ------
    item, result
        In order of completion; the exception in place of a result if the task failed.
    """
    yield from Tasks(function, client, items)


def killed_its_workers(outcome: object) -> bool:
    """Whether a task failed because the workers that it ran on died under it."""
    from distributed.scheduler import KilledWorker

    return isinstance(outcome, KilledWorker)
