"""The only place that makes a Dask client: clusters, thread pinning, tasks and their results."""

from emodask.cluster.connection import connect, current_client
from emodask.cluster.tasks import run_bag
from emodask.cluster.threads import in_process, pin_threads

__all__ = ["connect", "current_client", "in_process", "pin_threads", "run_bag"]
