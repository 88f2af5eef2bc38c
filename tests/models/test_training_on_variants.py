"""Promises of training on variants: each with its clip, and never a judge's nor a stranger's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from emodask.job import parse_job
from emodask.models import learning
from emodask.models.bundle import Bundle, load_bundle, save_bundle
from emodask.models.learning import fit_model
from emodask.models.system import make_reducer

VARIANTS = ["noise20", "pitch+2"]
FEATURES = {"mfcc_statistics": {"variants": VARIANTS}, "functionals": {}}
ACTORS, CLIPS = 4, 16
CODES = (1, 5)


def job_of(**models):
    data = {"emotions": ["neutral", "angry"]}
    return parse_job({"name": "j", "data": data, "features": FEATURES, "models": models})


@pytest.fixture
def clips():
    """Two columns a feature: what tells emotions apart, and which clip and variant it is of."""
    rng = np.random.default_rng(0)
    n = ACTORS * CLIPS
    labels = np.tile(CODES, n // 2).astype(np.int16)
    sign = np.where(labels == CODES[0], -1.0, 1.0)
    who = 10.0 * np.arange(n)[:, None] + np.arange(3)
    telling = sign[:, None] + rng.normal(scale=0.5, size=(n, 3))
    voice = np.stack([telling, who], axis=2).astype(np.float32)
    return (
        {"mfcc_statistics": voice, "functionals": voice[:, 0] + np.float32(1000)},
        labels,
        np.repeat(np.arange(ACTORS), CLIPS),
    )


class Recorded(ClassifierMixin, BaseEstimator):
    """Tells two emotions apart by their means; keeps what it was fitted on and asked about."""

    fits: ClassVar[list] = []
    asked: ClassVar[list] = []

    def fit(self, X, y):
        self.fits.append((X.copy(), np.array(y)))
        self.classes_ = np.unique(y)
        self.middle_ = np.mean([X[y == label, 0].mean() for label in self.classes_])
        return self

    def decision_function(self, X):
        self.asked.append(X.copy())
        return X[:, 0] - self.middle_

    def predict(self, X):
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(Recorded, "fits", [])
    monkeypatch.setattr(Recorded, "asked", [])
    monkeypatch.setattr(learning, "make_classifier", lambda *settings: Recorded())
    return Recorded


def identity(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clip and variant of each row that a classifier saw."""
    marks = rows[:, 1] % 1000 if rows[:, 1].max() >= 1000 else rows[:, 1]
    return (marks // 10).astype(int), np.round(marks % 10).astype(int)


VOICE = {"kind": "svc", "features": ["mfcc_statistics"], "augment": True}
MODES = {
    "plain": VOICE,
    "calibrated": {**VOICE, "calibrate": True},
    "searched": {**VOICE, "search": {"parameters": {"C": [0.1, 1.0]}}},
}


@pytest.mark.parametrize("mode", MODES)
def test_every_fit_has_whole_clips_and_every_question_is_of_clips_alone(clips, recorded, mode):
    _, labels, actors = clips
    fit_model(job_of(m=MODES[mode]), "m", *clips)
    for rows, given in recorded.fits:
        who, variant = identity(rows)
        # Calibration numbers the emotions.
        assert np.array_equal(np.unique(given, return_inverse=True)[1], labels[who] == CODES[1])
        trained = np.unique(who)
        assert sorted(zip(who.tolist(), variant.tolist(), strict=True)) == [
            (clip, v) for clip in trained for v in range(3)
        ]
        # Whole actors: no fold cut one, nor a clip from its variants.
        assert sorted(trained) == np.flatnonzero(np.isin(actors, actors[trained])).tolist()
    assert bool(recorded.asked) == (mode != "plain")
    assert all((identity(rows)[1] == 0).all() for rows in recorded.asked)


@pytest.mark.parametrize("mode", ["calibrated", "searched"])
def test_no_variant_of_a_held_out_clip_trains_what_judges_it(clips, recorded, mode):
    actors = clips[2]
    fit_model(job_of(m=MODES[mode]), "m", *clips)
    inner = [identity(rows)[0] for rows, _ in recorded.fits]
    pairs = list(zip(inner, recorded.asked, strict=False))
    assert len(pairs) >= ACTORS
    for trained, asked in pairs:
        held_out = identity(asked)[0]
        assert not set(actors[trained]) & set(actors[held_out])


def test_fusion_weights_are_learnt_from_clips_alone(clips, recorded):
    face = {"kind": "svc", "features": ["functionals"]}
    job = job_of(
        voice=VOICE,
        face=face,
        both={"kind": "fusion", "members": ["voice", "face"], "rule": "weighted"},
    )
    fit_model(job, "both", *clips)
    assert recorded.asked
    assert all((identity(rows)[1] == 0).all() for rows in recorded.asked)
    sizes = sorted({len(rows) for rows, _ in recorded.fits})
    assert sizes == [48, 64, 144, 192]  # of three actors or four, alone and with variants


def test_features_without_variants_stand_beside_each(clips, recorded):
    fit_model(job_of(m={"kind": "svc", "augment": True}), "m", *clips)
    ((rows, _),) = recorded.fits
    assert rows.shape == (3 * ACTORS * CLIPS, 4)
    assert np.array_equal(rows[:, 3] - 1000, 10 * (rows[:, 1] // 10))


def test_models_that_do_not_ask_for_variants_never_see_one(clips, recorded):
    matrices, labels, _ = clips
    fit_model(job_of(m={**VOICE, "augment": False}), "m", *clips)
    ((rows, given),) = recorded.fits
    assert np.array_equal(rows, matrices["mfcc_statistics"][:, 0])
    assert np.array_equal(given, labels)


@pytest.mark.parametrize("calibrate", [False, True])
def test_a_bundle_of_it_reads_clips_and_holds_no_type_of_emodask(clips, calibrate, tmp_path):
    matrices, labels, _ = clips
    model = {"kind": "ridge", "scale": True, "augment": True, "calibrate": calibrate}
    job = job_of(m={**model, "features": ["mfcc_statistics"]})
    fitted = fit_model(job, "m", *clips)
    own = {"mfcc_statistics": matrices["mfcc_statistics"][:, 0]}
    reducers = {"mfcc_statistics": make_reducer(job, "mfcc_statistics").fit(own["mfcc_statistics"])}
    save_bundle(Bundle(job, "m", fitted, reducers, {}), tmp_path / "b")
    loaded = load_bundle(tmp_path / "b")
    chances = loaded.model.predict_proba(own)
    assert np.array_equal(chances, fitted.predict_proba(own))
    assert (np.asarray(CODES)[chances.argmax(axis=1)] == labels).mean() > 0.9
