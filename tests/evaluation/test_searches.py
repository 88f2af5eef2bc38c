"""Promises of searches over a cluster: what one process would choose, and nothing left behind."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from distributed import Client, LocalCluster

from emodask.cluster import connect
from emodask.errors import EvaluationError
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.searches import Part, run_searched
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.models import learning
from emodask.models.learning import fit_model
from tests.conftest import SMALL
from tests.models.conftest import job_of, reduced  # noqa: F401  fixture

LIMIT = 90

FOREST = {
    "kind": "random-forest",
    "parameters": {"bootstrap": False},
    "search": {
        "draws": 2,
        "parameters": {"n_estimators": {"low": 3, "high": 8}, "max_depth": [2, 4]},
        "grid": {"n_estimators": [4, 9]},
    },
}
SVC = {"kind": "svc", "search": {"parameters": {"C": [0.1, 1.0]}}}


@dataclass(frozen=True, eq=False)
class Numbers:
    """Stands for the reduced features of a fold; may kill the first process that trains on it."""

    matrices: Any
    kills: str = ""

    def training(self, variant: str) -> Any:
        if self.kills:
            try:
                os.close(os.open(self.kills, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.matrices


def same(numbers):
    return numbers


def chosen(numbers, searched):
    return searched[""]


@pytest.fixture
def client():
    """Two workers of one thread in this process."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with (
        LocalCluster(**options, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def searched(job, data, client=None, folds=1, finish=chosen, numbers=None, **others):
    numbers = numbers or [Numbers(data.matrices) for _ in range(folds)]
    plain = {"": Part(data.labels, data.actors)}
    found = run_searched(job, numbers, same, finish, lambda fold: plain, client, **others)
    return [outcome for _, outcome in found]


def both(**rest):
    return job_of(
        both={"kind": "fusion", "members": ["forest", "svc"], "rule": "weighted"},
        forest={**FOREST, "features": ["spline"]},
        svc={**SVC, "features": ["hog3d"], "calibrate": True, **rest},
    )


def test_searches_of_members_and_of_inner_folds_choose_what_one_process_does(reduced, client):  # noqa: F811
    few = reduced.of(reduced.actors <= 3)
    job = both()
    (here,), (there,) = searched(job, few), searched(job, few, client)
    # The members' own, and those of each of the fusion's three inner folds.
    parts = [(), (0,), (1,), (2,)]
    assert set(here) == {(model, part) for model in ("forest", "svc") for part in parts}
    assert here == there
    found = fit_model(job, "both", *few, searched=here)
    alone = fit_model(job, "both", *few)
    assert found.members["forest"].chosen == alone.members["forest"].chosen
    assert set(alone.members["forest"].chosen) == {"n_estimators", "max_depth"}
    assert np.array_equal(found.predict_proba(few.matrices), alone.predict_proba(few.matrices))


def test_workers_of_a_searched_job_give_bit_for_bit_what_one_process_gives(small_store, tmp_path):
    models = {"forest": {**FOREST, "features": ["spline"]}, "svc": SVC}
    settings = {"protocols": ["actors-20-4"], "speaker_adapted": True, "permuted": True}
    job = parse_job({**SMALL, "models": models, "evaluation": settings})
    told = []
    one = evaluate(job, small_store, tmp_path / "one", on_progress=told.append)
    with connect("local", workers=2) as client:
        two = evaluate(job, small_store, tmp_path / "two", client)
        bundle = fit(job, small_store, tmp_path / "bundle", client)
    texts = [(tmp_path / run / "predictions.csv").read_bytes() for run in ("one", "two")]
    assert texts[0] == texts[1]
    rows = ["forest", "svc", "forest+adapted", "svc+adapted", "forest+permuted", "svc+permuted"]
    assert sorted(two["protocols"]["actors-20-4"]["models"]) == sorted(rows)
    assert one["protocols"] == two["protocols"]
    # Two candidates for svc, two and two more for the forest, on the two actors trained on.
    last = told[-2]
    assert (last.trials, last.all_trials, last.total) == (36, 3 * 2 * (2 + 2 + 2), 1)
    alone = fit(job, small_store, tmp_path / "alone")
    assert bundle.model.chosen == alone.model.chosen != {}


@pytest.mark.parametrize("here", [True, False], ids=["in this process", "on a cluster"])
def test_a_fold_is_reduced_once_for_all_its_trials(reduced, client, tmp_path, here):  # noqa: F811
    count = tmp_path / "reduced"

    def counting(numbers):  # which workers get a copy of
        with count.open("a") as file:
            file.write("once\n")
        return numbers

    plain = {"": Part(reduced.labels, reduced.actors)}
    folds = [Numbers(reduced.matrices) for _ in range(3)]
    found = run_searched(
        job_of(svc=SVC), folds, counting, chosen, lambda fold: plain, None if here else client
    )
    assert [set(outcome["svc", ()]) for _, outcome in found] == [{"C"}] * 3
    assert count.read_text().count("once") == 3


def test_a_search_goes_on_when_a_worker_dies_with_the_fold_that_it_holds(reduced, tmp_path):  # noqa: F811
    flag = tmp_path / "killed"
    job = job_of(forest=FOREST)
    (expected,) = searched(job, reduced)
    with connect("local", workers=2) as client:
        (found,) = searched(job, reduced, client, numbers=[Numbers(reduced.matrices, str(flag))])
    assert flag.exists()
    assert found == expected


@pytest.mark.parametrize("here", [True, False], ids=["in this process", "on a cluster"])
def test_parameters_that_cannot_be_fitted_are_named_and_cost_their_fold_alone(
    reduced,  # noqa: F811
    client,
    here,
):
    search = {"parameters": {"solver": ["lsqr", "svd"], "shrinkage": [0.1]}}
    job = job_of(lda={"kind": "lda", "search": search})
    outcomes = searched(job, reduced, None if here else client, folds=2)
    assert all(isinstance(outcome, EvaluationError) for outcome in outcomes)
    assert len(outcomes) == 2
    words = str(outcomes[0])
    assert "model lda: shrinkage not supported" in words
    assert "its search tried" in words
    assert "solver = 'svd'" in words


def test_a_failure_that_is_not_the_parameters_names_the_model_and_what_was_tried(reduced):  # noqa: F811
    data = replace(reduced, matrices={"spline": reduced.matrices["spline"]})
    with pytest.raises(EvaluationError, match=r"search of model svc, trying C = 0.1: KeyError"):
        searched(job_of(svc={**SVC, "features": ["hog3d"]}), data)


def test_too_few_actors_for_inner_folds_cost_their_fold_alone(reduced):  # noqa: F811
    parts = {1: reduced.of(reduced.actors == 1), 2: reduced.of(reduced.actors <= 2)}
    found = run_searched(
        job_of(svc=SVC),
        [1, 2],
        lambda number: Numbers(parts[number].matrices),
        chosen,
        lambda number: {"": Part(parts[number].labels, parts[number].actors)},
    )
    outcomes = dict(found)
    assert str(outcomes[1]).startswith("model svc: ")
    assert "at least two" in str(outcomes[1])
    assert ("svc", ()) in outcomes[2]


def test_trials_are_counted_to_the_last(reduced):  # noqa: F811
    told = []
    searched(job_of(forest=FOREST, svc=SVC), reduced, folds=2, tell=lambda *n: told.append(n))
    assert told == [(n, 2 * 5 * (2 + 2 + 2)) for n in range(len(told))]
    assert told[-1][0] == told[-1][1]


def test_an_interrupted_search_leaves_no_task_behind(reduced, client):  # noqa: F811
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(job_of(forest=FOREST), reduced, client, folds=3, tell=interrupt)
    deadline = time.monotonic() + LIMIT
    while client.cluster.scheduler.tasks or client.futures:
        assert time.monotonic() < deadline, "tasks of the search are still there"
        time.sleep(0.02)


def test_a_job_without_a_choice_searches_nothing_and_is_fitted(reduced):  # noqa: F811
    single = {"kind": "svc", "search": {"parameters": {"C": [3.0]}}}
    told = []
    (found,) = searched(job_of(svc=single), reduced, tell=lambda *n: told.append(n))
    assert found == {("svc", ()): {"C": 3.0}}
    assert told == [(0, 0)]


def test_a_fold_that_has_ended_is_not_reduced_again_for_trials_left_of_it(reduced):  # noqa: F811
    reductions = []

    def counting(numbers):
        reductions.append(numbers)
        return numbers

    first = {"solver": ["lsqr"], "shrinkage": [0.1]}
    search = {"parameters": first, "grid": {"solver": ["svd", "lsqr", "eigen"]}}
    job = job_of(lda={"kind": "lda", "search": search})  # svd knows no shrinkage
    plain = {"": Part(reduced.labels, reduced.actors)}
    folds = [Numbers(reduced.matrices)]
    ((_, found),) = run_searched(job, folds, counting, chosen, lambda fold: plain, None)
    assert isinstance(found, EvaluationError)
    assert len(reductions) == 1


def test_the_adapted_model_of_a_bundle_is_searched_in_tasks_too(small_store, tmp_path, monkeypatch):
    searched_svc = {
        "kind": "svc",
        "features": ["spline"],
        "search": {"parameters": {"C": [0.1, 1]}},
    }
    evaluation = {"protocols": ["loso"], "speaker_adapted": True}
    job = parse_job({**SMALL, "models": {"svc": searched_svc}, "evaluation": evaluation})

    def never(*args):
        raise AssertionError("searched outside tasks")

    monkeypatch.setattr(learning, "_searched", never)
    found = fit(job, small_store, tmp_path / "bundle")
    assert set(found.adapted.chosen) == set(found.model.chosen) == {"C"}
