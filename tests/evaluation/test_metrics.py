"""Metrics equal scikit-learn's, and intervals equal a bootstrap that repeats the clips."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from emodask.emotions import CODES, EMOTIONS
from emodask.errors import EvaluationError
from emodask.evaluation import metrics
from tests.oracles.metrics import bootstrap_interval

FEW = ("happy", "neutral", "disgust")
"""A subset, out of code order: positions must follow the list, not the codes."""


@st.composite
def predictions(draw, emotions=EMOTIONS):
    n = draw(st.integers(1, 40))
    code = st.sampled_from([CODES[name] for name in emotions])
    column = st.lists(code, min_size=n, max_size=n)
    actors = draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    return np.array(draw(column)), np.array(draw(column)), np.array(actors)


def _macro_f1(true, predicted):
    return sk.f1_score(true, predicted, average="macro", zero_division=0)


def _balanced_accuracy(true, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sk.balanced_accuracy_score(true, predicted)


@settings(deadline=None, max_examples=40)
@given(predictions())
def test_headline_metrics_equal_scikit_learn(clips):
    true, predicted, actors = clips
    found = metrics.summarise(true, predicted, actors, EMOTIONS)
    assert found["uar"] == pytest.approx(_balanced_accuracy(true, predicted))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
    assert found["macro_f1"] == pytest.approx(_macro_f1(true, predicted))


@settings(deadline=None, max_examples=40)
@given(predictions(FEW))
def test_confusion_and_per_emotion_follow_the_list_of_emotions(clips):
    true, predicted, actors = clips
    codes = [CODES[name] for name in FEW]
    found = metrics.summarise(true, predicted, actors, FEW)
    assert found["confusion"] == sk.confusion_matrix(true, predicted, labels=codes).tolist()
    p, r, f, support = sk.precision_recall_fscore_support(
        true, predicted, labels=codes, zero_division=np.nan
    )
    assert list(found["per_emotion"]) == list(FEW)
    for i, row in enumerate(found["per_emotion"].values()):
        assert row["support"] == support[i]
        for key, expected in (("precision", p[i]), ("recall", r[i]), ("f1", f[i])):
            if math.isnan(expected):
                assert row[key] is None
            else:
                assert row[key] == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(predictions(), st.integers(0, 2**32))
def test_summary_is_valid_json_of_plain_numbers(clips, seed):
    summary = metrics.summarise(*clips, EMOTIONS, seed=seed)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert list(summary) == [
        "uar",
        "uar_ci95",
        "accuracy",
        "accuracy_ci95",
        "macro_f1",
        "macro_f1_ci95",
        "per_emotion",
        "per_actor",
        "confusion",
    ]
    assert (summary["uar_ci95"] is None) == (len(set(clips[2].tolist())) < 2)


@settings(deadline=None, max_examples=10)
@given(predictions(), st.integers(0, 1000))
def test_intervals_equal_a_bootstrap_that_repeats_clips(clips, seed):
    true, predicted, actors = clips
    if len(np.unique(actors)) < 2:
        actors[0] = 7
        true, predicted = np.append(true, 1), np.append(predicted, 2)
        actors = np.append(actors, 8)
    _, counts = metrics.actor_confusions(true, predicted, actors, EMOTIONS)
    found = metrics.bootstrap_intervals(counts, seed, n_draws=25)
    for name, metric in (
        ("uar", _balanced_accuracy),
        ("accuracy", sk.accuracy_score),
        ("macro_f1", _macro_f1),
    ):
        expected = bootstrap_interval(true, predicted, actors, metric, seed, 25)
        assert found[name] == pytest.approx(expected)


def test_intervals_draw_actors_not_clips():
    # One actor always right, one always wrong: drawing clips would give a narrow interval.
    true = np.repeat([3, 5], 200)
    actors = np.tile([1, 2], 200)
    predicted = np.where(actors == 1, true, 8 - true)
    summary = metrics.summarise(true, predicted, actors, ("happy", "angry"))
    assert summary["accuracy"] == 0.5
    assert summary["accuracy_ci95"] == [0.0, 1.0]


def test_intervals_are_fixed_by_the_seed():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(1, 9, (2, 200))
    actors = rng.integers(1, 11, 200)
    first, second, other = (
        metrics.summarise(true, predicted, actors, EMOTIONS, seed=s) for s in (1, 1, 2)
    )
    assert first == second
    assert first["uar_ci95"] != other["uar_ci95"]
    low, high = first["uar_ci95"]
    assert low < first["uar"] < high


def test_a_code_outside_the_emotions_is_refused_by_name():
    with pytest.raises(EvaluationError, match=r"predicted codes \[8\].*3 happy"):
        metrics.summarise([3, 3], [3, 8], [1, 2], ("happy", "angry"))


@pytest.mark.parametrize("clips", [([], [], []), ([3], [3, 3], [1])])
def test_no_clips_or_unequal_lengths_are_refused(clips):
    with pytest.raises(EvaluationError, match=r"at least one clip|one per clip"):
        metrics.summarise(*clips, EMOTIONS)


def test_an_unknown_emotion_name_is_refused():
    with pytest.raises(EvaluationError, match="unknown emotions"):
        metrics.summarise([3], [3], [1], ("happy", "bored"))
