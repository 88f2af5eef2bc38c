"""Promises of late fusion: what its rules make of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emodask.models.fusion import RULES, combine, learn_weights


@given(
    scores=arrays(np.float64, (3, 4, 5), elements=st.floats(0, 1)),
    rule=st.sampled_from(RULES),
)
def test_every_rule_gives_probabilities(scores, rule):
    scores[..., 0] += 1e-3
    said = scores / scores.sum(axis=2, keepdims=True)
    weights = np.full((3, 5), 1 / 3) if rule == "weighted" else None
    fused = combine(said, rule, weights)
    assert (fused >= 0).all()
    np.testing.assert_allclose(fused.sum(axis=1), 1)
    assert (fused[(said == 0).all(axis=0)] == 0).all()


def test_means_believe_members_that_agree_as_they_are():
    said = np.random.default_rng(0).dirichlet(np.ones(4), size=6)
    for rule in ("mean", "weighted"):
        weights = np.array([[0.2] * 4, [0.8] * 4]) if rule == "weighted" else None
        np.testing.assert_allclose(combine([said, said], rule, weights), said)


def test_the_product_lets_a_doubt_count_for_more_than_the_mean_does():
    said = [[[0.98, 0.02]], [[0.3, 0.7]]]
    assert combine(said, "product")[0, 0] > combine(said, "mean")[0, 0]
    np.testing.assert_allclose(combine(said, "product")[0], np.array([0.294, 0.014]) / 0.308)


def test_the_product_of_members_that_agree_is_surer_than_they_are():
    said = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(
        combine([said] * 3, "product")[0], np.array([0.125, 0.027, 0.008]) / 0.16
    )


def test_weights_go_to_the_member_that_knows_the_emotion():
    rng = np.random.default_rng(1)
    labels = np.tile(np.arange(4), 50)
    truth, ignorance = np.eye(4)[labels], np.full((200, 4), 0.25)
    noise = rng.dirichlet(np.ones(4), size=(2, 200))
    first = np.where((labels < 2)[:, None], truth, ignorance)
    second = np.where((labels < 2)[:, None], ignorance, truth)
    weights = learn_weights(0.7 * np.stack([first, second]) + 0.3 * noise, labels)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert (weights[0, :2] > 0.6).all()
    assert (weights[1, 2:] > 0.6).all()


@pytest.mark.parametrize("n", [2, 40])
def test_weights_of_members_alike_are_equal_and_found_again(n):
    said = np.random.default_rng(2).dirichlet(np.ones(3), size=n)
    labels = np.arange(n) % 3
    weights = learn_weights([said, said], labels)
    np.testing.assert_allclose(weights, 0.5, atol=1e-6)
    assert np.array_equal(weights, learn_weights([said, said], labels))


def test_the_learnt_weights_are_a_minimum_of_the_loss():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, size=60)
    said = rng.dirichlet(np.ones(3), size=(2, 60))
    said[0, np.arange(60), labels] += 0.5
    said /= said.sum(axis=2, keepdims=True)

    def loss(weights):
        fused = combine(said, "weighted", weights)[np.arange(60), labels]
        share = 1 / np.bincount(labels)[labels]
        logits = (np.log(weights) - np.log(weights).mean(axis=0)) / 1.0
        return -(share / share.sum()) @ np.log(fused) + 0.5 * (logits**2).sum() / 60

    best = learn_weights(said, labels)
    for place in range(3):
        for step in (-0.05, 0.05):
            moved = best.copy()
            moved[:, place] += [step, -step]
            assert loss(best) < loss(moved)
