"""Runs are compared on the same clips alone, actor by actor, and never beyond the evidence."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

import emodask
from emodask import cli
from emodask.errors import EvaluationError, UsageError
from emodask.evaluation.compare import Change, compare, mcnemar
from emodask.evaluation.run_files import open_run
from tests.evaluation.fabricated import fabricated, write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    worse, better = fabricated(0.3, 8), fabricated(0.8, 8, seed=1)
    write_run(folder / "worse", {("loso", "mlp"): worse, ("loso", "svm"): fabricated(0.2, 8)})
    write_run(folder / "better", {("loso", "mlp"): better, ("within-actor", "mlp"): better})
    return folder, worse, better


def test_differences_are_second_minus_first_of_what_each_run_says(runs):
    folder, worse, better = runs
    found = emodask.compare(folder / "worse", folder / "better")
    assert (found.model_a, found.model_b, found.n_clips, found.n_actors) == ("mlp", "mlp", 128, 8)
    for name in ("uar", "accuracy"):
        a, b = (
            run.metrics["protocols"]["loso"]["models"]["mlp"]
            for run in (open_run(folder / "worse"), open_run(folder / "better"))
        )
        change = getattr(found, name)
        assert (change.a, change.b) == pytest.approx((a[name], b[name]))
        assert change.difference == pytest.approx(b[name] - a[name])
        assert 0 < change.ci95[0] < change.difference < change.ci95[1]
        for emotion, one in found.recall.items():
            assert one.a == pytest.approx(a["per_emotion"][emotion]["recall"])
            assert one.difference == pytest.approx(b["per_emotion"][emotion]["recall"] - one.a)
    test = found.mcnemar
    assert (test.both, test.only_b) == (
        int((worse.right & better.right).sum()),
        int((better.right & ~worse.right).sum()),
    )
    assert test.both + test.only_a + test.only_b + test.neither == 128
    assert found.notes == ("mlp is the first model of worse; it has mlp, svm",)


def test_a_comparison_the_other_way_round_is_the_same_with_other_signs(runs):
    folder, *_ = runs
    there = compare(folder / "worse", folder / "better", model="svm:mlp")
    back = compare(folder / "better", folder / "worse", model="mlp:svm")
    assert back.uar.difference == pytest.approx(-there.uar.difference)
    assert back.uar.ci95 == pytest.approx((-there.uar.ci95[1], -there.uar.ci95[0]))
    assert back.mcnemar.p_value == pytest.approx(there.mcnemar.p_value)


def test_the_order_of_lines_changes_nothing(runs, tmp_path):
    folder, _, better = runs
    order = np.random.default_rng(0).permutation(len(better))
    shuffled = write_run(tmp_path / "better", {("loso", "mlp"): better.take(order)})
    expected = compare(folder / "worse", folder / "better")
    found = compare(folder / "worse", shuffled)
    assert found.as_dict() == expected.as_dict()


def test_a_run_beside_itself_differs_in_nothing(runs):
    folder, *_ = runs
    found = compare(folder / "worse", folder / "worse")
    assert found.uar == Change(found.uar.a, found.uar.a, 0.0, (0.0, 0.0))
    assert found.mcnemar.p_value == 1


def test_mcnemar_is_the_exact_binomial_test_of_discordant_clips():
    a = np.array([True] * 30 + [False] * 12 + [True] * 5)
    b = np.array([True] * 30 + [True] * 12 + [False] * 5)
    assert mcnemar(a, b).p_value == pytest.approx(2 * binom.cdf(5, 17, 0.5))
    assert mcnemar(a, a).p_value == 1


def test_other_clips_are_refused_with_their_number_and_common_ones_compared(runs, tmp_path):
    folder, worse, better = runs
    fewer = better.take(np.arange(100))
    relabelled = replace(fewer, true=np.where(np.arange(100) < 3, 8, fewer.true))
    other = write_run(tmp_path / "other", {("loso", "mlp"): relabelled})
    with pytest.raises(UsageError) as refused:
        compare(folder / "worse", other)
    for part in (
        "28 clips of worse are not in the other",
        "3 clips have another emotion or actor",
        "clip-000",
        "97 clips are the same; --common",
    ):
        assert part in str(refused.value)
    found = compare(folder / "worse", other, common=True)
    assert found.n_clips == 97
    assert sum("left out" in note for note in found.notes) == 2
    kept = worse.take(np.arange(3, 100))
    assert found.accuracy.a == pytest.approx(kept.right.mean())


def test_runs_without_a_clip_in_common_cannot_be_compared(runs, tmp_path):
    folder, _, better = runs
    strangers = replace(better, clip_id=np.char.add("x-", better.clip_id))
    other = write_run(tmp_path / "other", {("loso", "mlp"): strangers})
    with pytest.raises(EvaluationError, match="no clip in common"):
        compare(folder / "worse", other, common=True)


def test_one_actor_gives_no_interval_and_says_why(tmp_path):
    write_run(tmp_path / "a", {("within-actor", "m"): fabricated(0.3, 1)})
    write_run(tmp_path / "b", {("within-actor", "m"): fabricated(0.9, 1, seed=1)})
    found = compare(tmp_path / "a", tmp_path / "b", protocol="within-actor")
    assert found.uar.ci95 is None
    assert any("one actor" in note for note in found.notes)
    assert not found.speaker_independent


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "within-actor"}, "did not run protocol 'within-actor', but loso; both ran l"),
        ({"model": "mlp:forest"}, "no model 'forest' under loso; it has mlp. --model A:B"),
        ({"model": "svm"}, "better.*no model 'svm'"),
    ],
)
def test_what_a_run_lacks_is_named_with_what_it_has(runs, options, message):
    folder, *_ = runs
    with pytest.raises(UsageError, match=message):
        compare(folder / "worse", folder / "better", **options)


def test_a_folder_without_a_run_and_damaged_files_are_named(runs, tmp_path):
    folder, *_ = runs
    with pytest.raises(UsageError, match="no run: neither it nor its folder report"):
        compare(tmp_path, folder / "better")
    damaged = write_run(tmp_path / "damaged", {("loso", "mlp"): fabricated(0.3, 8)})
    table = damaged / "report" / "predictions.csv"
    whole = table.read_text()
    for text, message in (
        (whole.replace("angry,", "cross,", 2), "damaged: KeyError 'cross'"),
        (whole.replace("clip_id", "name", 1), "no column clip_id"),
        (whole + whole.splitlines()[1] + "\n", "has clip clip-000 more than once"),
    ):
        table.write_text(text)
        with pytest.raises(EvaluationError, match=message):
            compare(damaged, folder / "better")
    (damaged / "report" / "metrics.json").write_text("{}")
    with pytest.raises(EvaluationError, match="holds no protocols"):
        compare(damaged, folder / "better")
    (damaged / "report" / "metrics.json").write_text("{")
    with pytest.raises(EvaluationError, match="not JSON"):
        compare(damaged, folder / "better")


def test_runs_are_read_from_urls_and_from_reports(runs):
    import fsspec

    folder, *_ = runs
    memory = fsspec.filesystem("memory")
    for name in ("metrics.json", "predictions.csv"):
        data = (folder / "better" / "report" / name).read_bytes()
        memory.pipe(f"/compared/result/report/{name}", data)
    try:
        found = compare(folder / "worse" / "report", "memory://compared/result")
    finally:
        memory.rm("/compared", recursive=True)
    assert (found.run_a, found.run_b) == ("worse", "result")
    assert found.uar.difference > 0


def _run(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["emodask", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0), *capsys.readouterr()


def test_the_command_fits_80_columns_and_ends_with_a_verdict(runs, monkeypatch, capsys):
    folder, *_ = runs
    worse, better = folder / "worse", folder / "better"
    code, out, _ = _run(monkeypatch, capsys, "compare", worse, better)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "B recognises" in out
    assert "points of UAR more than A" in " ".join(out.split())
    code, out, _ = _run(monkeypatch, capsys, "compare", better, better)
    assert "No difference that would surely hold" in out
    code, out, _ = _run(monkeypatch, capsys, "compare", worse, better, "--json")
    assert json.loads(out)["uar"]["difference"] > 0
    code, out, err = _run(monkeypatch, capsys, "compare", worse, folder)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
