"""What PyTorch is used for in common: whether it is there, the device, weights, frozen bases.

Nothing here imports PyTorch until it is used: the package works without it.
"""

from __future__ import annotations

from importlib.util import find_spec

ABSENT = (
    "PyTorch is not installed: pip install 'emodask[networks]' (on machines without a GPU first "
    "PyTorch's CPU build, as pytorch.org/get-started/locally says, or pip takes several GB of "
    "CUDA's libraries; from a clone of emodask: pip install '.[networks]')"
)
"""What to say where a network is asked for and PyTorch is absent."""


def installed() -> bool:
    """Whether PyTorch and what emodask uses beside it can be imported, found without importing."""
    return all(find_spec(name) is not None for name in ("torch", "skorch", "safetensors"))
