"""A network whose weights do not change: loaded once in a process, applied batch by batch."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask import networks
from emodask.errors import UsageError
from emodask.networks.device import one_thread
from emodask.networks.layouts import Layout
from emodask.networks.weights import load

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = 220 << 20
"""What PyTorch takes of a process: its libraries and their first convolution. Measured."""


@functools.lru_cache(maxsize=4)
def frozen(build: Callable[[], nn.Module], layout: Layout, digest: str) -> nn.Module:
    """A network with the weights of a digest, for the life of this process.

    It computes on the processor in one thread: workers are processes, and the numbers are the same
    whatever else a machine has.

    Parameters
    ----------
    build : callable
        Makes the module.
    layout : Layout
        The tensors that it has.
    digest : str
        As :func:`emodask.networks.weights.obtain` gave it.

    Raises
    ------
    SourceError
        If the weights are not on this machine.
    UsageError
        If PyTorch is not installed.
    """
    if not networks.installed():
        raise UsageError(networks.ABSENT)
    import torch

    one_thread()
    tensors = load(digest, layout.name)
    with torch.device("meta"):  # no numbers that would be thrown away
        module = build()
    module.load_state_dict(tensors, assign=True)
    return module.eval().requires_grad_(False)


@contextlib.contextmanager
def inference() -> Iterator[None]:
    """PyTorch without gradients, and with Python's error for memory that is not there.

    Raises
    ------
    MemoryError
        Where PyTorch's allocator, which has no error of its own, gets none.
    """
    import torch

    with torch.inference_mode():
        try:
            yield
        except RuntimeError as error:
            if "memory" in str(error):
                raise MemoryError(str(error)) from error
            raise


def applied(
    module: nn.Module,
    pictures: npt.NDArray[Any],
    prepared: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]],
    batch: int,
    out: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Apply a network to pictures, some at a time.

    Parameters
    ----------
    module : nn.Module
    pictures : ndarray, shape (n, height, width)
    prepared : callable
        Makes what the network takes of some pictures.
    batch : int
        Pictures at a time: what is in memory is a batch's, and the result.
    out : ndarray of float32, shape (n, ...)
        Filled with the network's maps, or with their means where it has fewer dimensions.

    Returns
    -------
    ndarray of float32
        ``out``.

    Raises
    ------
    MemoryError
        If there is no memory for a batch.
    """
    import torch

    with inference():
        for first in range(0, len(pictures), batch):
            some = torch.from_numpy(prepared(pictures[first : first + batch]))
            maps = module(some)
            if out.ndim == 2:
                maps = maps.mean(dim=(2, 3))
            out[first : first + len(some)] = maps.numpy()
    return out
