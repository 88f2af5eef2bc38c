"""Promises of calibration: the temperature that clips of strangers ask for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from emodask.models.temperature import Temperature, learn_temperature


def drawn(n, factor, offsets, seed=0):
    """Scores, and labels that come with softmax(factor * scores + offsets)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, len(offsets)))
    chances = softmax(factor * scores + np.array(offsets), axis=1)
    labels = (chances.cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1)
    return scores, labels


def test_the_planted_temperature_is_found_whatever_the_size_of_scores():
    scores, labels = drawn(20_000, 2.5, [0.0, 0.0, 0.0])
    for unit in (1e-4, 1.0, 1e5):
        found = learn_temperature(unit * scores, labels)
        assert found.factor * unit == pytest.approx(2.5, rel=0.05)
        assert np.ptp(found.offsets) < 0.1


def test_emotions_count_alike_however_many_clips_they_have():
    rng = np.random.default_rng(1)
    labels = (np.arange(20_000) % 10 == 0).astype(np.intp)  # the first in nine clips of ten
    scores = rng.normal(size=(20_000, 2)) + np.eye(2)[labels]
    found = learn_temperature(scores, labels)
    assert np.ptp(found.offsets) < 0.1
    assert found.factor == pytest.approx(1.0, abs=0.1)


def test_the_learnt_numbers_are_a_minimum_of_the_loss_and_found_again():
    scores, labels = drawn(60, 1.5, [0.5, 0.0, -0.5], seed=3)
    found = learn_temperature(scores, labels)
    assert found == learn_temperature(scores, labels)

    def loss(factor, offsets):
        share = 1 / np.bincount(labels)[labels]
        logs = log_softmax(factor * scores + offsets, axis=1)[np.arange(60), labels]
        return -(share / share.sum()) @ logs + (np.square(offsets)).sum() / 60

    best, offsets = loss(found.factor, np.array(found.offsets)), np.array(found.offsets)
    for step in (-0.05, 0.05):
        assert best < loss(found.factor + step, offsets)
        for place in range(3):
            assert best < loss(found.factor, offsets + step * np.eye(3)[place])


@pytest.mark.parametrize("scores", [np.zeros((6, 3)), 9.0 * np.eye(3)[[0, 0, 1, 1, 2, 2]]])
def test_scores_that_say_nothing_or_are_always_right_give_finite_numbers(scores):
    found = learn_temperature(scores, np.array([0, 0, 1, 1, 2, 2]))
    assert np.isfinite([found.factor, *found.offsets]).all()
    assert np.isfinite(found.probabilities(scores)).all()


def test_offsets_move_the_verdict():
    sure = Temperature(2.0, (0.0, 3.0))
    np.testing.assert_allclose(
        sure.probabilities(np.array([[1.0, 0.0]])), [[1 / (1 + np.e), np.e / (1 + np.e)]]
    )
