"""Promises of late fusion: what its rules make of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from emodask.models.fusion import RULES, combine, learn_weights


@given(
    scores=arrays(np.float64, (3, 4, 5), elements=st.floats(0, 1)),
    rule=st.sampled_from(RULES),
)
def test_every_rule_gives_probabilities(scores, rule):
    scores[..., 0] += 1e-3
    said = scores / scores.sum(axis=2, keepdims=True)
    learnt = {"weighted": np.full((3, 5), 1 / 3), "stacked": np.tile(np.eye(5), (4, 1))[:16]}
    weights = learnt.get(rule)
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


def heard(n=90, classes=3, seed=5):
    """What two models say, one of them twice too sure, and the truth."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    logits = rng.normal(size=(2, n, classes)) + 1.5 * np.eye(classes)[labels]
    logits[1] *= 2
    return softmax(logits, axis=2), labels, [(np.arange(n) >= 30, np.arange(n) < 30)]


def test_a_stack_is_the_regression_of_log_probabilities_that_its_folds_choose():
    said, labels, masks = heard()
    folds = [tuple(np.flatnonzero(side) for side in masks[0])]
    logs = np.log(said) - np.log(said).mean(axis=2, keepdims=True)
    X = np.concatenate([part / part.std() for part in logs], axis=1)

    def loss(C):
        train, held_out = folds[0]
        stack = LogisticRegression(C=C, class_weight="balanced").fit(X[train], labels[train])
        return -stack.predict_log_proba(X[held_out])[np.arange(30), labels[held_out]].sum()

    best = min((0.03, 0.1, 0.3, 1.0, 3.0), key=loss)
    expected = LogisticRegression(C=best, class_weight="balanced").fit(X, labels).predict_proba(X)
    fused = combine(said, "stacked", learn_weights(said, labels, "stacked", folds))
    np.testing.assert_allclose(fused, expected, atol=1e-3)


def test_a_stack_gives_what_it_never_saw_no_chance():
    said, labels, _ = heard(classes=4)
    folds = [(np.arange(90), np.arange(90))]
    for shown in ([0, 1, 3], [1, 3]):
        rows = np.isin(labels, shown)
        weights = learn_weights(said[:, rows], labels[rows], "stacked")
        fused = combine(said, "stacked", weights)
        assert (fused[:, [c for c in range(4) if c not in shown]] == 0).all()
        np.testing.assert_allclose(fused.sum(axis=1), 1)
        right = np.array(shown)[fused[np.ix_(rows, shown)].argmax(axis=1)] == labels[rows]
        assert right.mean() > 1.2 / len(shown)
    assert np.isfinite(learn_weights(said, labels, "stacked", folds)).all()


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
