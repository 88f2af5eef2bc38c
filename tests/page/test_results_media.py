"""Promises of media while their sources are listed, and while nobody takes them."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from starlette.requests import Request

from emodask.errors import SourceError
from emodask.page.results import media, ranges
from emodask.page.results.clips import Stores
from emodask.page.results.media import Held, MediaFinder
from emodask.page.results.ranges import RangedResponse
from emodask.page.results.reading import read_bounded
from emodask.page.results.runs import Runs
from tests.page.results_server import PLAYED, serving
from tests.page.test_judge import wait_until


@pytest.fixture
def finder():
    found = MediaFinder()
    yield found
    found.close()


@pytest.fixture
def found(results):
    """A run and the rows of its store."""
    (run,) = Runs([str(results / "finished")]).listing().runs
    return run, Stores().rows(run)


def test_why_sources_cannot_be_listed_is_said_however_long_it_took(
    found, finder, monkeypatch, stop_clock
):
    clock, calls = stop_clock(media), []

    def fails(*_):
        calls.append(clock[0])
        clock[0] += 300
        raise SourceError("the bucket is gone")

    monkeypatch.setattr(finder, "_list", fails)
    for _ in range(2):
        with pytest.raises(SourceError, match="the bucket is gone"):
            finder.of_clip(*found, PLAYED)
    assert calls == [0.0]
    clock[0] += 61
    with pytest.raises(SourceError, match="the bucket is gone"):
        finder.of_clip(*found, PLAYED)
    assert len(calls) == 2


def test_a_listing_that_makes_way_for_others_is_still_to_come(found, finder, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(finder, "_list", lambda *_: go_on.wait(60) and {})
    monkeypatch.setattr(media, "_LISTINGS", 1)
    run, rows = found
    runs = [Runs([run.url]).listing().runs[0] for _ in range(4)]
    for number, one in enumerate(runs):
        one.stamps["run.json"] = number
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(finder.of_clip, one, rows, PLAYED, 60) for one in runs]
        try:
            wait_until(lambda: any(one.done() for one in asked))
            with pytest.raises(SourceError, match="still being listed"):
                next(one for one in asked if one.done()).result()
        finally:
            go_on.set()


def test_who_waits_for_a_listing_holds_up_nobody_who_plays(site, monkeypatch):
    waiting, go_on = threading.Semaphore(0), threading.Event()
    original = MediaFinder.of_clip

    def of_clip(self, run, rows, clip, *rest):
        if clip != PLAYED:
            waiting.release()
            assert go_on.wait(60)
        return original(self, run, rows, clip, *rest)

    monkeypatch.setattr(MediaFinder, "of_clip", of_clip)
    other = PLAYED.replace("01-01-01-01-01-01", "01-03-01-01-01-01")
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(site.of, "finished", f"clips/{other}") for _ in range(5)]
        try:
            for _ in range(5):
                assert waiting.acquire(timeout=60)
            assert site.of("finished", f"media/full-av/{PLAYED}").status == 200
        finally:
            go_on.set()
        assert [one.result().status for one in asked] == [200] * 5


def test_who_takes_nothing_is_sent_no_more(monkeypatch):
    monkeypatch.setattr(ranges, "_SEND_SECONDS", 0.01)
    ended = []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}

    async def piece(read):
        return read()

    async def send(message):
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    async def main():
        answer = RangedResponse(
            Held(bytes(10)), Request(scope), {}, piece, lambda: ended.append(True)
        )
        with anyio.fail_after(30):
            await answer(scope, anyio.sleep_forever, send)

    anyio.run(main)
    assert ended == [True]


def test_media_are_looked_for_by_the_record_that_was_read(found, finder, monkeypatch):
    run, rows = found
    record = read_bounded(run.folder, "run.json", 1 << 20)
    monkeypatch.setattr(type(run.folder), "read", lambda *_: pytest.fail("read once more"))
    assert finder.of_clip(run, rows, PLAYED)
    assert json.loads(record)["job"]["extraction_digest"] == run.record.job.extraction_digest


def test_links_of_a_report_to_files_of_its_disk_lead_to_the_clips(results, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(results / "finished", out, ignore=shutil.ignore_patterns("media"))
    kept = '<a href="#top">a</a><a href="https://lab/x.wav">b</a><link href="data:,">'
    (out / "report" / "index.html").write_text(f'{kept}<a href="../../data/x%20y.wav">c</a>')
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        assert site.of("run", "report").text == f'{kept}<a href="clips">c</a>'
        assert site.of("run", "clips").status == 200
