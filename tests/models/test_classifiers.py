"""Promises of the classifier table."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.base import clone

from emodask.errors import JobError
from emodask.models import classifiers
from emodask.models.classifiers import CLASSIFIERS, is_network, make_classifier, probabilities
from tests.models.installed import needs


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    labels = np.repeat([2, 3, 5], 20)
    return (rng.normal(size=(60, 4)) + 5 * np.eye(6, 4)[labels - 2]).astype(np.float32), labels


@pytest.mark.parametrize("kind", [kind for kind in CLASSIFIERS if not is_network(kind)])
def test_every_classifier_learns_gives_probabilities_and_is_seeded(kind, blobs):
    needs(kind)
    features, labels = blobs
    first, again = (make_classifier(kind, {}, seed=3).fit(features, labels) for _ in range(2))
    chances = probabilities(first, features)
    assert np.array_equal(chances, probabilities(again, features))
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(first.classes_[chances.argmax(axis=1)], first.predict(features))
    assert (first.predict(features) == labels).mean() > 0.8


def test_two_classes_without_probabilities_of_their_own_still_have_two_columns(blobs):
    features, labels = blobs
    model = make_classifier("svc", {}).fit(features[:40], labels[:40])
    chances = probabilities(model, features[:40])
    assert chances.shape == (40, 2)
    assert np.array_equal(model.classes_[chances.argmax(axis=1)], model.predict(features[:40]))


def test_lists_of_a_job_file_become_tuples():
    assert make_classifier("mlp", {"hidden_layer_sizes": [3, 2]}).hidden_layer_sizes == (3, 2)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("tarot", {}, "there are mlp, svc"),
        ("svc", {"c": 1}, "no parameter 'c'; it has C"),
        ("xgboost", {"depth": 1}, "no parameter 'depth'; it has .*max_depth"),
    ],
)
def test_unknown_names_are_refused(kind, parameters, message):
    needs(kind)
    with pytest.raises(JobError, match=message):
        make_classifier(kind, parameters)


def test_a_kind_whose_package_is_absent_says_what_to_install(monkeypatch):
    def without(name):
        return None if name == "xgboost" else find_spec(name)

    monkeypatch.setattr(classifiers, "find_spec", without)
    with pytest.raises(JobError, match=r"pip install 'emodask\[xgboost\]'"):
        make_classifier("xgboost", {})
    assert make_classifier("svc", {})


def test_boosted_trees_copy_and_travel_whole(blobs):
    needs("xgboost")
    features, labels = blobs
    model = make_classifier("xgboost", {"n_estimators": 5, "max_depth": 2}, seed=1)
    assert clone(model).get_params() == pytest.approx(model.get_params(), nan_ok=True)
    model.fit(features, labels)
    again = pickle.loads(pickle.dumps(model))
    assert again.classes_.tolist() == [2, 3, 5]
    assert np.array_equal(again.predict_proba(features), model.predict_proba(features))


def test_boosted_trees_use_one_thread_unless_told():
    needs("xgboost")
    assert make_classifier("xgboost", {}).get_params()["n_jobs"] == 1
    assert make_classifier("xgboost", {"n_jobs": 2}).get_params()["n_jobs"] == 2
