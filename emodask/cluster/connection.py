"""Makes the Dask client of a job, whatever the cluster."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emodask.cluster.closing import expect_lost_connections
from emodask.cluster.settings import SCHEDULERS, ClusterSettings, load_settings
from emodask.cluster.starting import kubernetes_cluster, local_cluster, slurm_cluster
from emodask.cluster.threads import pin_threads
from emodask.errors import ClusterError, UsageError
from emodask.sources.location import redact

if TYPE_CHECKING:
    from distributed import Client

_STARTING = {"local": local_cluster, "slurm": slurm_cluster, "kubernetes": kubernetes_cluster}
_PATIENCE = {"slurm": "24 hours", "kubernetes": "1 hour"}
"""How long to wait for a first worker where workers have to be granted; a minute elsewhere."""
_PROTOCOLS = ("tcp", "tls", "ws", "wss", "ucx", "inproc")


@contextmanager
def connect(
    scheduler: str | None = None,
    workers: int | None = None,
    *,
    max_workers: int | None = None,
    memory_limit: str | None = None,
    config: str | Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Client | None]:
    """A Dask client for the time of a job.

    Parameters
    ----------
    scheduler : str, optional
        ``local`` (the default) starts single-threaded worker processes on this machine; ``slurm``
        and ``kubernetes`` start workers there; ``sync`` runs everything in this process, for
        debugging; ``tcp://host:port``, ``tls://host:port`` and ``file:scheduler.json`` join a
        running scheduler.
    workers : int, optional
        How many to start: by default one per core on this machine, one elsewhere.
    max_workers : int, optional
        Scale between ``workers`` and this, as there is work.
    memory_limit : str, optional
        Of one worker, such as ``4GiB``; a worker that exceeds it is started anew.
    config : str or Path, optional
        A cluster file, see :func:`emodask.cluster.settings.load_settings`.
    tell : callable, optional
        Takes lines for the user: the dashboard's address, what is being waited for.

    Yields
    ------
    distributed.Client or None
        None for ``sync``.

    Raises
    ------
    UsageError
        If the scheduler is none of these, or does not answer.
    ClusterError
        If no worker comes, or one has another emodask.
    """
    settings = load_settings(
        config,
        scheduler=scheduler,
        workers=workers,
        max_workers=max_workers,
        memory_limit=memory_limit,
    )
    kind = settings.cluster.scheduler
    if kind == "sync":
        _refuse_worker_options(settings)
        pin_threads()
        yield None
        return
    import dask

    with ExitStack() as stack:
        if kind in _STARTING:
            cluster = stack.enter_context(_STARTING[kind](settings))
            client = _client(cluster)
        else:
            _refuse_worker_options(settings)
            client = _join(kind, settings)
        stack.enter_context(client)
        stack.enter_context(client.as_current())
        _quieten()
        try:
            patience = settings.cluster.worker_timeout or _PATIENCE.get(kind, "60s")
            _wait_for_a_worker(client, patience, tell or (lambda line: None))
            from emodask.cluster.plugin import prepared_workers

            stack.enter_context(prepared_workers(client))
            if tell and client.dashboard_link:
                tell(f"dashboard: {redact(client.dashboard_link)}")
            stack.enter_context(
                dask.config.set({"emodask.worker-timeout": _timeout(settings, kind)})
            )
            yield client
        finally:
            expect_lost_connections(client)


def _timeout(settings: ClusterSettings, kind: str) -> str:
    return settings.cluster.worker_timeout or _PATIENCE.get(kind, "10 minutes")


def _refuse_worker_options(settings: ClusterSettings) -> None:
    wanted = settings.cluster
    for option in ("workers", "max_workers", "memory_limit"):
        if getattr(wanted, option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} has no meaning with --scheduler "
                f"{redact(wanted.scheduler)}: nothing is started there"
            )


def _client(target: Any, **options: Any) -> Client:
    from distributed import Client

    # One that fails to connect would stay the default, for good: it becomes so once connected.
    return Client(target, timeout="10s", set_as_default=False, **options)


def _join(scheduler: str, settings: ClusterSettings) -> Client:
    options: dict[str, Any] = {}
    address = scheduler
    if scheduler.startswith("file:"):
        address = _address_in(Path(scheduler.removeprefix("file:").removeprefix("//")))
    elif "://" not in scheduler:
        raise UsageError(
            f"unknown scheduler {scheduler!r}; use {', '.join(SCHEDULERS)}, file:scheduler.json, "
            "or an address such as tcp://host:8786"
        )
    else:
        _check_address(scheduler, settings)
    if settings.tls is not None:
        from distributed.security import Security

        for path in (settings.tls.ca, settings.tls.cert, settings.tls.key):
            if not Path(path).is_file():
                raise UsageError(f"{path}: no such file; [tls] in the cluster file names it")
        options["security"] = Security(
            tls_ca_file=settings.tls.ca,
            tls_client_cert=settings.tls.cert,
            tls_client_key=settings.tls.key,
            require_encryption=True,
        )
    try:
        return _client(address, **options)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        hint = "start one with 'dask scheduler', or use --scheduler local"
        if address.startswith("tls://"):
            hint = "its certificate authority, this client's certificate and key belong into [tls]"
        raise UsageError(
            f"{redact(scheduler)}: no Dask scheduler answers there ({type(error).__name__}); {hint}"
        ) from error


def _check_address(scheduler: str, settings: ClusterSettings) -> None:
    """Refuse what no client can connect to: one that fails at once is not closed in order."""
    import dask

    protocol, _, host = scheduler.partition("://")
    if protocol not in _PROTOCOLS or not host.strip("/"):
        raise UsageError(
            f"unknown scheduler {redact(scheduler)!r}; an address is such as tcp://host:8786, with "
            f"one of the protocols {', '.join(_PROTOCOLS)}"
        )
    encrypted = protocol in ("tls", "wss")
    elsewhere = dask.config.get("distributed.comm.tls.ca-file", None)
    if encrypted and settings.tls is None and not elsewhere:
        raise UsageError(
            f"{redact(scheduler)}: an encrypted scheduler; its certificate authority, this "
            "client's certificate and key belong into [tls] of a cluster file (--cluster-config)"
        )


def _address_in(path: Path) -> str:
    """The address in a scheduler file, as ``dask scheduler --scheduler-file`` writes it."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except OSError as error:
        raise UsageError(f"{path}: no scheduler file: {(error.strerror or '').lower()}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not a scheduler file; 'dask scheduler --scheduler-file {path}' writes one"
        ) from error


def _wait_for_a_worker(client: Client, patience: str, tell: Callable[[str], None]) -> None:
    from dask.utils import parse_timedelta

    if client.nthreads():
        return
    tell(f"waiting for workers, {patience} at most")
    try:
        client.wait_for_workers(1, timeout=parse_timedelta(patience))
    except TimeoutError as error:
        where = redact(str(getattr(client.scheduler, "address", "the scheduler")))
        raise ClusterError(f"{where}: the scheduler has no workers after {patience}") from error


def _quieten() -> None:
    """Keep Dask's own accounts of lost connections off the screen: emodask says them in a line."""
    if os.environ.get("EMODASK_DEBUG"):
        return
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def works_here(client: Client | None) -> bool:
    """Whether tasks run on this machine alone: in this process, or in workers started here."""
    if client is None:
        return True
    from distributed import LocalCluster

    return isinstance(client.cluster, LocalCluster)


def current_client() -> Client | None:
    """The client that the caller has made and that is still connected, if any."""
    try:
        from distributed import Client

        return Client.current()
    except ValueError:
        return None
