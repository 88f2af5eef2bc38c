"""Promises of the refitted control: at chance, where the model it controls is far above."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.evaluation.controls import CONTROL, shuffled_within_actors
from emodask.evaluation.folds import _predict_sides
from emodask.evaluation.sides import FoldTask, Sides, training_labels
from emodask.job import parse_job
from tests.conftest import SMALL
from tests.models.conftest import reduced  # noqa: F401  fixture

JOB = parse_job(
    {
        **SMALL,
        "models": {"logistic": {"kind": "logistic"}},
        "evaluation": {"protocols": ["loso"], "permuted": True},
    }
)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 8)), min_size=1), st.integers(0, 9))
def test_each_actor_keeps_its_labels_in_an_order_of_its_own(clips, seed):
    actors, labels = np.array(clips).T
    found = shuffled_within_actors(labels, actors, seed)
    for actor in np.unique(actors):
        own = actors == actor
        assert sorted(found[own]) == sorted(labels[own])
        alone = shuffled_within_actors(labels[own], actors[own], seed)
        assert np.array_equal(found[own], alone), "it depends on who else is there"
    assert np.array_equal(found, shuffled_within_actors(labels, actors, seed))


def sides_of(data, tested: int) -> Sides:
    train, test = data.actors != tested, data.actors == tested
    rows = np.arange(len(data.labels))
    task = FoldTask("loso", str(tested), rows[train], rows[test], data.labels[train])
    known, unseen = data.of(train), data.of(test)
    return Sides(task, known.matrices, unseen.matrices, known.actors, unseen.actors)


def test_the_control_is_at_chance_where_the_model_is_far_above(reduced):  # noqa: F811
    said: dict[str, list[bool]] = {}
    for tested in range(1, 7):
        for part in _predict_sides(JOB, sides_of(reduced, tested)):
            right = part.predicted == reduced.labels[part.rows]
            said.setdefault(part.model, []).extend(right.tolist())
    assert set(said) == {"logistic", "logistic" + CONTROL}
    assert {len(right) for right in said.values()} == {96}
    assert np.mean(said["logistic"]) > 0.5
    assert np.mean(said["logistic" + CONTROL]) == pytest.approx(1 / 8, abs=0.1)


def test_the_control_is_shuffled_anew_by_the_seed_and_the_model_never(reduced):  # noqa: F811
    sides = sides_of(reduced, 6)
    other = parse_job({**JOB.settings(), "evaluation": {"permuted": True, "seed": 99}})
    labels = [
        training_labels(job, sides.task, sides.train_actors, variant).tolist()
        for job in (JOB, other)
        for variant in ("", CONTROL)
    ]
    assert labels[0] == labels[2] == sides.task.labels.tolist()
    assert len({tuple(some) for some in labels}) == 3


def test_no_control_unless_the_job_asks_for_it(reduced):  # noqa: F811
    job = parse_job({**JOB.settings(), "evaluation": {"protocols": ["loso"]}})
    assert [p.model for p in _predict_sides(job, sides_of(reduced, 1))] == ["logistic"]
