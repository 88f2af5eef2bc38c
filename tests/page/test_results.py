"""Promises of the pages of results: what is listed, opened and compared, and what never happens."""

from __future__ import annotations

import base64
import json
import re
import shutil
import urllib.request
from urllib.parse import urlencode

import pytest

from emodask.evaluation.compare import compare
from emodask.evaluation.results import percent
from emodask.page.results.runs import Runs
from emodask.page.server import make_app
from emodask.page.settings import PageSettings
from tests.evaluation.fabricated import fabricated, write_run
from tests.evaluation.pages.test_report import _Page
from tests.page.results_server import HOSTILE, serving
from tests.page.test_serve import address_of, command

HERE = "http://127.0.0.1"


def listed(site, path="/runs/"):
    """The rows of the list by the slug of their run."""
    text = site.get(path).text
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", text, re.DOTALL)
    return {re.search(r'href="/runs/([^/]+)/"', row)[1]: row for row in rows}


def test_the_list_has_every_run_with_its_state_counts_and_both_figures(site, results):
    rows = listed(site)
    assert set(rows) == {site.slug(path.name) for path in results.iterdir() if path.name != "notes"}
    finished = rows[site.slug("finished")]
    metrics = json.loads((results / "finished" / "report" / "metrics.json").read_text())
    loso, leaky = (metrics["protocols"][name]["models"] for name in ("loso", "within-actor"))
    best = max(loso, key=lambda model: loso[model]["uar"])
    assert percent(loso[best]["uar"], " %") in finished
    assert percent(leaky[best]["uar"], " %") in finished
    assert "chance 12.5 %" in finished
    assert "24 done, 1 failed, 1 incomplete" in finished
    assert ">finished</span>" in finished
    assert "small, " in finished


def test_runs_without_a_report_or_that_cannot_be_read_are_listed_with_the_reason(site):
    rows = listed(site)
    assert "no report yet" in rows[site.slug("begun")]
    assert ">running</span>" in rows[site.slug("begun")]
    assert "not JSON" in rows[site.slug("damaged")]
    assert "not JSON" in site.of("damaged").text
    assert "still running" in site.of("begun").text


def test_a_run_says_whose_clips_they_are(site):
    assert "clips named as RAVDESS names them" in site.of("finished").text


def test_the_newest_come_first_or_the_best_on_new_people(site):
    newest = list(listed(site))
    assert newest[0] == site.slug("begun")
    best = list(listed(site, "/runs/?order=best"))
    assert best.index(site.slug("by-hand")) < best.index(site.slug("others"))
    assert best.index(site.slug("others")) < best.index(site.slug("begun"))


def test_the_list_is_read_anew_on_each_visit_and_unchanged_files_are_not(
    tmp_path, monkeypatch, results
):
    write_run(tmp_path / "first", {("loso", "mlp"): fabricated(0.5)})
    runs = Runs([str(tmp_path)])
    read = []
    import emodask.page.results.runs as module

    original = module.read_bounded
    monkeypatch.setattr(module, "read_bounded", lambda *one: read.append(one) or original(*one))
    before = {run.name: run.summary.best.uar for run in runs.listing().runs}
    write_run(tmp_path / "second", {("loso", "mlp"): fabricated(0.9)})
    shutil.rmtree(tmp_path / "first" / "report")
    write_run(tmp_path / "first", {("loso", "mlp"): fabricated(0.1)})
    after = {run.name: run.summary.best.uar for run in runs.listing().runs}
    assert (set(before), set(after)) == ({"first"}, {"first", "second"})
    assert after["first"] < before["first"] < after["second"]
    count = len(read)
    runs.listing()
    assert len(read) == count == 3


@pytest.mark.parametrize("figure", ['"x"', "[1]", "{}", '{"loso": 1}', "1e999"])
def test_a_run_whose_figures_are_none_does_not_take_the_list_with_it(tmp_path, figure):
    good = write_run(tmp_path / "good", {("loso", "mlp"): fabricated(0.5)})
    bad = write_run(tmp_path / "bad", {("loso", "mlp"): fabricated(0.5)})
    metrics = (good / "report" / "metrics.json").read_text()
    spoilt = re.sub(r'"(accuracy|uar|macro_f1)": [\d.]+', rf'"\1": {figure}', metrics)
    assert spoilt != metrics
    (bad / "report" / "metrics.json").write_text(spoilt)
    (tmp_path / "deep" / "report").mkdir(parents=True)
    (tmp_path / "deep" / "report" / "metrics.json").write_text("[" * 100_000)
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        rows = listed(site)
        assert set(rows) == {site.slug(name) for name in ("good", "bad", "deep")}
        assert "50.0 %" in rows[site.slug("good")]
        assert "Cannot be read: metrics.json: damaged" in rows[site.slug("bad")]
        assert "Cannot be read: metrics.json: damaged" in rows[site.slug("deep")]
        assert "Cannot be read" not in site.of("good").text
        assert "metrics.json: damaged" in site.of("bad").text


def test_a_folder_that_may_not_be_looked_into_is_listed_with_the_reason(tmp_path, monkeypatch):
    from fsspec.implementations.local import LocalFileSystem

    write_run(tmp_path / "open", {("loso", "mlp"): fabricated(0.5)})
    write_run(tmp_path / "closed", {("loso", "mlp"): fabricated(0.5)})
    original = LocalFileSystem.ls

    def ls(self, path, *rest, **more):
        if "closed" in path:
            raise PermissionError(13, "Permission denied", path)
        return original(self, path, *rest, **more)

    monkeypatch.setattr(LocalFileSystem, "ls", ls)
    found = {run.name: run.troubles for run in Runs([str(tmp_path)]).listing().runs}
    assert found["open"] == ()
    assert "permission denied" in found["closed"][0]
    assert str(tmp_path) not in found["closed"][0]


def test_a_run_that_is_deleted_is_not_found_any_more(tmp_path):
    write_run(tmp_path / "short", {("loso", "mlp"): fabricated(0.5)})
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        assert site.of("short").status == 200
        shutil.rmtree(tmp_path / "short")
        assert site.of("short").status == 404
        assert site.of("short", "report").status == 404


def test_places_without_runs_and_places_that_cannot_be_read_are_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with serving(Runs([str(tmp_path / "empty"), "s4://nowhere/x"])) as site:
        text = site.get("/runs/").text
    assert "empty: no runs there" in text
    assert "s4" in text
    assert "There are no runs here yet" in text
    assert str(tmp_path) not in text


def test_addresses_of_runs_stay_whatever_other_runs_there_are(tmp_path):
    write_run(tmp_path / "a" / "result", {("loso", "mlp"): fabricated(0.5)})
    alone = Runs([f"{tmp_path}/*/result"]).listing().runs
    write_run(tmp_path / "b" / "result", {("loso", "mlp"): fabricated(0.5)})
    both = Runs([f"{tmp_path}/*/result", f"{tmp_path}/a/result/report"]).listing().runs
    assert sorted(run.name for run in both) == ["a/result", "b/result"]
    assert len({run.slug for run in both}) == 2
    assert alone[0].slug in {run.slug for run in both}


def test_a_run_is_summed_up_with_links_to_all_there_is(site, results):
    text = site.of("finished").text
    _Page(text)  # which closes in order
    for part in ("report", "clips", "failures", "metrics.json", "predictions.csv"):
        assert f'href="/runs/{site.slug("finished")}/{part}"' in text
    for word in ("loso", "within-actor", "leaky", "hog3d.cell", "numpy", "26: 24 done"):
        assert word in text, word


def test_a_report_is_served_as_data_that_may_run_nothing(site, results):
    found = site.of("finished", "report")
    assert found.body == (results / "finished" / "report" / "index.html").read_bytes()
    for name in ("finished", "<b>hostile&'"):
        headers = site.of(name, "report").headers
        policy = headers["content-security-policy"]
        assert policy.split(";")[0] == "sandbox"
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] == "text/html; charset=utf-8"
    assert site.of("begun", "report").status == 404


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv"])
def test_files_of_a_report_can_be_downloaded(site, results, name):
    found = site.of("finished", name)
    assert found.body == (results / "finished" / "report" / name).read_bytes()
    assert found.headers["content-disposition"].startswith("attachment; filename=")
    assert site.of("begun", name).status == 404


def chosen(site, a, b, protocol="loso", **more):
    """The page that compares RUN/MODEL with RUN/MODEL."""
    systems = [
        "/".join([site.slug(one.partition("/")[0]), one.partition("/")[2]]) for one in (a, b)
    ]
    asked = {"a": systems[0], "b": systems[1], "protocol": protocol, **more}
    return site.get(f"/runs/compare?{urlencode(asked)}").text


def test_two_runs_and_two_models_of_one_are_compared_as_the_command_does(site, results):
    text = chosen(site, "by-hand/mlp", "by-hand/svm")
    found = compare(results / "by-hand", results / "by-hand", model="mlp:svm")
    assert percent(found.uar.a, " %") in text
    assert percent(found.uar.b, " %") in text
    assert f"<strong>{found.mcnemar.only_a}</strong> the first alone" in text
    assert "first better" in text
    assert "mlp of by-hand and svm of by-hand" in text


def test_other_clips_are_refused_in_a_sentence_with_the_way_on(site):
    text = chosen(site, "by-hand/mlp", "others/mlp")
    assert "The runs were not tested on the same clips" in text
    assert "--common" not in text
    link = re.search(r'href="(/runs/compare\?[^"]*common=1)"', text)[1].replace("&amp;", "&")
    assert "on 80 clips of 5 actors" in site.get(link).text


@pytest.mark.parametrize(
    ("a", "b", "protocol", "said"),
    [
        ("by-hand/mlp", "others/mlp", "within-actor", "did not run protocol"),
        ("by-hand/mlp", "by-hand/none", "loso", "is not there any more"),
        ("nothing/mlp", "by-hand/mlp", "loso", "is not there any more"),
        ("by-hand/mlp", "by-hand/svm", "within-actor", "no model"),
    ],
)
def test_what_cannot_be_compared_is_said(site, results, a, b, protocol, said):
    text = chosen(site, a, b, protocol)
    assert said in text
    assert str(results) not in text


@pytest.mark.parametrize("path", ["", "failures", "report"])
def test_hostile_names_stay_text(site, path):
    text = site.of("<b>hostile&'", path).text
    if path != "report":
        _Page(text)
        assert "<img src=x" not in text
        assert "<script" not in text
        assert "&lt;" in text
    listing = site.get("/runs/").text
    assert "<img src=x" not in listing
    assert "<script" not in listing
    assert "&lt;b&gt;hostile" in listing


def test_hostile_models_can_be_compared(site):
    name = f"<b>hostile&'/{HOSTILE}"
    text = chosen(site, name, name)
    assert "<img" not in text
    assert "on 96 clips" in text


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../etc/passwd",
        "/runs/%2e%2e/%2e%2e/etc/passwd",
        "/runs/{run}/../../../../etc/passwd",
        "/runs/{run}/clips/..%2F..%2F..%2Frun.json",
        "/runs/{run}/media/full-av/..%2Fmedia%2Fcorpus.json",
        "/runs/{run}/media/../../run.json",
        "/runs/{run}/run.json",
        "/runs/{run}/store.zarr/zarr.json",
        "/runs/finished/",
        "/runs/{run}/report/metrics.json",
        "/runs/%00/",
    ],
)
def test_addresses_lead_to_nothing_but_the_pages(site, path):
    found = site.get(path.format(run=site.slug("finished")))
    assert found.status == 404
    assert b"root:" not in found.body
    assert b"schema" not in found.body


def test_every_page_forbids_scripts_frames_and_guessing(site):
    for path in ("", "clips", "failures", "clips/01-01-01-01-01-01", "nothing"):
        headers = site.of("finished", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_everything_asks_for_the_password(results):
    slug = Runs([str(results)]).listing().runs[0].slug
    with serving(Runs([str(results)]), results, password="hush") as site:
        for path in ("/", "/runs/", "/runs/compare", f"/runs/{slug}/", f"/runs/{slug}/report"):
            assert site.get(path).status == 401
        coded = base64.b64encode(b"emodask:hush").decode()
        assert site.get("/runs/", Authorization=f"Basic {coded}").status == 200


def test_without_a_judge_the_first_page_leads_to_the_results_and_there_is_no_api(site):
    found = site.get("/")
    assert found.status in (302, 307)
    assert found.headers["location"].endswith("runs/")
    assert site.get("/runs").headers["location"] == "/runs/"
    assert site.get("/api/bundles").status == 404
    assert "Judge a recording" not in site.get("/runs/").text


def test_with_a_judge_both_pages_lead_to_each_other(results, judge):
    from starlette.testclient import TestClient

    app = make_app(judge, PageSettings(), Runs([str(results)]))
    with TestClient(app, base_url=HERE) as client:
        assert "Judge a recording" in client.get("/runs/").text
        assert "Results of runs" in client.get("/config").text
        assert client.get("/api/health").json()["status"] == "ok"
    with TestClient(make_app(judge, PageSettings()), base_url=HERE) as client:
        assert "Results of runs" not in client.get("/config").text


def test_serving_nothing_is_refused():
    with command() as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == (
        "emodask: nothing to serve: pass bundles to judge by, or results with --runs DIR\n"
    )


def test_the_command_says_how_many_runs_there_are_and_serves_them(results, tmp_path):
    with command("--runs", results, "--runs", tmp_path, "--port", 0) as process:
        address, said = address_of(process)
        with urllib.request.urlopen(address) as page:
            assert page.url == f"{address}/runs/"
            assert b"by-hand" in page.read()
    assert "6 runs found" in said
    assert f"warning: {tmp_path.name}: no runs there" in said
    assert "loading" not in said
