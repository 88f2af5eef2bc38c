"""Many runs stand side by side, honest figures first, on one page that needs nothing but itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from emodask import cli
from emodask.errors import EvaluationError, UsageError
from emodask.evaluation.pages.leaderboard import leaderboard, render_leaderboard
from tests.evaluation.fabricated import fabricated, write_run
from tests.evaluation.pages.test_report import HOSTILE, _Page


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three runs in a folder, one of them twice as leaky as it is good."""
    folder = tmp_path_factory.mktemp("results")
    write_run(
        folder / "plain",
        {
            ("loso", "mlp"): fabricated(0.4),
            ("loso", "mlp+adapted"): fabricated(0.6, seed=1),
            ("loso", "mlp+permuted"): fabricated(0.0, seed=2),
            ("within-actor", "mlp"): fabricated(0.99, seed=3),
        },
        "spline",
    )
    write_run(folder / "better", {("loso", "svm"): fabricated(0.5, seed=4)}, "hog3d")
    write_run(folder / "leaky", {("within-actor", "svm"): fabricated(1.0)}, "leaky")
    (folder / "notes").mkdir()
    (folder / "notes.txt").write_text("not a run")
    return folder


def test_rows_are_sorted_by_loso_and_controls_and_leaky_runs_come_last(results):
    board = leaderboard([results])
    order = [(entry.run, entry.model) for entry in board.entries]
    assert order == [
        ("plain", "mlp+adapted"),
        ("better", "svm"),
        ("plain", "mlp"),
        ("leaky", "svm"),
        ("plain", "mlp+permuted"),
    ]
    assert board.protocols == (("loso", True), ("within-actor", False))
    assert board.n_runs == 3


def test_the_headline_is_unadapted_and_never_leaky(results):
    assert "svm of hog3d" in leaderboard([results]).headline
    assert leaderboard([results / "leaky"]).headline.startswith("No run here tested people")


def test_runs_come_from_globs_and_folders_each_once(results):
    board = leaderboard([f"{results}/*", results / "plain", results / "plain" / "report"])
    assert board.n_runs == 3
    assert leaderboard([f"{results}/b*"]).n_runs == 1


def test_runs_of_one_name_are_told_apart_by_their_folders(results, tmp_path):
    for name in ("first", "second"):
        write_run(tmp_path / name / "result", {("loso", "mlp"): fabricated(0.4)})
    board = leaderboard([tmp_path / "first", tmp_path / "second" / "result"])
    assert {entry.run for entry in board.entries} == {"first/result", "second/result"}


def test_runs_are_read_from_and_the_page_written_to_urls(results):
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("plain", "better"):
        data = (results / name / "report" / "metrics.json").read_bytes()
        memory.pipe(f"/boarded/{name}/report/metrics.json", data)
    try:
        board = leaderboard(["memory://boarded"], "memory://boarded/page.html")
        assert leaderboard(["memory://boarded/*"]).entries == board.entries
        page = memory.cat("/boarded/page.html").decode()
    finally:
        memory.rm("/boarded", recursive=True)
    assert board.n_runs == 2
    assert "better" in page
    assert "<a " not in page


def test_a_place_without_runs_is_misuse_and_names_what_would_be_right(results, tmp_path):
    for place in (tmp_path, tmp_path / "absent", tmp_path / "*"):
        with pytest.raises(UsageError, match="no runs there; pass what 'emodask run' had"):
            leaderboard([place])
    with pytest.raises(UsageError, match="a folder; name a page"):
        leaderboard([results], f"{tmp_path}/")


def test_a_damaged_run_is_left_out_and_named(results, tmp_path):
    write_run(tmp_path / "good", {("loso", "mlp"): fabricated(0.4)})
    for name, text in (
        ("cut", "{"),
        ("strange", '{"protocols": {"loso": {"speaker_independent": true, "models": {"m": {}}}}}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(text)
    board = leaderboard([tmp_path], tmp_path / "page.html")
    assert board.n_runs == 1
    assert sorted(why.split("/")[-2] for _, why in board.skipped if "cut" in why) == ["cut"]
    assert len(board.skipped) == 2
    assert "Left out" in (tmp_path / "page.html").read_text()
    with pytest.raises(EvaluationError, match="not JSON"):
        leaderboard([tmp_path / "cut"])


def test_rows_that_cannot_be_compared_are_said_to_be_so(results, tmp_path):
    assert not leaderboard([results]).mixed
    write_run(tmp_path / "other", {("loso", "mlp"): fabricated(0.9, n_actors=3)})
    board = leaderboard([results, tmp_path / "other"])
    assert board.mixed
    assert board.headline.startswith("Highest on people never met")
    page = render_leaderboard(board)
    assert "Not all rows were tested on the same clips" in page
    assert "48 clips, 3 actors, 8 emotions" in page


def test_the_page_names_leaky_adapted_and_control_rows_and_links_to_reports(results, tmp_path):
    (results / "plain" / "report" / "index.html").write_text("a page")
    target = results / "boards" / "page.html"
    leaderboard([results], target)
    text = target.read_text()
    (results / "plain" / "report" / "index.html").unlink()
    found = _Page(text)
    words = " ".join(found.text)
    for expected in ("leaky", "speaker-adapted", "control", "compare them with each other"):
        assert expected in words
    links = {value for name, value in found.attributes if name == "href"}
    assert links == {"data:,", "../plain/report/index.html"}


def test_the_page_makes_no_requests_and_hostile_names_are_inert(tmp_path):
    outcome = fabricated(0.4)
    for name in ("plain", "spoiled"):
        write_run(tmp_path / name, {("loso", "mlp"): outcome}, "job")
    file = tmp_path / "spoiled" / "report" / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["job"]["name"] = HOSTILE
    models = metrics["protocols"]["loso"]["models"]
    models[HOSTILE] = {**models.pop("mlp"), "features": [HOSTILE]}
    file.write_text(json.dumps(metrics))
    plain = _Page(render_leaderboard(leaderboard([tmp_path / "plain"])))
    spoiled = _Page(render_leaderboard(leaderboard([tmp_path / "spoiled"])))
    assert set(plain.tags) == set(spoiled.tags)
    assert not {"script", "iframe", "img", "form"} & set(spoiled.tags)
    assert any(HOSTILE in text for text in spoiled.text)


def test_the_command_fits_80_columns_with_every_protocol(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    names = ("loso", "luna-5", "emobox-6", "actors-20-4", "within-actor")
    some = {(name, "mlp"): fabricated(0.5, seed=i) for i, name in enumerate(names)}
    write_run(tmp_path / "a-run-with-quite-a-long-name", some)
    write_run(tmp_path / "b", {("loso", "mlp+adapted"): fabricated(0.7)})
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "metrics.json").write_text("{")
    page = tmp_path / "page.html"
    monkeypatch.setattr(sys, "argv", ["emodask", "leaderboard", str(tmp_path), "--out", str(page)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80
    assert "b: mlp+adapted*" in out
    assert "(leaky)" in out or "within-actor" in out
    assert "left out" in out
    assert page.read_text().count("<tr") == 4


def test_a_model_without_loso_comes_after_those_with_it(tmp_path):
    write_run(tmp_path / "other", {("luna-5", "mlp"): fabricated(0.99)})
    write_run(tmp_path / "plain", {("loso", "mlp"): fabricated(0.2, seed=2)})
    assert [entry.run for entry in leaderboard([tmp_path]).entries] == ["plain", "other"]


def test_ties_are_in_the_order_of_names(tmp_path):
    outcome = fabricated(0.4)
    order = np.arange(len(outcome))[::-1]
    for name in ("b", "a"):
        write_run(tmp_path / name, {("loso", "mlp"): replace(outcome).take(order)})
    assert [entry.run for entry in leaderboard([tmp_path]).entries] == ["a", "b"]
