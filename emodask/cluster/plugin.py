"""What every worker does before its first task, also one that joins late or starts again."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import WorkerPlugin

import emodask
from emodask.cluster.threads import pin_threads
from emodask.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

NAME = "emodask"
_LIBRARIES = ("numpy", "zarr")
_PARTS = {"emodask": None, "Python": 2, "numpy": 1, "zarr": 1}
"""How many parts of a version have to agree; all of emodask's."""


class PrepareWorker(WorkerPlugin):
    """Refuses a worker with other software, and pins the threads of one with the same.

    Parameters
    ----------
    wanted : mapping
        What the client has, see :func:`installed`.
    """

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self.wanted = dict(wanted)
        self.interrupt: Any = None

    def setup(self, worker: Any) -> None:
        """Check and pin; a worker with other software says why in its log, and closes."""
        difference = _difference(worker.address, installed(), self.wanted)
        if difference:
            # Dask logs what a plugin raises and lets the worker go on: it has to be closed.
            worker.loop.add_callback(worker.close, nanny=True, reason="other software")
            raise ClusterError(difference)
        pin_threads()
        # Ctrl-C reaches the whole process group; the client alone decides what then happens.
        # A worker in a thread of the client's process has no signals of its own: ValueError.
        with contextlib.suppress(ValueError):
            self.interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def teardown(self, worker: Any) -> None:
        """Leave a worker that lives on as it was: it ends with Ctrl-C, and decodes nothing."""
        from emodask.isolation import close_decoders

        if self.interrupt is not None:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGINT, self.interrupt)
        close_decoders()


def installed() -> dict[str, str]:
    """What a worker must have as the client has it: the same emodask, compatible libraries."""
    found = {"emodask": emodask.__version__, "Python": ".".join(map(str, sys.version_info[:2]))}
    for package in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return _to_compare(found)


@contextmanager
def prepared_workers(client: Client) -> Iterator[None]:
    """Prepare the workers that are there, and those that come while the block lasts.

    Raises
    ------
    ClusterError
        If a worker has no emodask, another version than the client, or another generation of
        Python, NumPy or Zarr.
    """
    wanted = installed()
    versions: Any = client.get_versions(packages=list(_LIBRARIES))
    # A plugin would close workers that others may be using: asked before, and by what unpickles
    # where there is no emodask. A checkout need not have the metadata that get_versions reads.
    ours = client.run(resolve_name, "emodask:__version__", on_error="return")
    for address, found in versions["workers"].items():
        packages = {**found["packages"], "Python": found["host"]["python"]}
        packages["emodask"] = ours.get(address)
        if isinstance(packages["emodask"], ImportError):
            packages["emodask"] = None
        elif not isinstance(packages["emodask"], str):
            continue  # it went away meanwhile
        difference = _difference(address, _to_compare(packages), wanted)
        if difference:
            raise ClusterError(difference)
    # Under a name of this client's own, and for its time alone: left behind on a scheduler that
    # lives longer, it would close the workers of an emodask that is newer than this.
    name = f"{NAME}-{client.id}"
    client.register_plugin(PrepareWorker(wanted), name=name)
    try:
        yield
    finally:
        # The scheduler may be gone, or not answer: what it forgets then does not matter.
        with contextlib.suppress(Exception):
            if client.status == "running":
                client.sync(
                    client.scheduler.unregister_worker_plugin,  # type: ignore[union-attr]
                    name=name,
                    callback_timeout="5s",
                )


def _to_compare(versions: Mapping[str, str | None]) -> dict[str, str]:
    """Versions as far as they have to agree; what is not installed is left out."""
    return {
        name: ".".join(found.split(".")[: _PARTS[name]])
        for name in _PARTS
        if (found := versions.get(name))
    }


def _difference(address: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """One line on the first thing that differs on a worker; empty if nothing does."""
    for name, version_here in wanted.items():
        there = found.get(name)
        if there != version_here:
            return (
                f"worker {address} has {f'{name} {there}' if there else f'no {name}'}, and this "
                f"command has {name} {version_here}; install {name} {version_here} where the "
                "workers run"
            )
    return ""
