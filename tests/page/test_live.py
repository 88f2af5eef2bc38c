"""Promises of ``--page``, over HTTP: what it shows, to whom, and that it harms no job."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from emodask.display import EventReporter, Reporter, Together, pace
from emodask.errors import EmodaskError, UsageError
from emodask.evaluation.folds import EvaluationProgress
from emodask.extraction import ExtractSummary, Progress
from emodask.pipeline import Layout, RunResult
from tests.conftest import ROOT, SMALL
from tests.media_files import tone, wav, zip_of
from tests.test_extraction import as_toml

uvicorn = pytest.importorskip("uvicorn")

from emodask.page.live import app, live_page  # noqa: E402
from emodask.page.live.live_page import LivePage  # noqa: E402
from emodask.page.live.state import KEPT  # noqa: E402

COUNTS = {"pending": 20, "done": 3, "failed": 1, "incomplete": 0}
HOSTILE = "<script>alert(1)</script>&\"'"
METRICS: dict[str, Any] = {
    "job": {"name": "small"},
    "data": {},
    "protocols": {
        "loso": {
            "speaker_independent": True,
            "models": {
                "svc": {
                    "uar": 0.75,
                    "uar_ci95": [0.6, 0.9],
                    "accuracy": 0.75,
                    "macro_f1": 0.7,
                    "per_emotion": {"happy": {"support": 4}, "angry": {"support": 4}},
                }
            },
        }
    },
}


class Watched:
    """A page, the reporter that drives it, and what people were told meanwhile."""

    def __init__(self, page: LivePage, said: list[str]) -> None:
        self.page, self.said = page, said
        self.out = io.StringIO()
        people = Reporter(Console(file=self.out, width=80))
        self.reporter: Any = Together(people, EventReporter(page.take, every=0))

    def get(self, path: str = "/", host: str = "127.0.0.1") -> http.client.HTTPResponse:
        return ask(self.page.address, path, host)

    def text(self, path: str = "/") -> str:
        with self.get(path) as answer:
            return answer.read().decode()

    def state(self) -> dict[str, Any]:
        return json.loads(self.text("/state.json"))


def ask(address: str, path: str, host: str = "127.0.0.1") -> http.client.HTTPResponse:
    where = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=30)
    connection.request("GET", path, headers={"Host": f"{host}:{where.port}"})
    return connection.getresponse()


def news(answer: http.client.HTTPResponse) -> dict[str, Any]:
    """The next event of a stream."""
    while line := answer.readline():
        if line.startswith(b"data: "):
            return json.loads(line[6:])
    raise AssertionError("the stream has ended")


@contextlib.contextmanager
def watching():
    said: list[str] = []
    with LivePage(0, said.append) as page:
        yield Watched(page, said)


@pytest.fixture
def watched():
    with watching() as one:
        yield one


def refuses(address: str) -> bool:
    where = urlsplit(address)
    try:
        socket.create_connection((where.hostname, where.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def result(folder: Path, stopped: str = "") -> RunResult:
    summary = ExtractSummary("s", 24, 3, 1, 0, 20, 4, 1.0, (), {})
    return RunResult(Layout(str(folder)), summary, METRICS, stopped)


def test_it_shows_each_stage_as_the_reporter_tells_it(watched, tmp_path):
    tell = watched.reporter
    assert "Starting" in watched.text()
    tell.started("run", job="small", sources=["a.zip"], out="out")
    assert "Looking for workers and clips" in watched.text()
    tell.connected(None)
    tell.extract(Progress(24, COUNTS, 0, 24, batches=0, all_batches=5))
    failed = (("01-03-01-01-01-01", "a.zip/x.wav: decoding: cut short"),)
    tell.extract(Progress(24, COUNTS, 5, 24, failed, ("batch lost",), batches=1, all_batches=5))
    page = watched.text()
    assert "Extracting features: 5 of 24 clips" in page
    assert '<progress id="bar" aria-label="Progress of this stage" value="5" max="24">' in page
    assert "<dd>1 of 5</dd>" in page
    assert "a.zip/x.wav: decoding: cut short" in page
    assert "batch lost" in page
    assert "It runs in this process." in page
    assert "<title>20% extract – emodask run small</title>" in page

    tell.extracted(ExtractSummary("out/store.zarr", 24, 23, 1, 0, 0, 24, 9.0, (), {}))
    tell.folds(EvaluationProgress("reduction", 2, 4, "hog3d"))
    page = watched.text()
    assert "2 of 4 blocks of a pass over hog3d" in page
    assert "<title>evaluate – emodask run small</title>" in page  # more passes follow, and folds
    assert 'aria-label="Progress: blocks of a pass over hog3d" value="2" max="4"' in page
    assert "50%" not in page
    tell.folds(EvaluationProgress("fold", 2, 3))
    assert "Evaluating on held-out people: 2 of 3 folds" in watched.text()
    tell.folds(EvaluationProgress("fold", 3, 3))
    assert "Scoring, and writing the report" in watched.text()
    tell.evaluated(METRICS, str(tmp_path))
    tell.fit()
    page = watched.text()
    assert "Fitting the bundle&#39;s model" in page
    assert "On people it has never heard or seen, small recognises 75.0 %" in page
    tell.ended(result(tmp_path))
    found = watched.state()
    assert found["counts"] == {"done": 23, "failed": 1, "incomplete": 0, "pending": 0}
    assert found["places"] == {
        "store": f"{Path.cwd()}/out/store.zarr",
        "report": str(tmp_path),
        "bundle": str(tmp_path / "bundle"),
        "record": str(tmp_path / "run.json"),
    }
    assert "extract: 0/24" in watched.out.getvalue()  # people were told, too
    assert watched.said == []


def test_an_extraction_that_gave_up_is_not_shown_as_done(watched):
    watched.reporter.started("run", job="small")
    stopped = "gave up after 3 batches"
    watched.reporter.extracted(
        ExtractSummary("s", 24, 3, 1, 0, 20, 4, 1.0, (), {}, stopped=stopped)
    )
    assert watched.state()["stage"] == "extract"
    assert "(done)" not in watched.text()


def test_the_memory_plan_and_the_dashboard_stand_on_it(watched):
    from emodask.job import parse_job
    from emodask.memory import Workers, plan_memory
    from emodask.memory.clips import ClipShape

    client = SimpleNamespace(
        scheduler=SimpleNamespace(address="tcp://10.0.0.1:8786"),
        nthreads=lambda: {"a": 1, "b": 1},
        dashboard_link="http://me:hush@10.0.0.1:8787/status",
    )
    watched.reporter.started("run", job="small")
    watched.reporter.connected(client)
    plan = plan_memory(parse_job(SMALL), ClipShape(), 5)
    watched.reporter.planned(plan, Workers(1 << 30))
    page = watched.text()
    assert "It runs on 2 workers of tcp://10.0.0.1:8786" in page
    assert 'href="http://10.0.0.1:8787/status"' in page
    assert "Memory plan: " in page
    assert "hush" not in page


def test_programs_read_times_as_seconds(watched, monkeypatch):
    now = [watched.page.state.began]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    for module in (live_page, app, pace):
        monkeypatch.setattr(module, "time", clock)
    watched.reporter.started("extract", job="small")
    for moment, done in ((0, 0), (60, 10), (10, 20), (10, 30), (10, 40)):
        now[0] += moment
        watched.reporter.extract(Progress(100, COUNTS, done, 100, batches=1, all_batches=2))
    now[0] += 15
    found = watched.state()
    assert (found["seconds"], found["rate"]) == (105, 1)
    step = {"what": "clips", "done": 40, "total": 100, "left": 45, "whole": True}
    assert found["step"] == step
    assert not {"began", "ended", "told"} & set(found)
    page = watched.text()
    assert "<dd>about 0:45</dd>" in page
    assert "<dd>1:45</dd>" in page


def test_an_open_page_is_sent_what_changes_and_a_late_one_everything(watched):
    watched.reporter.started("run", job="small")
    with watched.get("/events") as stream:
        first = news(stream)
        assert first["title"] == "extract – emodask run small"
        assert {name for name in first if name.startswith("part-")} == {
            f"part-{name}" for name in ("status", "numbers", "result", "failures", "facts")
        }
        failed = (("01-03-01-01-01-01", "why"),)
        watched.reporter.extract(Progress(24, COUNTS, 6, 24, failed, batches=1, all_batches=4))
        second = news(stream)
        while second["progress"] is None:
            second = news(stream)
        assert second["progress"] == [6, 24]
        assert "01-03-01-01-01-01" in second["part-failures"]
        assert "part-facts" not in second
        assert second["urgent"] != first["urgent"]
    with watched.get("/events") as again:  # a browser that lost its connection
        whole = news(again)
        assert "01-03-01-01-01-01" in whole["part-failures"]
        assert "part-facts" in whole


@pytest.mark.parametrize(
    ("error", "outcome", "says"),
    [
        (None, "finished", "Finished"),
        (EmodaskError("the disk at s3://me:hush@b/x is full"), "failed", "s3://b/x is full"),
        (RuntimeError("unheard of"), "failed", "unexpected RuntimeError: unheard of"),
        (KeyboardInterrupt(), "interrupted", "Run the same command to go on"),
        (SystemExit(143), "interrupted", "Run the same command to go on"),
    ],
)
def test_who_watches_is_told_how_it_ended_and_the_port_is_closed(error, outcome, says):
    with contextlib.suppress(type(error) if error else ()), watching() as watched:
        watched.reporter.started("extract", job="small")
        stream = watched.get("/events")
        news(stream)
        if error:
            raise error
    last = news(stream)
    assert last["outcome"] == outcome
    assert says in last["part-status"]
    assert "its server is gone" in last["part-status"]
    assert "hush" not in last["part-status"]
    assert stream.read() == b"\n"  # the stream was brought to its end, not cut off
    assert refuses(watched.page.address)
    assert not any(thread.name == "emodask-page" for thread in threading.enumerate())


def test_a_run_that_could_not_learn_has_failed_for_its_reason(tmp_path):
    with watching() as watched:
        watched.reporter.started("run", job="small")
        stream = watched.get("/events")
        watched.reporter.ended(result(tmp_path, "only one actor"))
    last = {"outcome": "running"}
    while last["outcome"] == "running":
        last = news(stream)
    assert last["outcome"] == "failed"
    assert "only one actor" in last["part-status"]


def test_hostile_names_are_shown_as_they_are_and_no_secret_is(watched):
    watched.reporter.started("run", job=HOSTILE, sources=[])
    secret = "https://me:hush@host/a.zip?sig=hush: reading: token=hush"
    failed = ((HOSTILE, secret),)
    watched.reporter.extract(Progress(2, COUNTS, 1, 2, failed, (secret,), 1, 1))
    watched.reporter.say(f"note {HOSTILE} {secret}")
    watched.reporter.evaluated(METRICS, f"s3://me:hush@bucket/{HOSTILE}")
    with watched.get("/events") as stream:
        sent = news(stream)
    for text in (watched.text(), *(str(value) for key, value in sent.items() if "part" in key)):
        assert "<script>alert" not in text
        assert "hush" not in text
    assert "hush" not in watched.text("/state.json")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in sent["part-failures"]
    assert "https://host/a.zip" in sent["part-failures"]


def test_failures_are_bounded_and_counted(watched):
    watched.reporter.started("run", job="small")
    failed = tuple((f"clip-{number}", "why") for number in range(KEPT + 30))
    watched.reporter.extract(Progress(200, COUNTS, 80, 200, failed, batches=1, all_batches=2))
    page = watched.text()
    assert "80 failed clips" in page
    assert "and 30 earlier" in page
    assert "clip-79" in page
    assert "clip-29<" not in page
    assert len(watched.state()["failures"]["last"]) == KEPT


def test_the_report_is_served_while_the_page_lives_and_nothing_beside_it(watched, tmp_path):
    assert watched.get("/report/").status == 404
    (tmp_path / "index.html").write_text("<p>the report</p>")
    (tmp_path / "metrics.json").write_text("{}")
    watched.reporter.evaluated(METRICS, str(tmp_path))
    answer = watched.get("/report/")
    assert answer.read() == b"<p>the report</p>"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert 'href="report/"' in watched.text()
    for path in ("/report/metrics.json", "/report/../metrics.json", "/report/%2e%2e/index.html"):
        assert watched.get(path).status == 404


def test_nobody_beyond_this_machine_is_answered_and_nothing_of_other_hosts_is_run(watched):
    assert watched.get(host="localhost").status == 200
    assert watched.get(host="rebound.example").status == 421
    assert watched.get("/events", host="rebound.example").status == 421
    policy = watched.get().headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    page = watched.text()
    assert "http" not in page.replace("http-equiv", "")
    assert watched.page._socket.getsockname()[0] == "127.0.0.1"


def test_a_browser_that_takes_nothing_holds_up_neither_the_job_nor_its_end():
    with watching() as watched:
        where = urlsplit(watched.page.address)
        stuck = socket.create_connection((where.hostname, where.port))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        watched.reporter.started("run", job="small")
        for number in range(200):
            failed = tuple((f"clip-{number}-{i}", "why " * 5000) for i in range(5))
            watched.reporter.extract(
                Progress(200, COUNTS, number, 200, failed, batches=1, all_batches=2)
            )
        assert watched.state()["failures"]["count"] == 1000
    assert refuses(watched.page.address)
    assert not watched.page._thread.is_alive()
    stuck.close()


def test_a_page_that_breaks_is_said_once_and_the_job_goes_on(monkeypatch):
    async def broken(self):
        raise RuntimeError("no more sockets")

    monkeypatch.setattr(uvicorn.Server, "main_loop", broken)
    with watching() as watched:
        watched.page._thread.join(30)
        assert refuses(watched.page.address)
        watched.reporter.started("run", job="small")
        watched.reporter.extract(Progress(24, COUNTS, 0, 24))
    assert watched.said == ["the page has broken (no more sockets); the job goes on without it"]
    assert "extract: 0/24" in watched.out.getvalue()


def test_news_that_the_page_cannot_take_are_said_once_and_the_job_goes_on(monkeypatch):
    def broken(*news):
        raise ValueError("what is this?")

    monkeypatch.setattr(live_page, "after", broken)
    with watching() as watched:
        watched.reporter.started("run", job="small")
        watched.reporter.extract(Progress(24, COUNTS, 0, 24))
    assert len(watched.said) == 1
    assert "what is this?" in watched.said[0]
    assert "extract: 0/24" in watched.out.getvalue()


def test_a_port_that_is_taken_is_refused_before_any_work():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} .* choose another with --page-port"):
            LivePage(port, print)


def emodask(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emodask", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "300", **variables},
        timeout=120,
    )


def test_without_the_extra_it_says_what_to_install_before_any_work(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(name='uvicorn')")
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = emodask("demo", "--out", tmp_path / "out", "--page", PYTHONPATH=path)
    assert done.returncode == 2
    assert "(uvicorn): pip install 'emodask[page]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_job_that_is_watched_is_logged_as_one_that_is_not(tmp_path):
    sources = zip_of(tmp_path / "a.zip", {"Actor_01/03-01-01-01-01-01-01.wav": wav(tone())})
    arguments = ("spline", "-s", sources, "--scheduler", "sync", "--log-json", "--store")
    events: dict[str, list[str]] = {}
    for name, page in (("bare", []), ("watched", ["--page"])):
        done = emodask("extract", *arguments, tmp_path / name, *page)
        assert (done.returncode, done.stdout) == (0, "")
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        events[name] = [line["event"] for line in lines]
    assert lines[0]["message"].startswith("watch http://127.0.0.1:")
    assert events["watched"] == ["note", *events["bare"]]


def test_figures_as_json_stay_alone_on_standard_output(small_store, tmp_path):
    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    where = ("--store", small_store.url, "--report", tmp_path / "report", "--scheduler", "sync")
    done = emodask("evaluate", job, *where, "--no-pictures", "--json", "--page")
    assert done.returncode == 0
    assert json.loads(done.stdout)["protocols"]
    assert "watch http://" in done.stderr
    assert "UAR" not in done.stderr


def test_a_port_of_no_page_is_misuse(tmp_path):
    done = emodask("demo", "--out", tmp_path / "out", "--page-port", 0)
    assert done.returncode == 2
    assert "add --page" in done.stderr
    assert not (tmp_path / "out").exists()
