"""The only place that makes a Dask client: clusters, thread pinning, tasks and their results."""

from emodask.cluster.connection import connect, current_client, works_here
from emodask.cluster.tasks import Tasks, killed_its_workers, run_bag
from emodask.cluster.threads import pin_threads, single_threaded

__all__ = [
    "Tasks",
    "connect",
    "current_client",
    "killed_its_workers",
    "pin_threads",
    "run_bag",
    "single_threaded",
    "works_here",
]
