"""Where networks compute, and with how many threads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emodask.errors import UsageError
from emodask.networks import ABSENT, installed

if TYPE_CHECKING:
    import torch


def chosen_device(name: str = "auto") -> torch.device:
    """The device of a name; of ``auto`` the GPU if PyTorch sees one, else the processor.

    Parameters
    ----------
    name : str
        ``auto``, or what PyTorch calls a device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises
    ------
    UsageError
        If PyTorch is not installed, or sees no such device.

    Examples
    --------
    >>> chosen_device("cpu").type if installed() else "cpu"
    'cpu'
    """
    if not installed():
        raise UsageError(ABSENT)
    import torch

    seen = ["cpu"]
    if torch.cuda.is_available():
        seen += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        seen.append("mps")
    if name == "auto":
        return torch.device("cuda" if "cuda:0" in seen else seen[-1])
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError):
        device = None
    absent = UsageError(
        f'no device {name!r} here; PyTorch sees {", ".join(seen)}. "auto" takes a GPU where there '
        "is one, else the processor"
    )
    if device is None or not any(other.split(":")[0] == device.type for other in seen):
        raise absent
    if device.type == "cuda" and str(torch.device("cuda", device.index or 0)) not in seen:
        raise absent
    return device


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Have PyTorch compute in some threads for a while; then in as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> None:
    """Hold PyTorch to one thread in this process: parallelism is by processes.

    The same sums come out wherever it runs, since how a sum is split depends on the threads.
    """
    import torch

    torch.set_num_threads(1)
    # Can be set once, before anything has run between operations.
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
