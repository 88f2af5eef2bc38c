"""Promises of browsing clips: paged, filtered, each with what became of it; media in ranges."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd
import pytest
import zarr

from emodask.extraction import extract
from emodask.job import parse_job
from emodask.page.results import clips, media, sending, verdicts, views
from emodask.page.results.clips import Stores
from emodask.page.results.media import Held, MediaFinder
from emodask.page.results.runs import Runs
from emodask.page.results.verdicts import Predictions
from emodask.page.results.views import Filters, clips_view
from emodask.store import Status
from tests.conftest import SMALL
from tests.media_files import tone, wav
from tests.page.results_server import FAILED, HOSTILE, INCOMPLETE, PLAYED, serving

ROWS = re.compile(r'<th scope="row"><a href="[^"]*/clips/([^"]*)">')


def shown(site, **asked):
    """The clips of a page of the table, and the page."""
    text = site.of("finished", f"clips?{urlencode(asked)}").text
    return ROWS.findall(text), text


def predicted(results):
    """The lines of predictions.csv."""
    text = (results / "finished" / "report" / "predictions.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))


def test_clips_are_filtered_by_actor_emotion_and_status(site):
    everything, text = shown(site)
    assert len(everything) == 26
    assert "1 to 26 of 26 clips" in text
    assert shown(site, actor=2)[0] == [name for name in everything if name.endswith("-02")]
    assert shown(site, emotion="happy")[0] == [n for n in everything if n.startswith("01-03")]
    assert shown(site, status="failed")[0] == [FAILED]
    assert shown(site, status="incomplete")[0] == [INCOMPLETE]
    assert shown(site, actor=1, emotion="happy", status="done")[0] == ["01-03-01-01-01-01"]
    for asked in ({"actor": "x"}, {"actor": 99}, {"emotion": "bored"}, {"status": "lost"}):
        found, text = shown(site, **asked)
        assert (found, "No clips" in text) == ([], True)


@pytest.mark.parametrize(("model", "protocol"), [("svc", "loso"), ("logistic", "within-actor")])
def test_clips_that_a_model_mistook_are_those_that_the_predictions_say(
    site, results, model, protocol
):
    wrong = {
        row["clip_id"]: row["predicted"]
        for row in predicted(results)
        if (row["model"], row["protocol"]) == (model, protocol) and row["true"] != row["predicted"]
    }
    assert wrong
    found, text = shown(site, mistaken=f"{model} under {protocol}")
    assert set(found) == set(wrong)
    said = re.findall(r'data-label="The model said">(\w+)<', text)
    assert dict(zip(found, said, strict=True)) == wrong
    assert "No model x was evaluated" in shown(site, mistaken="x")[1]


def test_tables_are_paged_and_keep_what_was_asked_for(site, monkeypatch):
    monkeypatch.setattr(views, "PAGE_ROWS", 10)
    everything = [name for page in (1, 2, 3) for name in shown(site, page=page)[0]]
    assert len(everything) == len(set(everything)) == 26
    found, text = shown(site, page=2, status="done")
    assert "11 to 20 of 24 clips" in text
    assert 'href="/runs/' in text
    assert "clips?status=done&amp;page=3" in text
    assert shown(site, page=99)[0] == everything[20:]
    assert shown(site, page="x")[0] == everything[:10]
    assert found == [name for name in everything if name not in (FAILED, INCOMPLETE)][10:20]


def test_a_clip_is_shown_with_what_became_of_it_and_what_models_said(site, results):
    text = site.of("finished", f"clips/{PLAYED}").text
    mine = [row for row in predicted(results) if row["clip_id"] == PLAYED]
    for row in mine:
        part = text[text.index(f'aria-label="{row["model"]} under {row["protocol"]}"') :]
        part = part[: part.index("</section>")]
        assert f"It was {row['true']}" in part
        assert f">{row['predicted']}, which is" in part
        for emotion in ("happy", "sad"):
            chance = re.search(rf"{emotion}</th>.*?([\d.]+) %</td>", part)[1]
            assert float(chance) == pytest.approx(100 * float(row[emotion]), abs=0.05001)
    assert len(mine) == 2
    assert text.count('<section aria-label="') == len(mine)
    assert "Drawn from what the store holds" in text
    assert 'alt="azimuth, cells of neutral"' in text
    assert "34 curves and their spline fits" in text
    assert "Video frames used" in text


def test_failed_and_incomplete_clips_say_why(site):
    text = site.of("finished", f"clips/{FAILED}").text
    assert "Its extraction failed: Further.zip" in text
    assert "No model was tested on this clip" in text
    assert "not there" in text
    text = site.of("finished", f"clips/{INCOMPLETE}").text
    assert "Incomplete: no media for: audio" in text
    assert 'alt="azimuth, cells of disgust"' in text

    text = site.of("finished", "failures").text
    failed = text[text.index(FAILED) :]
    assert f"Further.zip/Actor_03/03-{FAILED}.wav" in failed
    assert 'data-label="Stage">reading<' in failed
    assert "no media for: audio" in text[text.index(INCOMPLETE) :]
    assert ROWS.findall(text) == [INCOMPLETE, FAILED]


def test_failures_without_a_store_are_those_of_the_record(site):
    text = site.of("<b>hostile&'", "failures").text
    assert "&lt;img src=x" in text
    assert 'data-label="Stage">reading<' in text
    assert "6 more are not listed" in text
    assert site.of("by-hand", "clips").status == 404


@pytest.mark.parametrize("name", ["no-such-clip", "..%2F..", quote(HOSTILE), f"{PLAYED}/x", "%00"])
def test_clips_that_are_not_there_are_not_found(site, name):
    for path in (f"clips/{name}", f"media/full-av/{name}"):
        found = site.of("finished", path)
        assert found.status == 404
        assert b"<img src=x" not in found.body


def member(results, kind="01"):
    """The bytes of the clip that is played, out of its zip."""
    for archive in (results / "finished" / "media").glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if name.endswith((f"/{kind}-{PLAYED}.mp4", f"/{kind}-{PLAYED}.wav")):
                    return opened.read(name)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "code", "content"),
    [
        ("full-av", "01", "video/mp4"),
        ("video-only", "02", "video/mp4"),
        ("audio-only", "03", "audio/wav"),
    ],
)
def test_media_are_sent_out_of_their_zip_as_they_are(site, results, kind, code, content):
    found = site.of("finished", f"media/{kind}/{PLAYED}")
    assert found.body == member(results, code)
    assert found.headers["content-type"] == content
    assert found.headers["accept-ranges"] == "bytes"
    assert found.headers["content-security-policy"].startswith("sandbox")
    assert f'media/{kind}/{PLAYED}"' in site.of("finished", f"clips/{PLAYED}").text
    head = site.get(f"/runs/{site.slug('finished')}/media/{kind}/{PLAYED}", "HEAD")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(found.body)))


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=10-99", 206, slice(10, 100)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=5-99999999", 206, slice(5, None)),
        ("bytes=99999999-", 416, slice(0, 0)),
        ("bytes=-0", 416, slice(0, 0)),
        ("bytes=9-3", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("seconds=1-2", 200, slice(None)),
    ],
)
def test_ranges_are_answered_as_browsers_need_them_to_seek(site, results, asked, status, part):
    whole = member(results)
    found = site.of("finished", f"media/full-av/{PLAYED}", Range=asked)
    assert found.status == status
    assert found.body == whole[part]
    start, stop, _ = part.indices(len(whole))
    said = {206: f"bytes {start}-{stop - 1}/{len(whole)}", 416: f"bytes */{len(whole)}"}
    assert found.headers.get("content-range") == said.get(status)


def test_a_range_of_another_version_is_the_whole(site, results):
    found = site.of("finished", f"media/full-av/{PLAYED}", Range="bytes=0-0", If_Range='"old"')
    assert (found.status, found.body) == (200, member(results))


def moved(results, tmp_path, **changes):
    """A copy of the run without its media, with another record."""
    out = tmp_path / "moved"
    shutil.copytree(results / "finished", out, ignore=shutil.ignore_patterns("media"))
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(record | changes))
    return out


def test_media_that_cannot_be_found_are_said_to_be_missing(results, tmp_path):
    moved(results, tmp_path)
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        text = site.of("moved", f"clips/{PLAYED}").text
        assert "It cannot be played: the store was made from" in text
        assert "not found beside it or here" in text
        assert site.of("moved", f"media/full-av/{PLAYED}").status == 404
        assert "Drawn from what the store holds" in text


def test_media_can_be_elsewhere_if_the_server_is_told(results, tmp_path):
    moved(results, tmp_path)
    sources = [f"{results}/finished/media/*.zip"]
    with serving(Runs([str(tmp_path)], sources=sources), tmp_path) as site:
        assert site.of("moved", f"media/full-av/{PLAYED}").body == member(results)


@pytest.mark.parametrize("source", ["..", ".", "../../finished/media", "/etc"])
def test_a_record_names_files_beside_it_and_no_other_places(results, tmp_path, source, monkeypatch):
    below = tmp_path / "cwd" / "below"
    below.mkdir(parents=True)
    for place in (tmp_path / "cwd", tmp_path / "runs"):
        place.mkdir(exist_ok=True)
        (place / f"03-{PLAYED}.wav").write_bytes(wav(tone(0.5)))
    monkeypatch.chdir(below)
    out = moved(results, tmp_path / "runs", sources=[source])
    shutil.rmtree(out / "report")  # its CSV would be taken for a manifest, and end the search
    with serving(Runs([str(tmp_path / "runs")]), tmp_path / "runs") as site:
        assert site.of("moved", f"media/audio-only/{PLAYED}").status == 404


def test_media_too_large_to_hold_are_not_sent(site, monkeypatch):
    monkeypatch.setattr(media, "MOST_MEMBER", 1000)
    found = site.of("finished", f"media/full-av/{PLAYED}")
    assert found.status == 404
    assert "more than the 0 MB that are played" in found.text


def test_what_is_no_media_by_its_name_is_never_sent(results, tmp_path):
    out = moved(results, tmp_path, sources=["list.csv"])
    (out / "secret.txt").write_text("root:x:0")
    line = f"{out}/secret.txt,{PLAYED},1,neutral,full-av"
    (out / "list.csv").write_text(f"path,clip_id,actor,emotion,modality\n{line}\n")
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        found = site.of("moved", f"media/full-av/{PLAYED}")
        assert found.status == 404
        assert b"root:" not in found.body


def test_media_that_are_waited_for_hold_up_no_other_page(site, monkeypatch):
    waiting, go_on = threading.Semaphore(0), threading.Event()

    def of_clip(*_):
        waiting.release()
        assert go_on.wait(60)
        return ()

    monkeypatch.setattr(MediaFinder, "of_clip", of_clip)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(site.of, "finished", f"clips/{PLAYED}") for _ in range(6)]
        for _ in range(4):  # as many as work at a time
            assert waiting.acquire(timeout=60)
        assert site.get("/runs/").status == 200
        assert len(ROWS.findall(site.of("finished", "clips").text)) == 26
        go_on.set()
        assert [one.result().status for one in asked] == [200] * 6


def test_more_recordings_than_are_sent_at_a_time_are_put_off(site, monkeypatch):
    waiting, go_on = threading.Semaphore(0), threading.Event()
    original = Held.read

    def read(self, start, end):
        waiting.release()
        assert go_on.wait(60)
        return original(self, start, end)

    monkeypatch.setattr(Held, "read", read)
    monkeypatch.setattr(sending, "_STREAMS", 2)
    path = f"media/full-av/{PLAYED}"
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(site.of, "finished", path) for _ in range(2)]
        for _ in range(2):
            assert waiting.acquire(timeout=60)
        busy = site.of("finished", path)
        assert (busy.status, busy.headers["retry-after"]) == (503, "5")
        go_on.set()
        assert [one.result().status for one in asked] == [200] * 2
    assert site.of("finished", path).status == 200


def test_a_listing_of_sources_that_takes_long_is_not_waited_for(site, results, monkeypatch):
    run = Runs([str(results / "finished")]).listing().runs[0]
    rows = Stores().rows(run)
    finder = MediaFinder()
    monkeypatch.setattr(finder, "_list", lambda *_: time.sleep(1) or {})
    with pytest.raises(Exception, match="still being listed"):
        finder.of_clip(run, rows, PLAYED, seconds=0.01)
    with pytest.raises(Exception, match="no media of this clip"):
        finder.of_clip(run, rows, PLAYED, seconds=60)
    finder.close()


def test_a_store_that_grows_is_followed(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "_PENDING_SECONDS", -1.0)
    extract(parse_job(SMALL), f"{corpus}/*.zip", tmp_path / "run" / "store.zarr")
    status = zarr.open_group(tmp_path / "run" / "store.zarr")["status"]
    written = np.asarray(status[:])
    status[:] = np.where(np.arange(24) < 10, written, 0)
    runs, stores = Runs([str(tmp_path)]), Stores()
    (run,) = runs.listing().runs
    assert stores.rows(run).counts()[Status.PENDING] == 14
    status[:] = written
    assert stores.rows(run).counts()[Status.DONE] == 24


def test_a_store_that_declares_more_than_memory_holds_is_refused(results, tmp_path):
    out = moved(results, tmp_path)
    declared = json.loads((out / "store.zarr" / "zarr.json").read_text())
    arrays = declared["consolidated_metadata"]["metadata"]
    for name in ("clip_id", "actor", "emotion", "status"):
        arrays[name]["shape"] = [99_999_999_999]
    (out / "store.zarr" / "zarr.json").write_text(json.dumps(declared))
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        found = site.of("moved", "clips")
        assert found.status == 404
        assert "too large to be browsed" in found.text


COLUMNS = "clip_id,actor,true,predicted,happy,protocol,fold,model"


@pytest.mark.parametrize(
    "text",
    [
        f"clip_id,model\n{PLAYED},b\n",
        f"{COLUMNS}\n{PLAYED},1,bored,happy,1,loso,0,m\n",
        f"{COLUMNS}\n{PLAYED},1,sad,sad,x,loso,0,m\n",
        "",
    ],
)
def test_damaged_predictions_are_said_and_the_clip_is_shown(results, tmp_path, text):
    out = moved(results, tmp_path)
    (out / "report" / "predictions.csv").write_text(text)
    with serving(Runs([str(tmp_path)]), tmp_path) as site:
        page = site.of("moved", f"clips/{PLAYED}").text
        assert "predictions.csv: damaged" in page
        assert "Drawn from what the store holds" in page
        page = site.of("moved", "clips?mistaken=svc+under+loso").text
        assert "predictions.csv: damaged" in page


def test_a_million_clips_are_paged_without_reading_what_is_not_shown(results, monkeypatch):
    run = Runs([str(results / "finished")]).listing().runs[0]
    rows = Stores().rows(run)
    monkeypatch.setattr(clips.StoredRows, "column", lambda *_: pytest.fail("a column is read"))
    monkeypatch.setattr(verdicts.Predictions, "of", lambda *_: pytest.fail("verdicts are read"))
    n = 1_000_000
    many = replace(
        rows,
        names=pd.Index([f"clip-{i}" for i in range(n)], dtype=object),
        actor=(np.arange(n) % 400).astype(np.int16),
        emotion=np.ones(n, np.int16),
        status=np.ones(n, np.uint8),
    )
    view = clips_view(run, many, Predictions(), Filters(actor="7"), 40)
    assert view["sheet"].total == 2500
    assert len(view["lines"]) == 50
    assert view["actors"] == []
