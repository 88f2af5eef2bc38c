"""``emodask run --page`` as people watch it, in a real browser, from its start to its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emodask.display import EventReporter
from emodask.extraction import Progress
from emodask.sources.synth import synthesize
from tests.conftest import ROOT
from tests.media_files import zip_of

pytest.importorskip("uvicorn")

from emodask.page.live.live_page import LivePage

WAIT = 120_000
HELD = """
import os, pathlib, time
import emodask.extraction as e
compute, calls = e.process_batch, []
def held(*arguments, **options):
    calls.append(1)
    while len(calls) > 3 and not pathlib.Path(os.environ["GO_ON"]).exists():
        time.sleep(0.05)
    return compute(*arguments, **options)
e.process_batch = held
"""
BROKEN = "Actor_03/03-01-08-01-01-01-03.wav"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices of two actors, and a file that is none."""
    folder = tmp_path_factory.mktemp("voices")
    synthesize(folder, actors=2, clips=8, seconds=1.0, workers=1, modalities=("audio-only",))
    zip_of(folder / "broken.zip", {BROKEN: b"RIFF, but not for long"})
    return folder


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("job") / "voices.toml"
    path.write_text(
        'name = "voices"\n[data]\nbatch = 3\n[features.spline]\nknots = 6\n'
        '[models.svc]\nkind = "svc"\n[evaluation]\nprotocols = ["loso"]\n'
    )
    return path


@pytest.fixture
def held(media: Path, job: Path, tmp_path: Path) -> tuple[list[object], dict[str, str]]:
    """A run, but for its ``--out``, that computes three batches and waits; its environment."""
    (tmp_path / "sitecustomize.py").write_text(HELD)
    command = [job, "-s", f"{media}/*.zip", "--scheduler", "sync", "--out"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    return command, {"PYTHONPATH": path, "GO_ON": str(tmp_path / "go-on")}


@contextlib.contextmanager
def running(*arguments: object, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``emodask run --page``, and the address that it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emodask", "run", *map(str, arguments), "--page"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **variables},
    )
    try:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"watch (http://127\.0\.0\.1:\d+)", line):
                yield process, found[1]
                break
        else:
            pytest.fail(said)
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def opened(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """A page; fails on errors of its scripts and on requests beyond this machine."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda one: None if one.url.startswith(address) else errors.append(f"asked {one.url}"),
    )
    page.goto(address)
    yield page
    context.close()
    assert [error for error in errors if "net::ERR_" not in error] == []


def look_at(page: Any, name: str) -> None:
    """Screenshots, axe and no scrolling sideways, wide and narrow, light and dark."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            folder = os.environ.get("EMODASK_SCREENSHOTS")
            if folder:
                page.screenshot(path=f"{folder}/live-{name}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = [
                (fault["id"], node["target"])
                for fault in axe.run(page).response["violations"]
                if fault["impact"] in ("serious", "critical")
                for node in fault["nodes"]
            ]
            assert found == []


def headline(page: Any, text: str) -> Any:
    return page.locator("#status .headline", has_text=text)


def refuses(address: str) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


def test_a_run_with_a_failing_clip_is_watched_from_its_start_to_its_end(
    browser: Any, media: Path, job: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = (job, "-s", f"{media}/*.zip", "--out", out, "--workers", 1)
    with running(*command) as (process, address), opened(browser, address) as page:
        assert page.title().endswith("emodask run voices")
        page.get_by_role("heading", name="1 failed clip").wait_for()
        failure = page.locator("#failures li").inner_text()
        assert "01-08-01-01-01-03" in failure
        assert BROKEN.rpartition("/")[2] in failure
        assert page.get_by_role("link", name="Dask's dashboard").count() == 1
        page.locator("#status [aria-current=step]", has_text="evaluate").wait_for()
        page.locator("#status .ended").wait_for()
        assert process.wait(60) == 1
        assert refuses(address)
        assert "Finished; 1 clip failed" in page.locator("#status").inner_text()
        assert "its server is gone" in page.locator("#status").inner_text()
        assert page.title().startswith("Finished; 1 clip failed")
        assert "On people it has never heard or seen" in page.locator("#result").inner_text()
        assert str(out / "report" / "index.html") in page.locator("#result").inner_text()
        assert page.locator("#result a").count() == 0
        assert page.locator("#lost").is_hidden()
        assert "Finished" in page.locator("#said").inner_text()
        look_at(page, "finished")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_what_to_do(
    browser: Any, held: Any, tmp_path: Path, number: int
) -> None:
    command, variables = held
    run = running(*command, tmp_path / "out", **variables)
    with run as (process, address), opened(browser, address) as page:
        headline(page, "Extracting features: 9 of 17 clips").wait_for()
        look_at(page, "running")
        process.send_signal(number)
        page.locator("#status .ended").wait_for()
        assert process.wait(60) == 128 + number
        assert "Run the same command to go on" in page.locator("#status").inner_text()
        assert refuses(address)


def test_a_run_that_is_killed_is_told_from_one_that_has_ended_and_the_next_is_shown(
    browser: Any, held: Any, tmp_path: Path
) -> None:
    command, variables = held
    first = running(*command, tmp_path / "out", **variables)
    with first as (process, address), opened(browser, address) as page:
        headline(page, "Extracting features: 9 of 17 clips").wait_for()
        process.kill()
        page.locator("#lost").wait_for(state="visible")
        assert page.locator("#status .ended").count() == 0
        look_at(page, "lost")
        run = page.evaluate("document.body.dataset.run")
        port = address.rpartition(":")[2]
        with running(*command, tmp_path / "next", "--page-port", port, **variables):
            page.locator(f"body:not([data-run='{run}'])").wait_for()
            assert page.locator("#lost").is_hidden()


def test_what_is_said_aloud_is_rare_but_for_failures_and_the_end(browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.clock.install(time=0)

    def far(done: int, failed: tuple[tuple[str, str], ...] = ()) -> str:
        reporter.extract(Progress(100, {}, done, 100, failed, batches=done, all_batches=100))
        page.locator(f"progress[value='{done}']").wait_for()
        return page.locator("#said").inner_text()

    with LivePage(0, pytest.fail) as live:
        reporter = EventReporter(live.take, every=0)
        reporter.started("extract", job="small")
        reporter.extract(Progress(100, {}, 0, 100))
        page.goto(live.address)
        page.get_by_role("status").filter(has_text="0 of 100").wait_for()
        page.clock.pause_at(1000)  # later than anything above was said
        assert [far(done) for done in (1, 2, 3)] == ["Extracting features: 1 of 100 clips"] * 3
        assert "4 of 100" in far(4, (("clip", "why"),))
        assert "4 of 100" in far(5)
        page.clock.fast_forward(10_000)
        assert "6 of 100" in far(6)
        assert "6 of 100" in far(7)
    page.get_by_role("status").filter(has_text="Finished").wait_for()
    assert page.title().startswith("Finished")
    context.close()


def test_without_scripts_it_shows_the_state_and_loads_itself_anew(
    browser: Any, held: Any, tmp_path: Path
) -> None:
    command, variables = held
    with running(*command, tmp_path / "out", **variables) as (_, address):
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(address)
        page.get_by_text("Extracting features: 9 of 17 clips").wait_for(timeout=WAIT)
        assert page.locator("progress").get_attribute("value") == "9"
        context.close()
