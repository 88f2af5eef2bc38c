"""Promises of fitting: scaling, calibration and fusion learn from the training side alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from emodask.errors import EvaluationError
from emodask.models import learning
from emodask.models.fusion import RULES
from emodask.models.inner_folds import inner_folds
from emodask.models.learning import fit_model
from emodask.models.temperature import learn_temperature
from tests.models.conftest import job_of

SVC_BOTH = {"kind": "svc"}
VOICE = {"kind": "lda", "features": ["spline"]}
FACE = {"kind": "lda", "features": ["hog3d"]}


def fused(rule, **members):
    members = members or {"voice": VOICE, "face": FACE}
    return job_of(**members, both={"kind": "fusion", "members": list(members), "rule": rule})


def test_scaling_is_learnt_from_the_training_rows(reduced):
    known, unseen = reduced.of(np.arange(80)), reduced.of(np.arange(80, 96))
    known.matrices["spline"][:, 0] *= 1000
    job = job_of(svc={"kind": "svc", "features": ["spline"], "scale": True})
    scaler = StandardScaler().fit(known.matrices["spline"])
    alone = SVC(break_ties=True, random_state=7).fit(
        scaler.transform(known.matrices["spline"]), known.labels
    )
    model = fit_model(job, "svc", *known)
    expected = alone.predict(scaler.transform(unseen.matrices["spline"]))
    assert np.array_equal(model.predict(unseen.matrices), expected)


def test_a_scaled_model_does_not_care_for_units(reduced):
    job = job_of(svc={**SVC_BOTH, "scale": True})
    large = reduced.of(np.arange(96))
    large.matrices["spline"][:] *= 1024
    first = fit_model(job, "svc", *reduced).predict_proba(reduced.matrices)
    second = fit_model(job, "svc", *large).predict_proba(large.matrices)
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_inner_folds_hold_every_row_out_once_and_never_cut_an_actor(reduced):
    folds = inner_folds(reduced.actors, "m")
    held_out = np.concatenate([rows for _, rows in folds])
    assert sorted(held_out) == list(range(96))
    for train, rows in folds:
        assert not set(reduced.actors[train]) & set(reduced.actors[rows])


def test_calibration_leaves_the_classifier_and_its_temperature_sees_strangers_alone(
    reduced, monkeypatch
):
    fitted, real = [], learning._fit

    def spy(estimator, model, X, labels, *groups):
        fitted.append(len(labels))
        real(estimator, model, X, labels, *groups)

    monkeypatch.setattr(learning, "_fit", spy)
    job = job_of(plain={"kind": "svc"}, sure={"kind": "svc", "calibrate": True})
    plain, sure = (fit_model(job, name, *reduced) for name in job.models)
    X, folds = sure.join(reduced.matrices), inner_folds(reduced.actors, "sure")
    whole = len(reduced.labels)
    assert fitted == [whole, *(len(train) for train, _ in folds), whole]
    scores = sure.estimator.decision_function(X)
    assert np.array_equal(scores, plain.estimator.decision_function(X))
    unseen = np.empty_like(scores)
    for train, held_out in folds:
        stranger = SVC(**plain.estimator.get_params()).fit(X[train], reduced.labels[train])
        unseen[held_out] = stranger.decision_function(X[held_out])
    expected = learn_temperature(unseen, np.unique(reduced.labels, return_inverse=True)[1])
    assert sure.temperature == expected
    verdicts = sure.predict_proba(reduced.matrices).argmax(axis=1)
    assert np.array_equal(sure.predict(reduced.matrices), np.array(sure.classes)[verdicts])


def test_two_emotions_can_be_calibrated(reduced):
    two = reduced.of(reduced.labels <= 2)
    for kind in ("svc", "gaussian-nb"):
        job = job_of(sure={"kind": kind, "calibrate": True})
        said = fit_model(job, "sure", *two).predict_proba(two.matrices)
        np.testing.assert_allclose(said[:, :2].sum(axis=1), 1)
        assert (said[:, 2:] == 0).all()


def log_loss(model, clips):
    chances = model.predict_proba(clips.matrices)[np.arange(len(clips.labels)), clips.labels - 1]
    return -np.log(np.maximum(chances, 1e-12)).mean()


def test_calibration_takes_back_what_an_overconfident_model_claims(reduced):
    # The same numbers six times over, which naive Bayes takes for six witnesses.
    clips = reduced.of(np.arange(96))
    clips.matrices["spline"] = np.tile(clips.matrices["spline"], 6)
    known, unseen = clips.of(clips.actors < 5), clips.of(clips.actors >= 5)
    bayes = {"kind": "gaussian-nb", "features": ["spline"]}
    job = job_of(plain=bayes, sure={**bayes, "calibrate": True})
    plain, sure = (fit_model(job, name, *known) for name in job.models)
    assert log_loss(sure, unseen) < 0.7 * log_loss(plain, unseen)
    np.testing.assert_allclose(sure.predict_proba(unseen.matrices).sum(axis=1), 1)


@pytest.mark.parametrize("rule", RULES)
def test_a_fusion_beats_members_that_know_half_of_the_emotions(reduced, rule):
    known, unseen = reduced.of(reduced.actors < 5), reduced.of(reduced.actors >= 5)
    job, models = fused(rule), {}
    for name in job.models:
        fit_model(job, name, *known, models)
    hits = {n: (m.predict(unseen.matrices) == unseen.labels).mean() for n, m in models.items()}
    assert hits["both"] > max(hits["voice"], hits["face"])
    assert models["both"].features == ("hog3d", "spline")
    assert models["both"].members["voice"] is models["voice"]


def test_members_are_fitted_once_however_many_share_them(reduced, monkeypatch):
    made = []
    real = learning.make_classifier

    def spy(kind, *rest):
        made.append(kind)
        return real(kind, *rest)

    monkeypatch.setattr(learning, "make_classifier", spy)
    job = job_of(
        again={"kind": "fusion", "members": ["both", "voice"], "rule": "product"},
        both={"kind": "fusion", "members": ["voice", "face"]},
        voice=VOICE,
        face={**FACE, "kind": "gaussian-nb"},
    )
    models = {}
    for name in job.models:
        fit_model(job, name, *reduced, models)
    assert sorted(made) == ["gaussian-nb", "lda"]


def test_weights_are_chosen_on_actors_that_the_members_did_not_meet(reduced, monkeypatch):
    fits = []
    real = learning._fit_classifier

    def spy(job, model, matrices, labels, actors, chosen):
        fits.append(set(actors.tolist()))
        return real(job, model, matrices, labels, actors, chosen)

    monkeypatch.setattr(learning, "_fit_classifier", spy)
    known = reduced.of(reduced.actors != 6)
    model = fit_model(fused("weighted"), "both", *known)
    assert all(6 not in people for people in fits)
    assert [len(people) for people in fits] == [5, 5] + [4] * 10
    assert (model.weights[1, 5:] > 0.5).all()
    assert (model.weights[0, :4] > 0.5).all()


def test_weights_without_two_actors_are_refused_by_name(reduced):
    alone = reduced.of(reduced.actors == 1)
    with pytest.raises(EvaluationError, match=r"model both: .*it has 1; they need at least two"):
        fit_model(fused("weighted"), "both", *alone)
    with pytest.raises(EvaluationError, match=r"model svc: .*at least two"):
        fit_model(job_of(svc={"kind": "svc", "calibrate": True}), "svc", *alone)


def test_an_emotion_of_one_actor_alone_cannot_be_calibrated(reduced):
    rare = reduced.of((reduced.labels != 5) | (reduced.actors == 1))
    with pytest.raises(EvaluationError, match="too few actors of the training side show angry"):
        fit_model(job_of(svc={"kind": "svc", "calibrate": True}), "svc", *rare)
    for rule in ("weighted", "stacked"):
        few = fit_model(fused(rule), "both", *rare)
        np.testing.assert_allclose(few.predict_proba(rare.matrices).sum(axis=1), 1)
