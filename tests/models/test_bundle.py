"""Promises of bundles of every kind of model: they come back whole, and hold data only."""

from __future__ import annotations

import json

import numpy as np
import pytest

from emodask.errors import BundleError
from emodask.models.bundle import Bundle, load_bundle, save_bundle
from emodask.models.classifiers import CLASSIFIERS, is_network
from emodask.models.learning import fit_model
from emodask.reduction import TensorReducer
from tests.models.conftest import job_of
from tests.models.installed import needs


def saved(job, model, reduced, folder):
    fitted = fit_model(job, model, *reduced)
    reducers = {name: TensorReducer().fit(reduced.matrices[name]) for name in fitted.features}
    save_bundle(Bundle(job, model, fitted, reducers, {}), folder)
    return fitted


@pytest.mark.parametrize("options", [{}, {"scale": True, "calibrate": True}], ids=["", "all"])
@pytest.mark.parametrize("kind", [kind for kind in CLASSIFIERS if not is_network(kind)])
def test_every_classifier_comes_back_from_a_bundle(kind, options, reduced, tmp_path):
    needs(kind)
    small = {"random-forest": {"n_estimators": 5}, "mlp": {"max_iter": 5}}
    model = {"kind": kind, "parameters": small.get(kind, {}), **options}
    job = job_of(m=model)
    fitted = saved(job, "m", reduced, tmp_path)
    loaded = load_bundle(tmp_path)
    assert loaded.job.settings() == job.settings()
    expected = fitted.predict_proba(reduced.matrices)
    assert np.array_equal(loaded.model.predict_proba(reduced.matrices), expected)
    assert np.array_equal(loaded.model.predict(reduced.matrices), fitted.predict(reduced.matrices))


def joined():
    return job_of(
        voice={"kind": "lda", "features": ["spline"]},
        face={"kind": "svc", "features": ["hog3d"], "scale": True},
        inner={"kind": "fusion", "members": ["voice", "face"], "rule": "weighted"},
        outer={"kind": "fusion", "members": ["inner", "voice"], "rule": "product"},
        stack={"kind": "fusion", "members": ["face", "voice"], "rule": "stacked"},
    )


@pytest.mark.parametrize("model", ["inner", "outer", "stack"])
def test_a_fusion_comes_back_from_a_bundle(model, reduced, tmp_path):
    fitted = saved(joined(), model, reduced, tmp_path)
    loaded = load_bundle(tmp_path)
    assert loaded.modalities == ("video", "audio")
    expected = fitted.predict_proba(reduced.matrices)
    assert np.array_equal(loaded.model.predict_proba(reduced.matrices), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(rule="vote"), "no rule of fusion 'vote'"),
        (lambda f: f.update(weights=[[0.5]]), "weights of fusion are not 2 x 8 numbers"),
        (lambda f: f["members"][0].update(file="../other.skops"), "no file of a bundle"),
        (lambda f: f["members"][0].update(file="classifier-9.skops"), "damaged"),
        (lambda f: f.pop("members"), "damaged"),
    ],
)
def test_a_fusion_that_was_tampered_with_is_refused(change, message, reduced, tmp_path):
    saved(joined(), "inner", reduced, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    change(index["fusion"])
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "temperature",
    [{"factor": 1.0, "offsets": [0.0] * 7}, {"factor": float("nan"), "offsets": [0.0] * 8}],
)
def test_a_temperature_of_another_classifier_is_refused(temperature, reduced, tmp_path):
    sure = {"kind": "lda", "features": ["spline"], "calibrate": True}
    saved(job_of(voice=sure), "voice", reduced, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    index["temperature"] = temperature
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match="the temperature is not one of its classifier"):
        load_bundle(tmp_path)


def test_a_bundle_of_before_there_were_fusions_still_loads(reduced, tmp_path):
    saved(job_of(voice={"kind": "lda", "features": ["spline"]}), "voice", reduced, tmp_path)
    index = json.loads((tmp_path / "bundle.json").read_text())
    del index["fusion"], index["temperature"]
    for key in ("scale", "calibrate", "members", "rule"):
        del index["job"]["models"]["voice"][key]
    (tmp_path / "bundle.json").write_text(json.dumps(index))
    assert load_bundle(tmp_path).model.features == ("spline",)
