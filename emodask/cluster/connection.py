"""Makes the Dask client of a job, whatever the cluster."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emodask.cluster.threads import THREAD_VARIABLES, pin_threads
from emodask.errors import UsageError
from emodask.sources.location import redact

if TYPE_CHECKING:
    from distributed import Client


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


def current_client() -> Client | None:
    """The client that the caller has made and that is still connected, if any."""
    try:
        from distributed import default_client

        return default_client()
    except ValueError:
        return None
