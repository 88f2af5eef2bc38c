"""What a network has learnt as safetensors: written, and read with every tensor checked first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emodask.errors import BundleError

if TYPE_CHECKING:
    from emodask.models.networks.modules import Whole
    from emodask.models.networks.network import Network


def packed(module: Whole) -> bytes:
    """All tensors of a network as safetensors."""
    from safetensors.torch import save

    return bytes(save({name: t.cpu().contiguous() for name, t in module.state_dict().items()}))


def unpacked(network: Network, data: bytes) -> Whole:
    """The layers of a fitted network with the tensors of a safetensors file.

    Nothing is allocated for layers before the file is known to hold exactly their tensors.

    Raises
    ------
    BundleError
        If a tensor is absent, foreign, of another shape or type, or holds anything but finite
        numbers, deviations that are not above 0, or variances below 0.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from emodask.models.networks.modules import Whole

    with torch.device("meta"):
        module = Whole(network, network.shapes_, len(network.classes_))
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise BundleError(f"not the weights of a network: {error}") from error
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ tensors.keys()):
        found = "lacks" if name in expected else "has a foreign"
        raise BundleError(f"not the weights of this network: the file {found} tensor {name!r}")
    for name, tensor in sorted(tensors.items()):
        like = expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise BundleError(
                f"not the weights of this network: tensor {name!r} is {tuple(tensor.shape)} of "
                f"{tensor.dtype}, expected {tuple(like.shape)} of {like.dtype}"
            )
        if not torch.isfinite(tensor).all():
            raise BundleError(f"damaged weights: tensor {name!r} holds NaN or infinity")
        if name == "deviation" and not (tensor > 0).all():  # what rows are divided by
            raise BundleError(f"damaged weights: tensor {name!r} is not above 0")
        if name.endswith("running_var") and not (tensor >= 0).all():  # a root is taken of it
            raise BundleError(f"damaged weights: tensor {name!r} is below 0, and no variance is")
    module.load_state_dict(tensors, assign=True)
    return module.requires_grad_(False)
