"""Promises of results in buckets: the same pages, and records there that lead nowhere else."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emodask.page.results.folders import slug_of
from emodask.page.results.media import beside
from emodask.page.results.runs import Runs
from emodask.sources.folder import Folder
from tests.media_files import tone, wav
from tests.page.results_server import PLAYED, serving
from tests.page.test_results_clips import ROWS, member
from tests.servers.object_stores import SECRET


def put(fs, folder: Path, target: str) -> None:
    """Upload a folder with all that is in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            fs.pipe_file(f"{target}/{path.relative_to(folder)}", path.read_bytes())


@pytest.fixture(scope="module")
def bucket(rclone, results):
    """The run, its record naming its media in the bucket; and its folder there."""
    prefix = f"{rclone.url}/results-{uuid.uuid4().hex[:8]}"
    fs = rclone.filesystem()
    put(fs, results / "finished", f"{prefix}/finished")
    put(fs, results / "by-hand", f"{prefix}/by-hand")
    record = json.loads((results / "finished" / "run.json").read_text())
    record["sources"] = [f"{prefix}/finished/media/*.zip"]
    fs.pipe_file(f"{prefix}/finished/run.json", json.dumps(record).encode())
    return rclone, prefix


def test_runs_in_a_bucket_are_listed_opened_and_played(bucket, results):
    store, prefix = bucket
    with serving(Runs([prefix], store.options)) as site:
        listing = site.get("/runs/").text
        slug = slug_of(Folder.at(f"{prefix}/finished", store.options))
        assert f'href="/runs/{slug}/"' in listing
        assert "by-hand" in listing
        report = site.get(f"/runs/{slug}/report")
        assert report.body == (results / "finished" / "report" / "index.html").read_bytes()
        assert len(ROWS.findall(site.get(f"/runs/{slug}/clips?mistaken=svc+under+loso").text)) > 0
        page = site.get(f"/runs/{slug}/clips/{PLAYED}").text
        assert "Drawn from what the store holds" in page
        sound = site.get(f"/runs/{slug}/media/audio-only/{PLAYED}", Range="bytes=0-99")
        assert (sound.status, sound.body) == (206, member(results, "03")[:100])
        csv = site.get(f"/runs/{slug}/predictions.csv", Range="bytes=0-6")
        assert (csv.status, csv.body) == (206, b"clip_id")
        for path in ("", "clips", "failures"):
            assert SECRET not in site.get(f"/runs/{slug}/{path}").text
        assert SECRET not in listing


def test_a_bucket_that_does_not_answer_is_said_without_its_secret(bucket):
    store, prefix = bucket
    options = {**store.options, "secret": "wrong-secret-of-mine"}
    with serving(Runs([prefix], options)) as site:
        text = site.get("/runs/").text
    assert "cannot be read" in text
    assert "wrong-secret-of-mine" not in text


@pytest.fixture
def web():
    """A server that has a recording at every address, and its list of requests."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            sound = wav(tone(0.5))
            self.send_response(200)
            self.send_header("Content-Length", str(len(sound)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(sound)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join(30)


@pytest.mark.parametrize(
    "kind",
    ["this machine", "by name", "manifest", "web", "manifest of zips", "folder of manifests"],
)
def test_a_record_in_a_bucket_leads_to_no_files_of_the_server_and_to_no_other_server(
    results, tmp_path, monkeypatch, kind, web
):
    address, asked = web
    import fsspec

    media = tmp_path / "media"
    media.mkdir()
    (media / f"03-{PLAYED}.wav").write_bytes(wav(tone(0.5)))
    monkeypatch.chdir(media)
    place = f"memory://{uuid.uuid4().hex}"
    fs = fsspec.filesystem("memory")
    shutil.copytree(results / "finished", tmp_path / "copy", ignore=shutil.ignore_patterns("media"))
    put(fs, tmp_path / "copy", f"{place}/run")
    named = f"{media}/03-{PLAYED}.wav"
    if kind.endswith(("zips", "manifests")):
        named = f"zip://03-{PLAYED}.wav::{address}/x.zip"
    line = f"{named},{PLAYED},1,neutral"
    fs.pipe_file(f"{place}/run/list.csv", f"path,clip_id,actor,emotion\n{line}\n".encode())
    source = {
        "this machine": f"file://{media}",
        "by name": f"03-{PLAYED}.wav",
        "manifest": f"{place}/run/list.csv",
        "web": f"{address}/03-{PLAYED}.wav",
        "manifest of zips": f"{place}/run/list.csv",
        "folder of manifests": f"{place}/run",
    }[kind]
    record = json.loads((results / "finished" / "run.json").read_text())
    fs.pipe_file(f"{place}/run/run.json", json.dumps({**record, "sources": [source]}).encode())
    with serving(Runs([place])) as site:
        slug = slug_of(Folder.at(f"{place}/run"))
        page = site.get(f"/runs/{slug}/clips/{PLAYED}").text
        assert "It cannot be played" in page
        assert site.get(f"/runs/{slug}/media/audio-only/{PLAYED}").status == 404
    assert asked == []
    # What the server itself is told is another matter.
    with serving(Runs([place], sources=[str(media / f"03-{PLAYED}.wav")])) as site:
        assert site.get(f"/runs/{slug}/media/audio-only/{PLAYED}").status == 200


@pytest.mark.parametrize(
    ("address", "run", "same"),
    [
        ("abfs://media/x.wav", "abfs://results/run", True),
        ("az://media/x.wav", "abfs://results/run", True),
        ("abfs://media@other.dfs.core.windows.net/x.wav", "abfs://results/run", False),
        ("az://other.blob.core.windows.net/media/x.wav", "abfs://results/run", False),
        ("s3://media/x.wav", "s3://results/run", True),
        ("s3://media/x.wav", "gs://results/run", False),
        ("sftp://other/x.wav", "sftp://lab/run", False),
        ("sftp://lab/x.wav", "sftp://lab/run", True),
        ("s3::https://other/x.wav", "s3://results/run", False),
        ("/etc/x.wav", "s3://results/run", False),
    ],
)
def test_storage_is_the_same_where_its_account_is(address, run, same):
    assert beside(address, run) is same
