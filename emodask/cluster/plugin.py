"""What every worker does before its first task, also one that joins late or starts again."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import WorkerPlugin

import emodask
from emodask.cluster.threads import pin_threads
from emodask.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

NAME = "emodask"


class PrepareWorker(WorkerPlugin):
    """Refuses a worker with another emodask, and pins the threads of one with the same.

    Parameters
    ----------
    version : str
        The client's.
    """

    name = NAME
    idempotent = True

    def __init__(self, version: str) -> None:
        self.version = version

    def setup(self, worker: Any) -> None:
        """Check and pin; a worker on which this raises does not start."""
        if emodask.__version__ != self.version:
            raise ClusterError(_mismatch(worker.address, emodask.__version__, self.version))
        pin_threads()
        # Ctrl-C reaches the whole process group; the client alone decides what then happens.
        # A worker in a thread of the client's process has no signals of its own: ValueError.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def prepare_workers(client: Client) -> None:
    """Prepare the workers that are there, and those that will come.

    Raises
    ------
    ClusterError
        If a worker has no emodask, or another version than the client.
    """
    versions: Any = client.get_versions(packages=["emodask"])
    for address, found in versions["workers"].items():
        version = found["packages"].get("emodask")
        if version != emodask.__version__:
            raise ClusterError(_mismatch(address, version, emodask.__version__))
    client.register_plugin(PrepareWorker(emodask.__version__))


def _mismatch(address: str, found: str | None, wanted: str) -> str:
    has = f"has emodask {found}" if found else "has no emodask"
    return (
        f"worker {address} {has}, and this command is emodask {wanted}; "
        f"install emodask {wanted} where the workers run"
    )
