"""The only place that makes a Dask client: clusters, thread pinning, tasks and their results."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from emodask.errors import UsageError
from emodask.sources.location import redact

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def pin_threads(threads: int = 1) -> None:
    """Hold BLAS, OpenMP, Numba and OpenCV of this process to some threads.

    Parallelism is by processes: threads below a worker's own would fight for its cores.
    """
    import cv2
    import threadpoolctl

    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    cv2.setNumThreads(threads)
    threadpoolctl.threadpool_limits(threads)


def _prepare_worker() -> None:
    pin_threads()
    # Ctrl-C reaches the whole process group; the client alone decides what then happens.
    # A worker in a thread of the client's process has no signals of its own: ValueError.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def connect(scheduler: str = "local", workers: int | None = None) -> Iterator[Client | None]:
    """A Dask client for the time of a job.

    Parameters
    ----------
    scheduler : str
        ``local`` starts a cluster of single-threaded worker processes on this machine;
        ``sync`` runs everything in this process, for debugging; ``tcp://host:port`` (or ``tls://``,
        ``ucx://``) joins a running scheduler.
    workers : int, optional
        Processes of a local cluster; one per core by default.

    Yields
    ------
    distributed.Client or None
        None for ``sync``.

    Raises
    ------
    UsageError
        If the scheduler is none of these, or does not answer.
    """
    if scheduler == "sync":
        pin_threads()
        yield None
        return
    import dask
    from distributed import Client, LocalCluster

    if scheduler == "local":
        # Without Dask's MALLOC_TRIM_THRESHOLD_: returning every freed frame to the system at once
        # made extraction a quarter slower and saved a worker 3 % of its peak memory.
        environment = dict.fromkeys(THREAD_VARIABLES, "1")
        with (
            dask.config.set({"distributed.nanny.pre-spawn-environ": environment}),
            LocalCluster(
                n_workers=workers or os.cpu_count() or 1,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                silence_logs="CRITICAL",
            ) as cluster,
            Client(cluster) as client,
        ):
            client.run(_prepare_worker)
            yield client
    elif "://" in scheduler:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageError(
                f"{redact(scheduler)}: no Dask scheduler answers there ({type(error).__name__}); "
                "start one with 'dask scheduler', or use --scheduler local"
            ) from error
        with client:
            if not client.scheduler_info()["workers"]:
                raise UsageError(f"{redact(scheduler)}: the scheduler has no workers")
            client.run(_prepare_worker)
            yield client
    else:
        raise UsageError(
            f"unknown scheduler {scheduler!r}; use local, sync, or an address such as tcp://host:8786"
        )


@contextmanager
def in_process() -> Iterator[None]:
    """Compute here, lazy arrays chunk by chunk and BLAS in one thread.

    A task must not wait for its own cluster; and the same numbers come out wherever it runs.
    """
    import dask
    import threadpoolctl

    with dask.config.set(scheduler="sync"), threadpoolctl.threadpool_limits(1):
        yield


def current_client() -> Client | None:
    """The client that the caller has made and that is still connected, if any."""
    try:
        from distributed import default_client

        return default_client()
    except ValueError:
        return None


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
    if not items:
        return
    import dask
    import dask.bag

    bag = dask.bag.from_sequence(items, npartitions=len(items)).map(function)
    parts = bag.to_delayed(optimize_graph=False)
    if client is None:
        for item, part in zip(items, parts, strict=True):
            try:
                yield item, dask.compute(part, scheduler="sync")[0][0]
            except Exception as error:
                yield item, error
        return
    from distributed import as_completed

    futures: list[Any] = client.compute(parts)
    by_key = {future.key: item for future, item in zip(futures, items, strict=True)}
    try:
        for future in as_completed(futures):
            item = by_key[future.key]
            yield item, future.exception() if future.status == "error" else future.result()[0]
    finally:
        client.cancel(futures)
