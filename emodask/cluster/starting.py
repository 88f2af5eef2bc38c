"""Clusters that live as long as a command: local processes, Slurm jobs, Kubernetes pods."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emodask.cluster.settings import ClusterSettings
from emodask.cluster.threads import THREAD_VARIABLES
from emodask.errors import ClusterError, UsageError
from emodask.sources.location import reason

_CAREFUL = {
    # Blame a task after three dead workers, and give a worker that stopped answering up after one
    # minute: a batch takes seconds, and losing it costs no more than computing it again.
    "distributed.scheduler.allowed-failures": (3, 2),
    "distributed.scheduler.worker-ttl": ("5 minutes", "60s"),
}
"""Settings of schedulers that emodask starts: Dask's default, and ours in its place."""


def careful() -> dict[str, Any]:
    """The settings of a scheduler that emodask starts, where the user's configuration has none."""
    import dask

    return {
        key: ours
        for key, (default, ours) in _CAREFUL.items()
        if dask.config.get(key, default) == default
    }


@contextmanager
def local_cluster(settings: ClusterSettings) -> Iterator[Any]:
    """Single-threaded worker processes on this machine; its dashboard on loopback alone."""
    import dask
    from distributed import LocalCluster

    # Without Dask's MALLOC_TRIM_THRESHOLD_: returning every freed frame to the system at once
    # made extraction a quarter slower and saved a worker 3 % of its peak memory.
    environment = dict.fromkeys(THREAD_VARIABLES, "1")
    wanted = settings.cluster
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment, **careful()}),
        LocalCluster(
            n_workers=wanted.workers or wanted.max_workers or os.cpu_count() or 1,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            memory_limit=wanted.memory_limit or "auto",
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
    ):
        if wanted.max_workers:
            cluster.adapt(minimum=wanted.workers or 1, maximum=wanted.max_workers)
        yield cluster


@contextmanager
def slurm_cluster(settings: ClusterSettings) -> Iterator[Any]:
    """One Slurm job a worker, submitted with ``sbatch``; they end with the command."""
    import dask

    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UsageError("--scheduler slurm needs: pip install 'emodask[slurm]'") from error

    wanted = settings.cluster
    arguments = {"cores": 1, "processes": 1, "silence_logs": "critical", **settings.slurm}
    memory = wanted.memory_limit or arguments.get("memory")
    arguments["memory"] = memory or dask.config.get("jobqueue.slurm.memory", None) or "4GiB"
    pins = [f"export {variable}=1" for variable in THREAD_VARIABLES]
    arguments["job_script_prologue"] = [*pins, *arguments.get("job_script_prologue", ())]
    try:
        with dask.config.set(careful()), SLURMCluster(**arguments) as cluster:
            _scale(cluster, settings)
            yield cluster
    except (TypeError, ValueError, FileNotFoundError, RuntimeError) as error:
        raise ClusterError(
            f"Slurm: {reason(error)}; the [slurm] table of the cluster file is passed to "
            "dask_jobqueue.SLURMCluster, and sbatch has to be on the PATH"
        ) from error


@contextmanager
def kubernetes_cluster(settings: ClusterSettings) -> Iterator[Any]:
    """A DaskCluster of the Dask operator; it is deleted when the command ends."""
    try:
        from dask_kubernetes.operator import KubeCluster
    except ImportError as error:
        raise UsageError(
            "--scheduler kubernetes needs: pip install 'emodask[kubernetes]'"
        ) from error

    spec = kubernetes_spec(settings)
    wanted = settings.kubernetes
    try:
        with KubeCluster(
            custom_cluster_spec=spec,
            namespace=wanted.namespace if wanted else None,
            quiet=True,
        ) as cluster:
            _scale(cluster, settings)
            yield cluster
    except (ClusterError, UsageError):
        raise
    except Exception as error:  # kr8s, httpx and kubernetes have errors of their own
        raise ClusterError(
            f"Kubernetes: {reason(error)}; is there a kubeconfig, and the Dask operator in the "
            "cluster? deploy/kubernetes/README.md says how to install it"
        ) from error


def kubernetes_spec(settings: ClusterSettings) -> dict[str, Any]:
    """The DaskCluster resource that ``--scheduler kubernetes`` creates.

    Raises
    ------
    UsageError
        If the cluster file has no ``[kubernetes]`` table: an image cannot be guessed.
    """
    from dask_kubernetes.operator import make_cluster_spec

    wanted = settings.kubernetes
    if wanted is None:
        raise UsageError(
            "--scheduler kubernetes needs a cluster file (--cluster-config) with a table "
            '[kubernetes] and in it image = "..." with emodask installed'
        )
    memory = settings.cluster.memory_limit or "4GiB"
    amount = {"cpu": wanted.cpu, "memory": memory.removesuffix("B")}
    spec: dict[str, Any] = make_cluster_spec(
        wanted.name,
        image=wanted.image,
        n_workers=settings.cluster.workers or settings.cluster.max_workers or 1,
        resources={"requests": amount, "limits": amount},
        env={**dict.fromkeys(THREAD_VARIABLES, "1"), **wanted.env},
        worker_command="dask worker --nthreads 1",
    )
    return spec


def _scale(cluster: Any, settings: ClusterSettings) -> None:
    wanted = settings.cluster
    if wanted.max_workers:
        cluster.adapt(minimum=wanted.workers or 1, maximum=wanted.max_workers)
    else:
        cluster.scale(wanted.workers or 1)
