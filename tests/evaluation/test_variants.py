"""Promises of evaluating stores with variants: test rows hold none, and theirs train nothing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import emodask
from emodask.evaluation import folds
from emodask.evaluation.adaptation import standardised_by_actor
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.folds import FoldTask, run_folds
from emodask.evaluation.passes import StoredRows
from emodask.extraction import extract
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.prediction import predict
from emodask.store import StoreAddress, open_group, verify

NAME = "mfcc_statistics"
RIDGE = {"kind": "ridge", "scale": True, "parameters": {"alpha": 10}}
JOB = parse_job(
    {
        "name": "augmented",
        "seed": 3,
        "data": {"batch": 5},
        "features": {NAME: {"variants": ["noise20", "resample1.1"]}},
        "models": {
            "alone": RIDGE,
            "augmented": {**RIDGE, "augment": True},
            "sure": {**RIDGE, "augment": True, "calibrate": True},
            "both": {"kind": "fusion", "members": ["alone", "augmented"], "rule": "weighted"},
        },
        "evaluation": {"protocols": ["loso"], "speaker_adapted": True},
    }
)


@pytest.fixture(scope="module")
def store(corpus, tmp_path_factory) -> StoreAddress:
    folder = tmp_path_factory.mktemp("store") / "store.zarr"
    assert extract(JOB, f"{corpus}/*.zip", folder).done == 24
    return StoreAddress.of(folder)


@pytest.fixture(scope="module")
def clips(store):
    return usable_clips(JOB, store)


def fold_of(clips, actor: int = 2) -> FoldTask:
    train = clips.actor != actor
    return FoldTask("loso", "f", clips.rows[train], clips.rows[~train], clips.emotion[train])


def with_variants_of(rows, store, folder) -> StoreAddress:
    """The store with the variants, not the clips, of some rows made nonsense."""
    shutil.copytree(store.url, folder)
    address = StoreAddress.of(folder)
    array = open_group(address, "r+")[NAME]
    values = array[:]
    values[rows, 1:] = -1e4 * values[rows, 1:]
    array[:] = values
    return address


def probabilities(store, clips) -> dict[str, np.ndarray]:
    found, refused = run_folds(JOB, store, clips, [fold_of(clips)])
    assert not refused
    return {prediction.model: prediction.probability for prediction in found}


def test_variants_of_test_clips_neither_train_nor_are_tested(store, clips, tmp_path):
    wrecked = with_variants_of(fold_of(clips).test, store, tmp_path / "w.zarr")
    expected, found = probabilities(store, clips), probabilities(wrecked, clips)
    assert len(expected) == 8
    for model, chances in expected.items():
        assert np.array_equal(found[model], chances), model


def test_variants_of_training_clips_train_the_models_that_ask_for_them(store, clips, tmp_path):
    wrecked = with_variants_of(fold_of(clips).train, store, tmp_path / "w.zarr")
    expected, found = probabilities(store, clips), probabilities(wrecked, clips)
    for model, chances in expected.items():
        same = np.allclose(found[model], chances)
        assert same == (model.removesuffix("+adapted") == "alone"), model


def test_what_is_judged_has_the_shape_of_a_clip(store, clips, monkeypatch):
    shapes = []
    real = folds._predict_models

    def spy(job, sides, variant, searched):
        known, unseen = sides.training(variant), sides.testing(variant)
        shapes.append((known[NAME].shape, unseen[NAME].shape))
        return real(job, sides, variant, searched)

    monkeypatch.setattr(folds, "_predict_models", spy)
    probabilities(store, clips)
    assert shapes == [((16, 3, 157), (8, 157))] * 2


def test_a_reduction_is_fitted_on_clips_alone(store, clips, tmp_path):
    wrecked = with_variants_of(clips.rows, store, tmp_path / "w.zarr")
    for address in (store, wrecked):
        rows = StoredRows.of(address, NAME, clips.rows)
        assert (rows.shape, rows.variants) == ((24, 157), 2)
        chunks = np.concatenate([chunk.copy() for _, chunk in rows.chunks()])
        whole = np.concatenate([chunk.copy() for _, chunk in rows.variant_chunks()])
        assert np.array_equal(whole[:, 0], chunks)
    assert whole.shape == (24, 3, 157)


def test_a_persons_variant_is_standardised_by_itself():
    voice = np.random.default_rng(0).normal(size=(12, 3, 4)).astype(np.float32)
    actors = np.repeat([1, 2], 6)
    together = standardised_by_actor({"voice": voice}, actors)["voice"]
    for variant in range(3):
        alone = standardised_by_actor({"voice": voice[:, variant]}, actors)["voice"]
        assert np.array_equal(together[:, variant], alone)


def test_the_final_bundle_trains_on_variants_and_judges_media(store, clips, corpus, tmp_path):
    made = {name: fit(JOB, store, tmp_path / name, model=name) for name in ("alone", "sure")}
    wrecked = with_variants_of(clips.rows, store, tmp_path / "w.zarr")
    spoilt = fit(JOB, wrecked, tmp_path / "spoilt", model="sure")
    own = {
        NAME: np.concatenate(
            [chunk.copy() for _, chunk in StoredRows.of(store, NAME, clips.rows).chunks()]
        )
    }
    own = {NAME: made["sure"].reducers[NAME].transform(own[NAME])}
    expected = made["sure"].model.predict_proba(own)
    assert not np.allclose(spoilt.model.predict_proba(own), expected)
    verdicts = {v.clip: v for v in predict(tmp_path / "sure", f"{corpus}/*.zip")}
    found = [list(verdicts[clip].probabilities.values()) for clip in clips.clip_id]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_store_names_its_variants_and_verifies(store):
    data = emodask.open(store.url)
    assert data[NAME].dims == ("clip", "variant", "statistic")
    assert data["variant"].values.tolist() == ["original", "noise20", "resample1.1"]
    assert verify(store).damage == ()
