"""Promises of results that are odd, or out of reach for a while: no run takes others with it."""

from __future__ import annotations

import json
import shutil

import pytest
from fsspec.implementations.local import LocalFileSystem

from emodask.errors import UsageError
from emodask.evaluation.results import percent
from emodask.page.results import comparing
from emodask.page.results.rendering import moment
from emodask.page.results.runs import Runs
from tests.evaluation.fabricated import fabricated, write_run
from tests.page.results_server import PLAYED, serving
from tests.page.test_results import listed


def changed(path, **changes):
    """Write other values into a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def failing(monkeypatch, method, word):
    """Let the disk fail where a path has a word in it."""
    original = getattr(LocalFileSystem, method)

    def fails(self, path, *rest, **more):
        if word in str(path):
            raise OSError(5, "Input/output error", str(path))
        return original(self, path, *rest, **more)

    monkeypatch.setattr(LocalFileSystem, method, fails)


def test_predictions_too_large_to_compare_are_left_to_the_command(site, monkeypatch):
    run = f"{site.slug('by-hand')}/mlp"
    asked = f"/runs/compare?a={run}&b={run}&protocol=loso"
    assert comparing.MOST_BYTES <= 16 << 20
    assert "on 96 clips" in site.get(asked).text
    monkeypatch.setattr(comparing, "MOST_BYTES", 100)
    assert "emodask compare reads it" in site.get(asked).text


@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
def test_a_file_that_cannot_be_read_once_is_read_on_the_next_visit(
    results, tmp_path, monkeypatch, name
):
    shutil.copytree(results / "finished", tmp_path / "run", ignore=shutil.ignore_patterns("media"))
    runs = Runs([str(tmp_path)])
    with monkeypatch.context() as disk:
        failing(disk, "cat_file", f"run/{'report/' * (name == 'metrics.json')}{name}")
        (run,) = runs.listing().runs
        assert "cannot be read" in run.troubles[0]
    (run,) = runs.listing().runs
    assert run.troubles == ()
    assert run.state == "finished"
    assert run.summary.best is not None


def test_odd_values_of_one_run_leave_the_list_whole(tmp_path):
    for name in ("good", "huge", "early"):
        write_run(tmp_path / name, {("loso", "mlp"): fabricated(0.5)})
    path = tmp_path / "huge" / "report" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["protocols"]["loso"]["models"]["mlp"]["uar"] = 10**400
    path.write_text(json.dumps(metrics))
    early = {"state": "finished", "started": "0001-01-01T00:00:00+23:00", "platform": None}
    (tmp_path / "early" / "run.json").write_text(json.dumps(early))
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        rows = listed(site)
        assert "metrics.json: damaged: OverflowError" in rows[site.slug("huge")]
        assert "0001-01-01" in rows[site.slug("early")]
        assert "Cannot be read" not in rows[site.slug("early")] + rows[site.slug("good")]


def test_a_time_that_no_calendar_holds_stays_text():
    assert moment("0001-01-01T00:00:00+23:00") == "0001-01-01T00:00:00+23:00"


def test_whatever_goes_wrong_at_a_place_is_said_and_other_places_are_listed(tmp_path, monkeypatch):
    write_run(tmp_path / "odd", {("loso", "mlp"): fabricated(0.5)})
    write_run(tmp_path / "good", {("loso", "mlp"): fabricated(0.5)})
    import emodask.page.results.runs as module

    original = module.folders_at

    def folders(place, options):
        if "odd" in place:
            raise ZeroDivisionError
        return original(place, options)

    monkeypatch.setattr(module, "folders_at", folders)
    found = Runs([str(tmp_path / "odd"), str(tmp_path / "good")]).listing()
    assert [run.name for run in found.runs] == ["good"]
    assert "cannot be read" in found.troubles[0]


def test_a_report_that_may_not_be_looked_into_costs_its_run_alone(tmp_path, monkeypatch):
    write_run(tmp_path / "open", {("loso", "mlp"): fabricated(0.5)})
    write_run(tmp_path / "closed", {("loso", "mlp"): fabricated(0.5)})
    failing(monkeypatch, "ls", "closed/report")
    found = {run.name: bool(run.troubles) for run in Runs([str(tmp_path)]).listing().runs}
    assert found == {"open": False, "closed": True}


def test_runs_of_a_place_that_cannot_be_read_for_once_keep_their_pages(tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "one", {("loso", "mlp"): fabricated(0.5)})
    with serving(Runs([str(tmp_path / "runs")]), tmp_path / "runs") as site:
        assert set(listed(site)) == {site.slug("one")}
        with monkeypatch.context() as disk:
            failing(disk, "ls", "/runs")
            assert "cannot be read" in site.get("/runs/").text
            assert listed(site) == {}
            assert "cannot be read" in site.of("one").text
        assert site.of("one").status == 200
        shutil.rmtree(tmp_path / "runs" / "one")
        assert site.of("one").status == 404


@pytest.mark.parametrize("beside", ["run.json", "store.zarr", "report/metrics.json"])
def test_a_run_that_is_called_report_is_itself(tmp_path, results, beside):
    out = tmp_path / "outer" / "report"
    write_run(tmp_path / "made", {("loso", "mlp"): fabricated(0.5)})
    out.mkdir(parents=True)
    if beside == "store.zarr":
        (out / beside).mkdir()
    elif beside == "run.json":
        shutil.copy(results / "finished" / "run.json", out)
    else:
        shutil.copytree(tmp_path / "made" / "report", out / "report")
    shutil.copy(tmp_path / "made" / "report" / "metrics.json", out)
    for place in (out, tmp_path / "outer" / "rep*"):
        (run,) = Runs([str(place)]).listing().runs
        assert (run.name, run.url) == ("report", str(out))


def test_a_run_that_is_called_report_is_itself_before_it_is_evaluated(tmp_path, results):
    (tmp_path / "report").mkdir()
    shutil.copy(results / "finished" / "run.json", tmp_path / "report")
    (run,) = Runs([str(tmp_path / "report")]).listing().runs
    assert (run.name, run.state) == ("report", "finished")


def test_figures_and_files_are_of_one_evaluation(tmp_path):
    run = write_run(tmp_path / "run", {("loso", "mlp"): fabricated(0.9)})
    other = write_run(tmp_path / "other", {("loso", "mlp"): fabricated(0.1)})
    for name in ("metrics.json", "predictions.csv"):
        shutil.copy(other / "report" / name, run)
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        figure = percent(Runs([str(run)]).listing().runs[0].summary.best.uar, " %")
        assert figure in site.of("run").text
        own = (run / "report" / "metrics.json").read_bytes()
        assert site.of("run", "metrics.json").body == own
        assert figure == percent(json.loads(own)["protocols"]["loso"]["models"]["mlp"]["uar"], " %")


@pytest.mark.parametrize("place", ["http://lab/runs", "https://me:hush@lab/*", "dir::http://lab/x"])
def test_results_on_a_web_server_are_refused(place):
    with pytest.raises(UsageError, match="web server cannot be shown") as refusal:
        Runs([place])
    assert "hush" not in str(refusal.value)


def test_a_leaky_figure_is_of_the_model_beside_it(tmp_path):
    write_run(
        tmp_path / "run",
        {("loso", "mlp"): fabricated(0.6), ("within-actor", "svm"): fabricated(0.9)},
    )
    (run,) = Runs([str(tmp_path)]).listing().runs
    assert run.summary.best.model == "mlp"
    assert run.summary.leaky is None


def test_without_figures_no_protocol_is_called_leaky(results, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(results / "finished", out, ignore=shutil.ignore_patterns("media"))
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        tags = ('class="tag leaky"', 'class="tag independent"')
        page = site.of("run", f"clips/{PLAYED}").text
        assert any(tag in page for tag in tags)
        (out / "report" / "metrics.json").write_text("{")
        page = site.of("run", f"clips/{PLAYED}").text
        assert "It was neutral" in page
        assert not any(tag in page for tag in tags)


def test_probabilities_are_shown_to_the_last_digit(results, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(results / "finished", out, ignore=shutil.ignore_patterns("media"))
    (out / "report" / "predictions.csv").write_text(
        "clip_id,actor,true,predicted,happy,protocol,fold,model\n"
        f"{PLAYED},1,neutral,happy,0.9006,loso,0,m\n"
    )
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        assert '<td class="number">90.1 %</td>' in site.of("run", f"clips/{PLAYED}").text
