"""Promises of searches: what they try, and that they choose on actors left out."""

from __future__ import annotations

import numpy as np
import pytest

from emodask.job import parse_job
from emodask.models import learning
from emodask.models.learning import fit_model
from emodask.models.search import Search, best_parameters
from tests.models.conftest import job_of


def tried(search, seed=0, score=lambda parameters: 0.0):
    seen = []

    def spy(parameters):
        seen.append(dict(parameters))
        return score(parameters)

    return seen, best_parameters(search, spy, seed)


def test_without_draws_every_combination_is_tried():
    seen, _ = tried(Search(parameters={"a": [1, 2], "b": ["x", "y", "z"]}))
    assert len(seen) == 6
    assert {(p["a"], p["b"]) for p in seen} == {(a, b) for a in (1, 2) for b in "xyz"}


def test_draws_lie_in_their_ranges_and_come_back_with_the_seed():
    ranges = {
        "depth": {"low": 2, "high": 4},
        "eta": {"low": 0.01, "high": 0.3, "log": True},
        "gamma": {"low": 0.0, "high": 5.0},
    }
    search = Search(parameters=ranges, draws=60)
    seen, _ = tried(search)
    assert len(seen) == 60
    assert {p["depth"] for p in seen} == {2, 3, 4}
    assert all(type(p["depth"]) is int and type(p["eta"]) is float for p in seen)
    assert all(0.01 <= p["eta"] <= 0.3 and 0 <= p["gamma"] <= 5 for p in seen)
    assert 0.35 < np.mean([p["eta"] < 0.055 for p in seen]) < 0.65
    assert tried(search)[0] == seen
    assert tried(search, seed=1)[0] != seen


def test_lists_are_drawn_without_repeating_and_no_more_than_there_are():
    seen, _ = tried(Search(parameters={"a": [1, 2, 3]}, draws=50))
    assert sorted(p["a"] for p in seen) == [1, 2, 3]


def test_the_grid_is_tried_around_the_best_draw():
    search = Search(parameters={"a": [1, 2, 3], "b": [0, 1]}, draws=6, grid={"a": [2.5, 3.5]})
    seen, best = tried(search, score=lambda p: -abs(p["a"] - 2.6) - p["b"])
    assert seen[-2:] == [{"a": 2.5, "b": 0}, {"a": 3.5, "b": 0}]
    assert best == {"a": 2.5, "b": 0}


@pytest.mark.parametrize("options", [{}, {"scale": True, "calibrate": True}], ids=["", "all"])
def test_the_parameters_that_serve_strangers_best_are_fitted_on_all_clips(reduced, options):
    # A kernel so narrow that nobody else's clip is near: right on those known, and no one else.
    search = {"parameters": {"gamma": [100.0, 0.05]}}
    job = job_of(svc={"kind": "svc", "search": search, **options})
    assert parse_job(job.settings()).settings() == job.settings()
    model = fit_model(job, "svc", *reduced)
    fixed = job_of(svc={"kind": "svc", "parameters": {"gamma": 0.05}, **options})
    expected = fit_model(fixed, "svc", *reduced).predict_proba(reduced.matrices)
    assert np.array_equal(model.predict_proba(reduced.matrices), expected)


def test_a_search_never_fits_on_an_actor_that_it_scores(reduced, monkeypatch):
    rows = np.arange(96, dtype=np.float32)[:, None]
    fits = []

    class Spy:
        def fit(self, X, y):
            fits.append(set(reduced.actors[X[:, 0].astype(int)].tolist()))
            return self

        def predict(self, X):
            scored = set(reduced.actors[X[:, 0].astype(int)].tolist())
            assert not scored & fits[-1]
            return np.ones(len(X), np.int16)

    monkeypatch.setattr(learning, "make_classifier", lambda *about: Spy())
    job = job_of(
        svc={"kind": "svc", "features": ["spline"], "search": {"parameters": {"C": [1, 2]}}}
    )
    fit_model(job, "svc", {"spline": rows}, reduced.labels, reduced.actors)
    assert [len(people) for people in fits[-1:]] == [6]
    assert len(fits) == 2 * 5 + 1


def test_a_fitted_model_keeps_what_its_search_chose(reduced):
    job = job_of(svc={"kind": "svc", "search": {"parameters": {"gamma": [100.0, 0.05]}}})
    assert fit_model(job, "svc", *reduced).chosen == {"gamma": 0.05}
    assert fit_model(job_of(svc={"kind": "svc"}), "svc", *reduced).chosen == {}
