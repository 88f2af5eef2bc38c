"""Promises of bundles of networks: the same probabilities, and files that are data only."""

from __future__ import annotations

import json

import numpy as np
import pytest

from emodask import networks
from emodask.errors import BundleError, JobError
from emodask.models.bundle import Bundle, load_bundle, save_bundle
from emodask.models.learning import fit_model
from emodask.reduction import TensorReducer
from tests.models.networks.conftest import HEAD, TINY, job_of

MODELS = {
    "late": {"kind": "lda", "embeddings": ["voice", "face"]},
    "network": {"kind": "embedding-fusion", "embeddings": ["voice"], "parameters": {"epochs": 2}},
    "early": {"kind": "lda", "features": ["spline"], "embeddings": ["face"]},
    "voice": {**HEAD, "features": ["spline"], "scale": True, "calibrate": True},
    "face": {**HEAD, "features": ["hog3d"]},
    "joined": {"kind": "fusion", "members": ["late", "voice", "plain"]},
    "plain": {"kind": "svc", "features": ["hog3d"]},
    "frames": {"kind": "frame-layer", "features": ["hog3d"], "parameters": {"units": 4, **TINY}},
    "wide": {
        "kind": "embedding-fusion",
        "features": ["spline"],
        "embeddings": ["frames", "face"],
        "parameters": {"epochs": 2},
    },
}


def saved(model, clips, folder):
    job = job_of(**MODELS)
    fitted = fit_model(job, model, *clips)
    reducers = {name: TensorReducer().fit(clips[0][name]) for name in fitted.features}
    save_bundle(Bundle(job, model, fitted, reducers, {}, adapted=fitted), folder)
    return fitted


@pytest.mark.parametrize("model", ["voice", "late", "network", "early", "joined", "wide"])
def test_a_network_comes_back_from_a_bundle(model, clips, tmp_path):
    fitted = saved(model, clips, tmp_path)
    loaded = load_bundle(tmp_path)
    expected = fitted.predict_proba(clips[0])
    for found in (loaded.model, loaded.adapted):
        assert np.array_equal(found.predict_proba(clips[0]), expected)
        assert np.array_equal(found.predict(clips[0]), fitted.predict(clips[0]))
    names = {path.name for path in tmp_path.iterdir()}
    assert any(name.endswith(".safetensors") for name in names)
    assert any(name.endswith(".skops") for name in names) == (model in ("late", "early", "joined"))


def test_a_network_computes_where_it_is_loaded_not_where_it_was_trained(clips, tmp_path):
    saved("voice", clips, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    assert "device" not in index["network"]["parameters"]
    index["network"]["parameters"]["device"] = "cuda:99"
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    assert load_bundle(tmp_path).model.estimator.device == "auto"


def test_without_pytorch_a_bundle_says_what_to_install(clips, tmp_path, monkeypatch):
    saved("voice", clips, tmp_path)
    monkeypatch.setattr(networks, "installed", lambda: False)
    with pytest.raises(JobError, match="PyTorch is not installed: pip install 'emodask"):
        load_bundle(tmp_path)


def with_tensors(change):
    """What rewrites the file of a network with other tensors."""

    def tamper(folder, index):
        from safetensors.numpy import load, save

        file = folder / index["file"]
        tensors = {name: array.copy() for name, array in load(file.read_bytes()).items()}
        change(tensors)
        file.write_bytes(save(tensors))

    return tamper


def with_settings(change):
    """What rewrites the settings of a network."""

    def tamper(folder, index):
        change(index["network"])

    return tamper


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (with_tensors(lambda t: t.pop("head.bias")), r"lacks tensor 'head\.bias'"),
        (with_tensors(lambda t: t.update(more=np.zeros(3))), r"has a foreign tensor 'more'"),
        (
            with_tensors(lambda t: t.update({"head.bias": np.zeros(5, np.float32)})),
            r"tensor 'head\.bias' is \(5,\) of torch\.float32, expected \(4,\) of torch\.float32",
        ),
        (
            with_tensors(lambda t: t.update({"head.bias": np.zeros(4)})),
            r"'head\.bias' is \(4,\) of torch\.float64",
        ),
        (
            with_tensors(lambda t: t.update({"head.bias": np.full(4, np.nan, np.float32)})),
            r"'head\.bias' holds NaN or infinity",
        ),
        (
            with_tensors(lambda t: t.update(deviation=np.zeros(8, np.float32))),
            r"'deviation' is not above 0",
        ),
        (
            lambda folder, index: (folder / index["file"]).write_bytes(b"\x80\x04K\x01." * 9),
            "not the weights of a network",
        ),
        (with_settings(lambda s: s.update(kind="svc")), "no network of kind 'svc'"),
        (with_settings(lambda s: s.update(kind=["svc"])), "no network of kind"),
        (with_settings(lambda s: s["parameters"].update(hidden=[16])), r"expected \(4, 16\)"),
        (with_settings(lambda s: s["parameters"].update(hidden=[10**9])), "damaged.*'hidden'"),
        (with_settings(lambda s: s["parameters"].update(hidden=[10**5] * 9)), "the file lacks ten"),
        (with_settings(lambda s: s["parameters"].update(depth=3)), "no parameter 'depth'"),
        (with_settings(lambda s: s.update(shapes=[[8]])), "it reads 8, the job has 2 x 4"),
        (with_settings(lambda s: s.update(shapes=[[-2, -4]])), "whole numbers above 0"),
        (with_settings(lambda s: s.update(classes=[2, 3, 5, 99])), "not emotions of the job"),
        (with_settings(lambda s: s.update(classes=[2, 3])), r"expected \(2,\)|\(4,"),
        (with_settings(lambda s: s.update(classes=[3, 2, 5, 8])), "not emotions of the job"),
        (with_settings(lambda s: s.update(scale=False)), "expected .1,."),
        (with_settings(lambda s: s.pop("classes")), "damaged"),
        (lambda folder, index: index.update(file="../away.safetensors"), "no file of a bundle"),
        (lambda folder, index: index.update(file="classifier.skops"), "no file of a bundle"),
        (lambda folder, index: index.update(network=None), "no file of a bundle"),
    ],
)
def test_a_network_that_was_tampered_with_is_refused(tamper, message, clips, tmp_path):
    saved("voice", clips, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    tamper(tmp_path, index)
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    with pytest.raises((BundleError, JobError), match=message):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("network", r"classifier-0\.safetensors: it reads 5 numbers, and voice give 8"),
        ("wide", r"classifier-0\.safetensors: it reads 5 numbers, and spline and .* give 24"),
    ],
)
def test_a_network_of_another_width_than_the_layers_that_it_reads_is_refused(
    model, message, clips, tmp_path
):
    fitted = saved(model, clips, tmp_path)
    lower = fitted.embeddings.values()
    assert [net.estimator.embedded_ for net in lower] == [
        net.embed(clips[0]).shape[1] for net in lower
    ]
    index = json.loads((tmp_path / "bundle.json").read_text())
    index["network"]["shapes"] = [[5]]
    narrow = with_tensors(
        lambda t: t.update({"hidden.1.weight": t["hidden.1.weight"][:, :5].copy()})
    )
    narrow(tmp_path, index)  # a network of its own that could be computed
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path)


def test_a_variance_below_0_is_refused_by_name(clips, tmp_path):
    saved("frames", clips, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    with_tensors(lambda t: t["hidden.1.running_var"].__setitem__(1, -1e-3))(tmp_path, index)
    with pytest.raises(BundleError, match=r"'hidden\.1\.running_var' is below 0"):
        load_bundle(tmp_path)


def test_embeddings_of_what_is_no_network_are_refused(clips, tmp_path):
    saved("late", clips, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    index["embeddings"][0].update(network=None, file=index["file"])
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match="'voice' is no network to read"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("model", ["late", "joined"])
def test_parts_that_read_what_the_whole_does_not_name_are_refused(model, clips, tmp_path):
    saved(model, clips, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    index["features"].remove("hog3d")
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match="it reads hog3d, which it does not name"):
        load_bundle(tmp_path)
