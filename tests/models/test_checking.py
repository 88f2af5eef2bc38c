"""Promises of models in job files: what cannot be meant is refused by name, before any work."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from emodask.errors import JobError
from emodask.evaluation.evaluate import evaluate
from emodask.fitting import fit
from emodask.models import classifiers
from emodask.pipeline import run
from tests.models.conftest import job_of
from tests.models.installed import needs

SVC = {"kind": "svc"}
JOINED = {"kind": "fusion", "members": ["a", "b"]}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"f": JOINED, "a": SVC}, r"models\.f\.members: no model 'b'; there are f, a$"),
        ({"a": SVC, "f": {**JOINED, "members": ["a"]}}, r"f\.members: .*at least two models"),
        ({"a": SVC, "f": {**JOINED, "members": ["a", "a"]}}, r"f\.members: .*each named once"),
        ({"f": {"kind": "fusion"}}, r"f\.members: a fusion joins at least two"),
        ({"b": SVC, "a": JOINED}, r"a\.members: a fusion of itself: a of a$"),
        (
            {
                "c": SVC,
                "a": {**JOINED, "members": ["b", "c"]},
                "b": {**JOINED, "members": ["a", "c"]},
            },
            r"a\.members: a fusion of itself: a of b of a$",
        ),
        ({"a": SVC, "b": SVC, "f": {**JOINED, "rule": "vote"}}, r"models\.f\.rule: .*'weighted'"),
        (
            {"a": SVC, "b": SVC, "f": {**JOINED, "features": ["spline"]}},
            r"f\.features: a fusion has",
        ),
        ({"a": SVC, "b": SVC, "f": {**JOINED, "parameters": {"C": 1}}}, r"f\.parameters: a fusion"),
        ({"a": SVC, "b": SVC, "f": {**JOINED, "scale": True}}, r"f\.scale: a fusion has none"),
        ({"a": SVC, "b": SVC, "f": {**JOINED, "calibrate": True}}, r"f\.calibrate: a fusion has"),
        (
            {"a": SVC, "b": SVC, "f": {**JOINED, "search": {"grid": {"C": [1]}}}},
            r"f\.search: a fus",
        ),
        ({"a": {**SVC, "search": {}}}, r"models\.a\.search: nothing to search"),
        (
            {"a": {**SVC, "search": {"drows": 3, "grid": {"C": [1]}}}},
            r"drows: unknown key; .* draws",
        ),
        ({"a": {**SVC, "search": {"grid": {"c": [1]}}}}, r"a\.search: svc has no parameter 'c'"),
        ({"a": {**SVC, "search": {"grid": {"C": [1, -1]}}}}, r"a\.search: .*'C' parameter"),
        ({"a": {**SVC, "search": {"grid": {"C": []}}}}, r"a\.search\.grid\.C: .*at least 1"),
        (
            {"a": {**SVC, "parameters": {"C": 1}, "search": {"grid": {"C": [1]}}}},
            r"a\.search: C is fixed in parameters",
        ),
        (
            {"a": {**SVC, "search": {"parameters": {"C": {"low": 1, "high": 9}}}}},
            r"a\.search: a range of C needs draws",
        ),
        (
            {"a": {**SVC, "search": {"draws": 2, "parameters": {"C": {"low": 2, "high": 1}}}}},
            r"a\.search.*: low 2.* is not below high 1",
        ),
        ({"a": {**SVC, "members": ["b"]}, "b": SVC}, r"a\.members: svc has none; .*\"fusion\""),
        ({"a": {**SVC, "rule": "mean"}}, r"a\.rule: svc has none"),
        ({"a": {**SVC, "scale": "yes"}}, r"models\.a\.scale: .*boolean"),
        ({"a": {"kind": "votes"}}, r"no classifier 'votes'; there are .*xgboost, .*fusion"),
        ({"a+adapted": SVC}, r"models\.a\+adapted: reports name rows"),
    ],
)
def test_models_that_cannot_be_meant_are_refused(models, message):
    with pytest.raises(JobError, match=message):
        job_of(**models)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_depth": -3}, "max_depth"),
        ({"eta": "big"}, "no parameter 'eta'|'?big'?"),
        ({"learning_rate": "big"}, "big"),
        ({"depth": 3}, "no parameter 'depth'"),
    ],
)
def test_values_that_boosted_trees_refuse_are_refused_at_once(parameters, message):
    needs("xgboost")
    with pytest.raises(JobError, match=rf"job\.toml: models\.x\.parameters: .*({message})"):
        job_of(x={"kind": "xgboost", "parameters": parameters})


def test_a_package_that_is_absent_stops_a_job_before_its_work_and_not_its_reading(
    monkeypatch, tmp_path, small_store
):
    monkeypatch.setattr(
        classifiers, "find_spec", lambda name: None if name == "xgboost" else find_spec(name)
    )
    tree = {"kind": "xgboost", "features": ["spline"], "parameters": {"max_depth": 3}}
    job = job_of(a=SVC, tree=tree, f={**JOINED, "members": ["a", "tree"]})
    message = r"models\.tree: xgboost is not installed: pip install 'emodask\[xgboost\]'"
    with pytest.raises(JobError, match=message):
        run(job, str(tmp_path / "nothing.zip"), tmp_path / "out")
    with pytest.raises(JobError, match=message):
        evaluate(job, small_store, tmp_path / "report")
    with pytest.raises(JobError, match=message):
        fit(job, small_store, tmp_path / "bundle", model="f")
    assert not list(tmp_path.iterdir())
    assert fit(job, small_store, tmp_path / "bundle", model="a").model_name == "a"
