"""Promises of bundles and predictions: round trips, clear words, and no code run from a file."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest

from emodask.emotions import EMOTIONS
from emodask.errors import BundleError, JobError, SourceError
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.passes import StoredRows
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.models.bundle import load_bundle
from emodask.models.system import reduce
from emodask.prediction import predict
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav


@pytest.fixture(scope="module")
def bundle(small_job, small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "b"
    return fit(small_job, small_store, folder), folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    (folder / "both.mp4").write_bytes(mp4(moving_bars(20), sound=tone()))
    (folder / "silent.mp4").write_bytes(mp4(moving_bars(20)))
    (folder / "voice.wav").write_bytes(wav(tone()))
    (folder / "silent.wav").write_bytes(wav(tone()))
    (folder / "notes.txt").write_text("hello")
    return folder


def test_a_saved_bundle_predicts_what_the_fitted_model_does(bundle, small_job, small_store):
    fitted, folder = bundle
    loaded = load_bundle(folder)
    clips = usable_clips(small_job, small_store)
    arrays = {name: StoredRows.of(small_store, name, clips.rows) for name in loaded.model.features}
    first = fitted.model.predict_proba(reduce(fitted.reducers, arrays))
    assert np.array_equal(first, loaded.model.predict_proba(reduce(loaded.reducers, arrays)))
    assert (first.argmax(axis=1) + 1 == clips.emotion).mean() > 0.9


def test_prediction_from_media_equals_that_from_the_store(bundle, corpus, small_job, small_store):
    fitted, folder = bundle
    clips = usable_clips(small_job, small_store)
    arrays = {name: StoredRows.of(small_store, name, clips.rows) for name in fitted.model.features}
    expected = fitted.model.predict_proba(reduce(fitted.reducers, arrays))
    verdicts = predict(folder, [f"{corpus}/*.zip"])
    assert sorted(v.clip for v in verdicts) == sorted(clips.clip_id)
    by_clip = {v.clip: list(v.probabilities.values()) for v in verdicts}
    found = np.array([by_clip[name] for name in clips.clip_id])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "names", [["both.mp4"], ["silent.mp4", "silent.wav"], ["silent.mp4", "voice.wav"]]
)
def test_one_file_with_sound_or_two_of_one_clip_give_one_verdict(bundle, files, names):
    (verdict,) = predict(bundle[1], [files / name for name in names])
    assert verdict.error == ""
    assert list(verdict.probabilities) == list(EMOTIONS)
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.ranked[0][1] >= verdict.ranked[1][1]
    json.dumps(verdict.as_dict())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("silent.mp4", "no sound stream"),
        ("voice.wav", "needs video and audio, and no video came with voice.wav"),
    ],
)
def test_a_missing_modality_is_said_clearly(bundle, files, name, message):
    (verdict,) = predict(bundle[1], files / name)
    assert message in verdict.error
    assert verdict.probabilities == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [("notes.txt", "not a media file; expected one of"), ("absent.mp4", "no such file")],
)
def test_what_is_not_media_is_refused(bundle, files, name, message):
    with pytest.raises(SourceError, match=message):
        predict(bundle[1], files / name)


def test_a_bundle_of_one_modality_needs_that_alone(small_job, small_store, files, tmp_path):
    fitted = fit(small_job, small_store, tmp_path / "b", model="svc")
    assert fitted.modalities == ("audio",)
    (verdict,) = predict(tmp_path / "b", files / "voice.wav")
    assert verdict.error == ""


def test_a_fusion_is_evaluated_fitted_and_predicts_as_one_model(corpus, small_store, tmp_path):
    models = {
        "both": {"kind": "fusion", "members": ["voice", "face"], "rule": "weighted"},
        "voice": {"kind": "svc", "features": ["spline"], "scale": True},
        "face": {"kind": "gaussian-nb", "features": ["hog3d"], "scale": True},
    }
    job = parse_job({**SMALL, "models": models, "evaluation": {"protocols": ["loso"]}})
    metrics = evaluate(job, small_store, tmp_path / "report")
    assert metrics["protocols"]["loso"]["models"]["both"]["features"] == ["hog3d", "spline"]
    fitted = fit(job, small_store, tmp_path / "b", metrics=metrics)
    assert (fitted.model_name, fitted.modalities) == ("both", ("video", "audio"))
    assert "Livingstone" in fitted.about["trained_on"]["credit"]
    clips = usable_clips(job, small_store)
    arrays = {name: StoredRows.of(small_store, name, clips.rows) for name in fitted.model.features}
    expected = fitted.model.predict_proba(reduce(fitted.reducers, arrays))
    verdicts = {v.clip: v for v in predict(tmp_path / "b", [f"{corpus}/*.zip"])}
    found = [list(verdicts[name].probabilities.values()) for name in clips.clip_id]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_bundle_says_what_it_is(bundle):
    index = json.loads((bundle[1] / "bundle.json").read_text())
    assert index["modalities"] == ["video", "audio"]
    assert index["about"]["trained_on"]["actors"] == [1, 2, 3]
    assert index["about"]["trained_on"]["corpora"] == ["ravdess"]
    assert sorted(p.name for p in bundle[1].iterdir()) == [
        "bundle.json",
        "classifier.skops",
        "reduction-hog3d.npz",
        "reduction-spline.npz",
    ]


def test_an_unknown_model_is_refused(small_job, small_store, tmp_path):
    with pytest.raises(JobError, match="no model 'mlp'; there are logistic, svc"):
        fit(small_job, small_store, tmp_path, model="mlp")


class Boom:
    """Writes a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def copied(bundle, folder):
    folder.mkdir()
    for path in bundle[1].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_loading_never_unpickles(bundle, tmp_path):
    folder = copied(bundle, tmp_path / "b")
    (folder / "reduction-spline.npz").write_bytes(pickle.dumps(Boom(str(tmp_path / "ran"))))
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(folder)
    array = np.array([Boom(str(tmp_path / "ran"))], dtype=object)
    np.savez(folder / "reduction-spline.npz", mean=array)
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(folder)
    assert not (tmp_path / "ran").exists()


def test_foreign_types_in_the_classifier_are_refused(bundle, tmp_path):
    folder = copied(bundle, tmp_path / "b")
    schema = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "__id__": 1,
        "protocol": 0,
    }
    with zipfile.ZipFile(folder / "classifier.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    with pytest.raises(BundleError):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["bundle.json", "classifier.skops", "reduction-hog3d.npz"])
def test_a_truncated_or_absent_part_is_named(bundle, tmp_path, name):
    folder = copied(bundle, tmp_path / "b")
    part = folder / name
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    with pytest.raises(BundleError, match="b"):
        load_bundle(folder)
    part.unlink()
    with pytest.raises(BundleError, match="b"):
        load_bundle(folder)


def test_what_is_not_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="not a bundle"):
        load_bundle(tmp_path)
