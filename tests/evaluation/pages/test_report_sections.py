"""Promises of the report's sections: what reductions keep, what searches chose, what it took."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from emodask.display import show_evaluation
from emodask.evaluation.chosen import choices, in_words
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.pages.report import render_report
from emodask.evaluation.timings import charged_trainings, extraction_times, timing_lines
from emodask.job import parse_job
from emodask.pipeline import run
from emodask.reduction import PartialTucker
from emodask.store import StoreAddress, open_group, stored_array
from tests.conftest import SMALL
from tests.evaluation.fabricated import fabricated, metrics_of

SEARCH = {"parameters": {"C": [0.5, 20.0]}, "grid": {"gamma": ["scale", 0.02]}}


@pytest.fixture(scope="module")
def evaluated(small_store, tmp_path_factory):
    """Metrics of the small job, one of its models searched, and the report's folder."""
    svc = {**SMALL["models"]["svc"], "search": SEARCH}
    job = parse_job({**SMALL, "models": {**SMALL["models"], "svc": svc}})
    folder = tmp_path_factory.mktemp("report")
    return evaluate(job, small_store, folder, pictures=False), folder


@pytest.fixture(scope="module")
def page(evaluated):
    return (evaluated[1] / "index.html").read_text()


def test_metrics_are_the_json_that_was_written(evaluated):
    metrics, folder = evaluated
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert render_report(metrics) == (folder / "index.html").read_text()


def test_what_each_fold_chose_stands_in_metrics_page_and_terminal(evaluated, page):
    metrics, folder = evaluated
    found = metrics["protocols"]["loso"]["models"]["svc"]["search"]
    assert [one["fold"] for one in found] == ["actor-01", "actor-02", "actor-03"]
    assert all(set(one["chosen"]) == {"C", "gamma"} for one in found)
    assert all(one["chosen"]["C"] in (0.5, 20.0) for one in found)
    assert "search" not in metrics["protocols"]["loso"]["models"]["logistic"]
    loso, within = choices(metrics)
    assert (loso.protocol, within.protocol) == ("loso", "within-actor")
    assert dict(loso.parameters)["C"] in page
    assert "Each fold of loso, svc" in page
    out = io.StringIO()
    show_evaluation(Console(file=out, width=200), metrics, str(folder))
    assert loso.line in out.getvalue()
    assert "loso: the search of svc chose C " in out.getvalue()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[50, 10]] * 3, "[50, 10] in all 3 folds"),
        ([None, "sqrt", None], "null in 2 of 3 folds, sqrt in 1"),
        ([True, False], "true in 1 of 2 folds, false in 1"),
        ([3.0, 1.0, 2.0], "1 to 3 in 3 folds, median 2"),
    ],
)
def test_choices_are_counted_and_many_numbers_told_by_their_range(values, words):
    assert in_words(values) == words


@pytest.mark.parametrize("feature", ["hog3d", "spline"])
def test_errors_by_rank_are_those_of_the_training_clips(evaluated, small_job, small_store, feature):
    about = evaluated[0]["reductions"][feature]
    clips = usable_clips(small_job, small_store)
    train = clips.rows[clips.actor != 1]
    assert about["fold"] == {"protocol": "loso", "fold": "actor-01", "clips": len(train)}
    X = np.asarray(stored_array(open_group(small_store), feature)[:], np.float64)[train]
    X -= X.mean()
    for mode in about["modes"]:
        axis = 1 + [dim["name"] for dim in about["dims"]].index(mode["dim"])
        unfolded = np.moveaxis(X, axis, 0).reshape(X.shape[axis], -1)
        squares = np.linalg.svd(unfolded, compute_uv=False) ** 2
        left = np.append(squares[::-1].cumsum()[::-1][1:], 0)
        expected = np.zeros(X.shape[axis])
        expected[: len(left)] = np.sqrt(left / squares.sum())[: X.shape[axis]]
        np.testing.assert_allclose(mode["error_by_rank"], expected, atol=2e-3)
    tucker = PartialTucker(
        [mode["rank"] for mode in about["modes"]],
        [1 + [d["name"] for d in about["dims"]].index(m["dim"]) for m in about["modes"]],
    ).fit(X)
    assert about["error"]["value"] == pytest.approx(tucker.reconstruction_error_, abs=1e-3)
    low, high = about["bounds"]
    assert low - 1e-4 <= about["error"]["value"] <= high + 1e-4
    assert about["error"]["lowest"] <= about["error"]["value"] <= about["error"]["highest"]
    for mode, factor in zip(about["modes"], tucker.factors_, strict=True):
        shown = np.array(mode["components"])
        assert shown.shape == (min(12, mode["rank"]), mode["size"])
        np.testing.assert_allclose(np.abs(shown[0] @ factor[:, 0]), 1, atol=1e-2)
        assert 0 < mode["agreement"] <= 1


def test_reductions_are_drawn_with_their_dimensions_names(evaluated, page):
    assert page.count("The factors shown are those of fold actor-01 of loso") == 2
    for name in (">cell_y<", ">cell_x<", ">basis<", ">feature<", ">pitch+4<", ">3 kept: "):
        assert name in page
    features = evaluated[0]["reductions"]
    assert features["spline"]["modes"][1]["labels"][0] == "noise/mfcc_0"
    assert [dim["rank"] for dim in features["hog3d"]["dims"]] == [3, 3, None, None, None]


def test_passes_over_the_store_are_counted_as_they_are_made(small_job, small_store, tmp_path):
    starts = []
    metrics = evaluate(
        small_job,
        small_store,
        tmp_path,
        on_progress=lambda p: (
            starts.append(p.feature) if p.stage == "reduction" and not p.done else None
        ),
    )
    took = metrics["timings"]["reductions"]
    for feature, one in took.items():
        assert one["passes"] == starts.count(feature)
        assert one["fits"] == 4


def test_a_run_says_what_its_extraction_and_its_models_took(corpus, small_job, tmp_path):
    result = run(small_job, f"{corpus}/*.zip", tmp_path / "out")
    metrics = result.metrics
    times = metrics["timings"]
    steps = times["extraction"]["steps"]
    named = {"reading", "decoding video", "decoding sound", "hog3d", "spline", "other"}
    assert set(steps) == named
    assert times["extraction"]["task_seconds"] == pytest.approx(sum(steps.values()), rel=0.02)
    assert (times["extraction"]["clips"], times["extraction"]["computed"]) == (24, 24)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["seconds_by_step"] == steps
    assert times["models"]["loso"]["svc"]["folds"] == 3
    assert times["models"]["loso"]["svc"]["median_seconds"] > 0
    lines = {line.what for line in timing_lines(metrics)}
    assert {"decoding video", "hog3d", "Fitting the reduction of hog3d"} <= lines
    later = extraction_times(StoreAddress.of(tmp_path / "out" / "store.zarr"))
    assert later == {key: times["extraction"][key] for key in ("clips", "task_seconds")}


def test_workers_with_decoders_of_their_own_count_the_same_steps(corpus, small_job, tmp_path):
    from emodask.cluster import connect
    from emodask.extraction import extract

    with connect("local", workers=1) as client:
        summary = extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
    assert set(summary.steps) == {
        *("reading", "decoding video", "decoding sound", "hog3d", "spline", "other")
    }
    assert all(seconds > 0 for seconds in summary.steps.values())


def test_metrics_of_before_have_none_of_these_sections():
    old = metrics_of({("loso", "mlp"): fabricated(0.4)})
    page = render_report(old)
    for heading in ("What the reductions keep", "What the searches chose", "How long it took"):
        assert heading not in page


def test_times_say_whose_hold_the_training_of_what_they_read():
    models = {
        "all": {"members": ["late", "voice"]},
        "late": {"embeddings": ["face"]},
        "linear": {"embeddings": ["face"]},
        "voice": {},
        "face": {},
    }
    timings = {"models": {"loso": {"all": {"folds": 1, "task_seconds": 1, "median_seconds": 1}}}}
    metrics = {"protocols": {}, "job": {"name": "a", "models": models}, "timings": timings}
    sentence = "The time of all holds the training of face, late and voice."
    assert charged_trainings(metrics) == [sentence]
    assert sentence in render_report(metrics)
    named_first = {name: models[name] for name in ("voice", "face", "late", "linear")}
    assert charged_trainings({"job": {"models": named_first}}) == []
