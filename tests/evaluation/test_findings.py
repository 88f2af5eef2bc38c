"""Leakage, the label-permutation control and calibration are what their definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emodask.emotions import EMOTIONS
from emodask.evaluation.calibration import calibration
from emodask.evaluation.findings import Leakage, checks, leakage_line, leakage_sentence, leakages
from emodask.evaluation.metrics import accuracy, actor_confusions, recall, uar
from emodask.evaluation.mistakes import confident_mistakes
from emodask.evaluation.outcome import Outcome, describe
from emodask.evaluation.outcome import leakages as computed_leakages
from emodask.evaluation.paired import paired_differences
from emodask.evaluation.permutation import permutation_control
from tests.evaluation.fabricated import fabricated


def test_paired_intervals_equal_a_bootstrap_that_scores_each_draw_of_both():
    first, second = fabricated(0.3), fabricated(0.6, seed=1)
    people = np.unique(first.actor)
    rng = np.random.default_rng(5)
    expected = []
    for _ in range(40):
        times = rng.multinomial(len(people), np.full(len(people), 1 / len(people)))
        at = np.concatenate(
            [
                np.tile(np.flatnonzero(first.actor == a), t)
                for a, t in zip(people, times, strict=True)
            ]
        )
        scores = []
        for one in (first, second):
            _, counts = actor_confusions(one.true[at], one.predicted[at], one.actor[at], EMOTIONS)
            scores.append(uar(counts.sum(axis=0)))
        expected.append(scores[1] - scores[0])
    ((difference, interval),) = paired_differences(
        first.counts()[1], second.counts()[1], uar, seed=5, n_draws=40
    )
    total = [uar(one.counts()[1].sum(axis=0)) for one in (first, second)]
    assert difference == pytest.approx(total[1] - total[0])
    assert interval == pytest.approx(np.quantile(expected, [0.025, 0.975]))


def test_a_pair_of_results_differs_less_uncertainly_than_each_result_alone():
    rng = np.random.default_rng(3)
    # Actors differ a lot in how hard they are; the second result is right on one clip more each.
    hard = rng.integers(1, 20, size=12)
    first = np.array([[[h, 20 - h], [0, 20]] for h in hard])
    second = np.array([[[h + 1, 19 - h], [0, 20]] for h in hard])
    ((difference, (low, high)),) = paired_differences(first, second, accuracy)
    assert difference == pytest.approx(1 / 40)
    assert low == pytest.approx(difference)
    assert high == pytest.approx(difference)


def test_an_emotion_that_a_draw_lacks_does_not_void_its_interval():
    counts = np.zeros((3, 2, 2), np.int64)
    counts[:, 0, 0] = 4
    counts[0, 1, 1] = 4
    found = paired_differences(counts, counts, recall)
    assert found == [(0.0, (0.0, 0.0))] * 2
    absent = paired_differences(counts[1:], counts[1:], recall)
    assert absent[1] == (None, None)


def test_leakage_is_the_difference_of_the_two_figures_that_are_shown():
    honest, leaky = fabricated(0.4), fabricated(0.8, seed=2)
    tested = {
        ("loso", "mlp"): honest,
        ("within-actor", "mlp"): leaky,
        ("within-actor", "svm"): leaky,
        ("luna-5", "mlp"): honest,
    }
    found = computed_leakages(tested, seed=1)
    assert list(found) == ["mlp"]
    shown = describe(leaky)["uar"] - describe(honest)["uar"]
    assert found["mlp"]["difference"] == pytest.approx(shown)
    low, high = found["mlp"]["ci95"]
    assert 0 < low < shown < high


def test_leakage_survives_an_actor_whom_one_protocol_does_not_test():
    honest, leaky = fabricated(0.4), fabricated(0.8, n_actors=5)
    found = computed_leakages({("loso", "m"): honest, ("within-actor", "m"): leaky})
    shown = describe(leaky)["uar"] - describe(honest)["uar"]
    assert found["m"]["difference"] == pytest.approx(shown)


def test_leakage_is_said_for_a_newcomer_and_never_claimed_without_evidence():
    clear = leakage_sentence(Leakage("mlp", 0.49, 0.71, 0.22, (0.17, 0.27)))
    assert "22.0 points (95 % interval 17.0–27.0)" in clear
    assert "expect 49.0 %, not 71.0 %" in clear
    for unclear in (
        Leakage("mlp", 0.49, 0.51, 0.02, (-0.03, 0.08)),
        Leakage("mlp", 0.67, 0.50, -0.17, (-0.2, -0.1)),
    ):
        assert "shows no advantage" in leakage_sentence(unclear)
    assert "−17.0 points" in leakage_sentence(Leakage("mlp", 0.67, 0.5, -0.17, None))


def test_leakages_come_adapted_last_and_controls_never():
    entry = {"difference": 0.1, "ci95": [0.05, 0.15]}
    metrics = {
        "protocols": {
            "loso": {"models": {m: {"uar": u} for m, u in (("a", 0.2), ("b", 0.3))}},
        },
        "leakage": {name: entry for name in ("b+adapted", "a", "b", "a+permuted")},
    }
    assert [one.model for one in leakages(metrics)] == ["b", "a", "b+adapted"]
    assert leakage_line(metrics).startswith(
        "leakage (within-actor minus loso, points of UAR): b +10.0 [+5.0 to +15.0], a "
    )
    assert leakage_line({"protocols": {}}) == ""


def _permuted_uars(outcome: Outcome, draws: int) -> list[float]:
    """Plain reference: shuffle each actor's labels and ask for the UAR."""
    rng = np.random.default_rng(11)
    scores = []
    for _ in range(draws):
        true = outcome.true.copy()
        for actor in np.unique(outcome.actor):
            at = np.flatnonzero(outcome.actor == actor)
            true[at] = rng.permutation(true[at])
        _, counts = actor_confusions(true, outcome.predicted, outcome.actor, EMOTIONS)
        scores.append(float(uar(counts.sum(axis=0))))
    return scores


def test_control_equals_a_plain_permutation_within_actors():
    tested = fabricated(0.5, n_actors=3)
    found = permutation_control(tested.true, tested.predicted, tested.actor, n_permutations=4000)
    plain = _permuted_uars(tested, 800)
    assert found["uar"] == pytest.approx(np.mean(plain), abs=0.006)
    assert found["high"] == pytest.approx(np.quantile(plain, 0.95), abs=0.02)
    assert found["p_value"] == pytest.approx(1 / 4001)


def test_control_keeps_what_knowing_the_speaker_gives():
    """Each actor shows one emotion, and the model names it: all of that is the speaker's."""
    true = np.repeat([3, 4, 5, 6], 5)
    found = permutation_control(true, true, np.repeat([1, 2, 3, 4], 5))
    assert found["uar"] == pytest.approx(1)
    assert found["p_value"] == pytest.approx(1)


def test_guessing_is_not_told_from_the_control():
    tested = fabricated(0.0, n_actors=10, seed=4)
    found = permutation_control(tested.true, tested.predicted, tested.actor)
    assert found["p_value"] > 0.05
    assert found["uar"] == pytest.approx(1 / 8, abs=0.01)


def test_a_verdict_that_is_nobodys_label_is_wrong_in_the_control_too():
    found = permutation_control([3, 3, 5, 5], [3, 8, 8, 5], [1, 1, 1, 1])
    assert found["uar"] == pytest.approx(0.25, abs=0.02)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), min_size=1, max_size=40),
    st.integers(1, 15),
)
def test_calibration_error_is_that_of_guo_2017(clips, n_bins):
    right = np.array([hit for hit, _ in clips])
    stated = np.array([share / 1000 for _, share in clips])
    expected = 0.0
    for m in range(1, n_bins + 1):
        # (m-1)/M < confidence <= m/M in whole numbers, where no rounding blurs an edge.
        parts = np.array([share for _, share in clips]) * n_bins
        inside = (parts > (m - 1) * 1000) & (parts <= m * 1000)
        if m == 1:
            inside |= parts == 0
        if inside.any():
            gap = abs(right[inside].mean() - stated[inside].mean())
            expected += inside.sum() / len(right) * gap
    found = calibration(right, stated, n_bins)
    assert found["ece"] == pytest.approx(expected)
    assert sum(one["clips"] for one in found["bins"]) == len(right)
    assert all((one["accuracy"] is None) == (one["clips"] == 0) for one in found["bins"])


def test_mistakes_are_the_surest_wrong_verdicts_with_ties_by_name():
    chances = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.3, 0.7], [0.4, 0.6]])
    found = confident_mistakes(
        ["right", "b", "c", "a", "right too"],
        [3, 5, 3, 3, 5],
        [3, 3, 5, 5, 5],
        [1, 1, 2, 2, 2],
        chances,
        [3, 5],
    )
    assert [one["clip_id"] for one in found] == ["c", "a", "b"]
    assert found[0] == {
        "clip_id": "c",
        "actor": 2,
        "true": "happy",
        "predicted": "angry",
        "probability": 0.9,
        "true_probability": 0.1,
    }


def test_a_description_tells_each_actor_apart_and_sums_up():
    tested = fabricated(0.5)
    found = describe(tested)
    right = sum(one["accuracy"] * one["clips"] for one in found["per_actor"].values())
    assert list(found["per_actor"]) == [str(actor) for actor in range(1, 7)]
    assert right / len(tested) == pytest.approx(found["accuracy"])
    assert found["calibration"]["accuracy"] == pytest.approx(found["accuracy"])
    assert found["calibration"]["ece"] == pytest.approx(0.8 - found["accuracy"])
    assert len(found["mistakes"]) == 20


def test_checks_hold_what_ran_and_skip_older_metrics():
    found = describe(fabricated(0.5))
    older = {k: v for k, v in found.items() if k not in ("control", "calibration")}
    metrics = {
        "protocols": {
            "loso": {"speaker_independent": True, "models": {"new": found, "old": older}},
            "luna-5": {"speaker_independent": True, "not_run": "x"},
        }
    }
    (check,) = checks(metrics)
    assert check.row.model == "new"
    assert (check.ece, check.p_value) == (
        found["calibration"]["ece"],
        found["control"]["p_value"],
    )
