"""Promises of the classifier table."""

from __future__ import annotations

import numpy as np
import pytest

from emodask.errors import JobError
from emodask.models.classifiers import CLASSIFIERS, make_classifier, probabilities


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    labels = np.repeat([2, 3, 5], 20)
    return (rng.normal(size=(60, 4)) + 3 * (labels[:, None] - 3)).astype(np.float32), labels


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_every_classifier_learns_gives_probabilities_and_is_seeded(kind, blobs):
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
    [("tarot", {}, "there are mlp, svc"), ("svc", {"c": 1}, "no parameter 'c'; it has C")],
)
def test_unknown_names_are_refused(kind, parameters, message):
    with pytest.raises(JobError, match=message):
        make_classifier(kind, parameters)
