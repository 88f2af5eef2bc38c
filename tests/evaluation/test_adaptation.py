"""Promises of speaker-adapted rows: no label, no training statistic of a test actor, in words."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from emodask.evaluation import sides as module
from emodask.evaluation.adaptation import ADAPTED_MEANING, standardised_by_actor
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.folds import FoldTask, run_folds
from emodask.job import parse_job
from emodask.store import StoreAddress, open_group
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def job():
    models = {"svc": {"kind": "svc", "features": ["spline"]}}
    evaluation = {"protocols": ["loso"], "speaker_adapted": True}
    return parse_job({**SMALL, "models": models, "evaluation": evaluation})


def one_fold(job, store, actor=2):
    clips = usable_clips(job, store)
    train, test = clips.actor != actor, clips.actor == actor
    task = FoldTask("loso", "fold", clips.rows[train], clips.rows[test], clips.emotion[train])
    return clips, task


def test_each_actor_is_centred_and_scaled_by_own_rows_alone():
    rng = np.random.default_rng(0)
    actors = np.array([3, 1, 3, 1, 3, 1, 9])
    matrix = rng.normal(5, 3, size=(7, 4)).astype(np.float32)
    found = standardised_by_actor({"m": matrix}, actors)["m"]
    for actor in (1, 3):
        rows = found[actors == actor]
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-4)
        alone = standardised_by_actor({"m": matrix[actors == actor]}, np.full(3, actor))["m"]
        assert np.array_equal(rows, alone)
    assert (found[actors == 9] == 0).all()


def test_adapted_rows_stand_beside_the_others_and_say_what_they_are(job, small_store, tmp_path):
    metrics = evaluate(job, small_store, tmp_path)
    models = metrics["protocols"]["loso"]["models"]
    assert list(models) == ["svc", "svc+adapted"]
    assert models["svc+adapted"]["adaptation"] == ADAPTED_MEANING
    assert "adaptation" not in models["svc"]
    assert models["svc+adapted"]["features"] == ["spline"]
    page = (tmp_path / "index.html").read_text()
    assert "Speaker-adapted: the reduced features of each person" in page
    plain = parse_job({**job.settings(), "evaluation": {"protocols": ["loso"]}})
    alone = evaluate(plain, small_store, tmp_path / "plain")
    assert alone["protocols"]["loso"]["models"] == {"svc": models["svc"]}
    assert "Speaker-adapted" not in (tmp_path / "plain" / "index.html").read_text()


def test_adapting_uses_no_label_of_the_test_side(job, small_store):
    clips, task = one_fold(job, small_store)
    shuffled = np.where(clips.actor == 2, 1, clips.emotion)
    expected, _ = run_folds(job, small_store, clips, [task])
    relabelled = replace(clips, identities=replace(clips.identities, emotion=shuffled))
    found, _ = run_folds(job, small_store, relabelled, [task])
    assert [p.model for p in found] == ["svc", "svc+adapted"]
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one.probability, other.probability)


def test_no_statistic_of_the_training_side_touches_a_tested_actor(
    job, small_store, monkeypatch, tmp_path
):
    clips, task = one_fold(job, small_store)
    shutil.copytree(small_store.url, tmp_path / "wrecked.zarr")
    wrecked = StoreAddress.of(tmp_path / "wrecked.zarr")
    open_group(wrecked, "r+")["spline"][task.test[0] : task.test[-1] + 1] = 1e6
    sides = []
    real = module.standardised_by_actor

    def spy(matrices, actors):
        sides.append((set(actors.tolist()), real(matrices, actors)["spline"]))
        return real(matrices, actors)

    monkeypatch.setattr(module, "standardised_by_actor", spy)
    run_folds(job, small_store, clips, [task])
    run_folds(job, wrecked, clips, [task])
    assert [people for people, _ in sides] == [{1, 3}, {2}] * 2
    assert np.array_equal(sides[0][1], sides[2][1])
    # And the other way round: a tested actor's numbers depend on own clips alone.
    only_own = real({"m": np.asarray(sides[1][1])}, np.full(len(sides[1][1]), 2))["m"]
    np.testing.assert_allclose(sides[1][1], only_own, atol=1e-4)


def test_where_an_actor_is_on_both_sides_each_side_has_its_own_statistics(
    job, small_store, monkeypatch
):
    clips, _ = one_fold(job, small_store)
    first = np.arange(len(clips)) % 2 == 0
    task = FoldTask(
        "within-actor", "f", clips.rows[first], clips.rows[~first], clips.emotion[first]
    )
    seen = []
    real = module.standardised_by_actor

    def spy(matrices, actors):
        seen.append((len(actors), set(actors.tolist())))
        return real(matrices, actors)

    monkeypatch.setattr(module, "standardised_by_actor", spy)
    run_folds(job, small_store, clips, [task])
    assert seen == [(12, {1, 2, 3})] * 2
