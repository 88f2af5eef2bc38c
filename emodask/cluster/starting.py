"""Clusters that live as long as a command: local processes, Slurm jobs, Kubernetes pods."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emodask.cluster.settings import ClusterSettings
from emodask.cluster.threads import THREAD_VARIABLES
from emodask.errors import ClusterError, UsageError
from emodask.sources.location import reason

_CAREFUL = {
    # Blame a task after two dead workers, and give a worker that stopped answering up after one
    # minute: a batch takes seconds, and losing it costs no more than computing it again.
    "distributed.scheduler.allowed-failures": (3, 1),
    "distributed.scheduler.worker-ttl": ("5 minutes", "60s"),
}
"""Settings of schedulers that emodask starts: Dask's default, and ours in its place."""

_GIVEN_UP = "distributed.deploy.lost-worker-timeout"
"""So long after a worker died, a cluster gives it up for good unless it is there: also one that is
just being started again, after it died once more."""

_IDLE_SECONDS = 4 * 3600
"""After so long without a task, the operator deletes a cluster that its command has left behind."""


def careful(given_up: str) -> dict[str, Any]:
    """The settings of a cluster that emodask starts, where the user's configuration has none.

    Parameters
    ----------
    given_up : str
        How long after its death a worker may come back.
    """
    import dask

    return {
        key: ours
        for key, (default, ours) in {**_CAREFUL, _GIVEN_UP: ("15s", given_up)}.items()
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
        # Workers come back for as long as the command runs, since their nannies are part of it.
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment, **careful("1 day")}),
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
    if settings.tls is not None:
        raise UsageError(
            "[tls] has no effect with --scheduler slurm, whose scheduler listens unencrypted; take "
            "it out where everybody on the network may run code as you, or use one allocation or "
            "tls:// as deploy/README.md describes"
        )
    arguments = {"cores": 1, "processes": 1, "silence_logs": "critical", **settings.slurm}
    # Pages about the work, without a password: for this machine alone unless the file says more.
    arguments["scheduler_options"] = {
        "dashboard_address": "127.0.0.1:0",
        **arguments.get("scheduler_options", {}),
    }
    memory = wanted.memory_limit or arguments.get("memory")
    arguments["memory"] = memory or dask.config.get("jobqueue.slurm.memory", None) or "4GiB"
    pins = [f"export {variable}=1" for variable in THREAD_VARIABLES]
    arguments["job_script_prologue"] = [*pins, *arguments.get("job_script_prologue", ())]
    with dask.config.set(careful("10 minutes")):
        try:
            cluster = SLURMCluster(**arguments)
        except (TypeError, ValueError, OSError, RuntimeError) as error:
            raise UsageError(
                f"Slurm: {reason(error)}; the [slurm] table of the cluster file is passed to "
                "dask_jobqueue.SLURMCluster"
            ) from error
        with cluster:
            _ask_slurm(cluster.job_script())
            _scale(cluster, settings)
            yield cluster


def _ask_slurm(script: str) -> None:
    """Have Slurm check a worker's job without submitting it: later, only a log would say no."""
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
            file.write(script)
            file.flush()
            asked = subprocess.run(
                ["sbatch", "--test-only", file.name], capture_output=True, text=True, check=False
            )
    except OSError as error:
        raise UsageError("--scheduler slurm: there is no sbatch on the PATH") from error
    if asked.returncode:
        lines = [line.removeprefix("sbatch: error: ") for line in asked.stderr.splitlines()]
        raise ClusterError(
            f"Slurm refuses the workers' jobs: {'; '.join(lines)}; mend the [slurm] table of the "
            "cluster file, or jobqueue.slurm in Dask's configuration"
        )


@contextmanager
def kubernetes_cluster(settings: ClusterSettings) -> Iterator[Any]:
    """A DaskCluster of the Dask operator; it is deleted when the command ends."""
    try:
        import kr8s
        from dask_kubernetes.operator import KubeCluster
        from dask_kubernetes.operator.kubecluster.kubecluster import CreateMode
    except ImportError as error:
        raise UsageError(
            "--scheduler kubernetes needs: pip install 'emodask[kubernetes]'"
        ) from error

    spec = kubernetes_spec(settings)
    wanted = settings.kubernetes
    try:
        # Asked first: a KubeCluster that cannot reach it would try once more as Python ends.
        kr8s.api().version()
        cluster = KubeCluster(
            custom_cluster_spec=spec,
            namespace=wanted.namespace if wanted else None,
            create_mode=CreateMode.CREATE_ONLY,
            quiet=True,
        )
    except Exception as error:  # kr8s, httpx and kubernetes have errors of their own
        raise ClusterError(
            f"Kubernetes: {reason(error)}; is there a kubeconfig, and the Dask operator in the "
            "cluster? deploy/kubernetes/README.md says how to install it"
        ) from error
    with cluster:
        _scale(cluster, settings)
        yield cluster


def kubernetes_spec(settings: ClusterSettings) -> dict[str, Any]:
    """The DaskCluster resource that ``--scheduler kubernetes`` creates.

    Raises
    ------
    UsageError
        If the cluster file has no ``[kubernetes]`` table: an image cannot be guessed.
    """
    from dask.utils import parse_bytes
    from dask_kubernetes.operator import make_cluster_spec

    wanted = settings.kubernetes
    if wanted is None:
        raise UsageError(
            "--scheduler kubernetes needs a cluster file (--cluster-config) with a table "
            '[kubernetes] and in it image = "..." with emodask installed'
        )
    memory = parse_bytes(settings.cluster.memory_limit or "4GiB")
    amount = {"cpu": wanted.cpu, "memory": f"{memory >> 20}Mi"}
    spec: dict[str, Any] = make_cluster_spec(
        # Of this command alone: KubeCluster joins one of the same name, and deletes it in the end.
        f"{wanted.name}-{secrets.token_hex(3)}",
        image=wanted.image,
        n_workers=settings.cluster.workers or settings.cluster.max_workers or 1,
        resources={"requests": amount, "limits": amount},
        env={**dict.fromkeys(THREAD_VARIABLES, "1"), **wanted.env},
        worker_command="dask worker --nthreads 1",
        # A command that is killed cannot delete it; fitting may leave it idle for a while.
        idle_timeout=_IDLE_SECONDS,
    )
    return spec


def _scale(cluster: Any, settings: ClusterSettings) -> None:
    wanted = settings.cluster
    if wanted.max_workers:
        cluster.adapt(minimum=wanted.workers or 1, maximum=wanted.max_workers)
    else:
        cluster.scale(wanted.workers or 1)
