"""The promise that no credential reaches an output: a secret is planted, and searched for."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from emodask.batches import plan_batches
from emodask.display.log_lines import JsonFormatter
from emodask.errors import EmodaskError
from emodask.scrubbing import scrub
from emodask.sources import retry
from emodask.sources.catalogue import Clip, MediaFile, scan
from emodask.sources.location import Location
from emodask.store import StoreAddress, describe
from tests.cluster.processes import address, scheduler, worker
from tests.media_files import tone, wav, zip_of
from tests.servers.processes import free_port

SECRET = "pl4ntedQ7zXw9vK3"
FORMS = [SECRET, base64.b64encode(f"user:{SECRET}".encode()).decode()]
OPTIONS = {"key": SECRET, "secret": SECRET, "token": SECRET}
NAME = "Actor_01/03-01-{:02d}-01-01-01-01.wav"
JOB = (
    'name = "spline"\n[data]\nbatch = 2\n[features.spline]\nknots = 6\n[models.svc]\nkind = "svc"\n'
)
EVERYWHERE = {
    "AWS_ACCESS_KEY_ID": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SECRET,
    "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=x;AccountKey={SECRET}",
    "EMODASK_ZENODO_TOKEN": SECRET,
    "EMODASK_DEBUG": "1",
}


class _Server(http.server.BaseHTTPRequestHandler):
    """Files for those who know the secret; 403, 404 and broken answers for those who ask."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        parts = urlsplit(self.path)
        path = self.folder / parts.path.lstrip("/")
        if parts.path.startswith("/forbidden") or SECRET not in self.path:
            return self._send(403, SECRET.encode(), body)
        if parts.path.startswith("/failing"):
            return self._send(500, SECRET.encode(), body)
        if not path.is_file():
            return self._send(404, self.path.encode(), body)
        data = path.read_bytes()
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            start, _, end = wanted[6:].partition("-")
            first = int(start) if start else len(data) - int(end)
            last = min(int(end), len(data) - 1) if end and start else len(data) - 1
            extra = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            return self._send(206, data[first : last + 1], body, extra)
        return self._send(200, data, body)

    def _send(
        self, status: int, data: bytes, body: bool, extra: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(data)), "Accept-Ranges": "bytes", **(extra or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: what the server logs is not what is tested."""


@dataclass(frozen=True)
class Site:
    """The server's folder, and addresses with the secret as user information and in the query."""

    folder: Path
    port: int

    def url(self, path: str) -> str:
        return f"http://user:{SECRET}@127.0.0.1:{self.port}/{path}?token={SECRET}&X-Sig={SECRET}"


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    wavs = {NAME.format(i): wav(tone(pitch=150 + 10 * i)) for i in range(1, 4)}
    good = {
        name.replace("-01.wav", f"-0{a}.wav"): data for name, data in wavs.items() for a in "12"
    }
    zip_of(folder / "good.zip", good)
    zip_of(folder / "corrupt.zip", {**wavs, NAME.format(6): b"RIFF, but not for long"})
    (folder / "broken.zip").write_bytes((folder / "good.zip").read_bytes()[:-30])
    handler = type("Server", (_Server,), {"folder": folder})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(folder, server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def place(tmp_path) -> Path:
    """Where commands run and write: all that is searched."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "job.toml").write_text(JOB)
    return folder


def emodask(place: Path, name: str, *arguments: object, **environment: str) -> int:
    """Run a command with secrets all around it; what it prints becomes a file to be searched."""
    with (place / f"{name}.out").open("wb") as out, (place / f"{name}.err").open("wb") as err:
        return subprocess.run(
            [sys.executable, "-m", "emodask", *map(str, arguments)],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **EVERYWHERE, **environment},
            timeout=240,
        ).returncode


def found(place: Path, ignoring: tuple[str, ...] = ()) -> list[str]:
    """Files below a folder that hold the secret in any form, in their bytes or their names."""
    leaks = []
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.name not in ignoring:
            data = str(path.relative_to(place)).encode() + path.read_bytes()
            for form in FORMS:
                at = data.find(form.encode())
                if at >= 0:
                    leaks.append(f"{path.relative_to(place)}: {data[max(0, at - 200) : at + 40]!r}")
    return leaks


def options(**given: object) -> list[str]:
    return [w for key, value in given.items() for w in ("--storage-option", f"{key}={value}")]


def test_a_run_over_http_with_worker_processes_writes_no_secret(site, place):
    run = ("run", "job.toml", "--out", "out", "--workers", 1)
    assert emodask(place, "run", *run, "-s", site.url("good.zip"), "--log-json") in (0, 1)
    assert (
        emodask(
            place, "corrupt", *run[:3], "o2", "--scheduler", "sync", "-s", site.url("corrupt.zip")
        )
        == 1
    )
    for name in ("info", "verify"):
        for form in ((), ("--json",)):
            emodask(place, f"{name}{len(form)}", name, "o2/store.zarr", *form)
    assert emodask(place, "scan", "scan", site.url("good.zip"), "--json") == 0
    assert json.loads((place / "scan.out").read_text())["clips"]
    assert (place / "out" / "run.json").is_file()
    assert emodask(place, "predict", "predict", "out/bundle", site.url("good.zip")) == 0
    assert found(place) == []


FAILURES = {
    "absent": "absent.zip",
    "forbidden": "forbidden.zip",
    "failing": "failing.zip",
    "broken": "broken.zip",
    "glob": "*.zip",
}


@pytest.mark.parametrize("log", [(), ("--log-json",)])
def test_sources_that_fail_are_named_without_their_secrets(site, place, log, monkeypatch):
    manifest = place.parent / "manifest.csv"
    rows = [f"{site.url(f'absent{i}.wav')},1,{e}" for i, e in enumerate(("happy", "sad"))]
    manifest.write_text("\n".join(["path,actor,emotion", *rows]) + "\n")
    port = free_port()
    sources = {name: site.url(path) for name, path in FAILURES.items()}
    sources |= {
        "refused": f"http://user:{SECRET}@127.0.0.1:{port}/a.zip?token={SECRET}",
        "manifest": str(manifest),
        "unknown": f"nosuch://user:{SECRET}@host/a.zip?token={SECRET}",
        "s3": f"s3://bucket/a.zip?versionId={SECRET}",
    }
    # No waiting between tries, in the commands too.
    (place.parent / "sitecustomize.py").write_text(
        "import emodask.sources.retry as r\nr.FIRST_WAIT = 0.0\nr.TRIES = 2\n"
    )
    hurry = {"PYTHONPATH": str(place.parent), "AWS_MAX_ATTEMPTS": "1"}
    s3 = options(
        endpoint_url=f"http://127.0.0.1:{port}",
        key=SECRET,
        secret=SECRET,
        client_kwargs=json.dumps({"aws_session_token": SECRET}),
    )
    for name, source in sources.items():
        more = s3 if name == "s3" else []
        extract = ("extract", "job.toml", "-s", source, "--store", f"{name}.zarr", *more)
        sync = ("--scheduler", "sync", *log)
        assert emodask(place, name, *extract, *sync, "--summary", f"{name}.json", **hurry)
        said = (place / f"{name}.err").read_text() + (place / f"{name}.out").read_text()
        assert said
    assert found(place) == []


def test_stores_that_cannot_be_reached_are_named_without_their_secrets(place, site, monkeypatch):
    port = free_port()
    (place.parent / "sitecustomize.py").write_text(
        "import emodask.sources.retry as r\nr.FIRST_WAIT = 0.0\nr.TRIES = 2\n"
    )
    hurry = {"PYTHONPATH": str(place.parent), "AWS_MAX_ATTEMPTS": "1"}
    s3 = options(endpoint_url=f"http://127.0.0.1:{port}", key=SECRET, secret=SECRET)
    # Azure's own package repeats for minutes where nobody answers: here a server says 403.
    endpoint = f"http://127.0.0.1:{site.port}/forbidden"
    az = options(connection_string=f"AccountName=x;AccountKey={SECRET};BlobEndpoint={endpoint};")
    wrong = options(key=SECRET, no_such_option=SECRET)
    for name, url, given in (
        ("s3", "s3://bucket/s.zarr", s3),
        ("az", "az://bucket/s.zarr", az),
        ("wrong", "s3://bucket/s.zarr", wrong),
    ):
        for command in ("info", "verify"):
            assert emodask(place, f"{name}-{command}", command, url, *given, **hurry)
    run = ("run", "job.toml", "-s", str(site.folder / "good.zip"), "--scheduler", "sync")
    assert emodask(place, "run", *run, "--out", "s3://bucket/out", *s3, **hurry)
    assert found(place) == []


def test_schedulers_and_workers_of_their_own_log_and_show_no_secret(site, place):
    source, store = site.url("corrupt.zip"), place / "s.zarr"
    with ExitStack() as stack:
        stack.enter_context(scheduler(place))
        where = address(place)
        stack.enter_context(worker(place, environment=EVERYWHERE))
        extract = ("extract", "job.toml", "-s", source, "--store", store, "--scheduler", where)
        assert emodask(place, "extract", *extract, "--log-json") == 1
        # A task that fails itself, so that Dask logs and shows what it was given.
        from distributed import Client

        from emodask.batches import process_batch
        from emodask.cluster import Tasks
        from emodask.job import load_job

        job = load_job(place / "job.toml")
        clips = scan(source).clips
        batches = list(plan_batches(clips, np.ones(len(clips), bool), 2))
        lost = StoreAddress.of(f"http://user:{SECRET}@127.0.0.1:9/s.zarr?token={SECRET}", OPTIONS)
        with Client(where) as client:
            for future in client.compute(
                Tasks(lambda batch: process_batch(job, lost, batch), client)._parts(batches[:1])
            ):
                error = future.exception()
                assert isinstance(error, EmodaskError)

            def shown(dask_scheduler) -> str:
                tasks = dask_scheduler.tasks.values()
                states = [f"{task!r} {task.key} {task.group} {task.prefix}" for task in tasks]
                logs = [
                    str(event)
                    for log in dask_scheduler._broker._topics.values()
                    for event in getattr(log, "events", ())
                ]
                return "\n".join([*states, *logs, *map(str, dask_scheduler.transition_log)])

            (place / "scheduler.txt").write_text(client.run_on_scheduler(shown))
            (place / "logs.txt").write_text(
                f"{client.get_scheduler_logs()} {client.get_worker_logs()}"
            )
    assert found(place) == []


def test_what_is_printed_of_objects_shows_no_secret(site):
    url = site.url("good.zip")
    where = Location(url, tuple(OPTIONS.items()))
    catalogue = scan(url)
    clips = catalogue.clips
    batches = list(plan_batches(clips, np.ones(len(clips), bool), 2))
    store = StoreAddress.of(f"s3://user:{SECRET}@bucket/s?token={SECRET}", OPTIONS)
    file = MediaFile("full-av", where)
    things = [where, store, file, Clip("a", 1, 1, media=(file,)), catalogue, *clips, *batches]
    things += [part for clip in clips for part in clip.media]
    things += [part.where for clip in clips for part in clip.media]
    for thing in things:
        for text in (repr(thing), str(thing), f"{thing}"):
            assert not any(form in text for form in FORMS), text
    assert not any(form in repr(scan(site.url("absent.zip"))) for form in FORMS)
    with pytest.raises(EmodaskError) as failure:
        Location(site.url("absent.zip")).read()
    assert not any(form in f"{failure.value!r} {failure.value}" for form in FORMS)


@pytest.mark.parametrize(
    "text",
    [
        f"404, message='Not Found', url='http://user:{SECRET}@h/a.zip?token={SECRET}'",
        f"Cannot connect to https://h/a?sv=1&sig={SECRET} now",
        f"{{'key': 1, 'secret': '{SECRET}', \"token\": \"{SECRET}\"}}",
        f"Authorization: Basic {FORMS[1]}",
        f"Authorization: Bearer {SECRET}",
        f"AccountName=x;AccountKey={SECRET};EndpointSuffix=y",
        f"aws_secret_access_key={SECRET} AWS_SESSION_TOKEN={SECRET}",
        f"GET /a.zip?token={SECRET} HTTP/1.1",
    ],
)
def test_what_others_wrote_is_scrubbed_before_it_is_logged(text):
    import logging

    record = logging.makeLogRecord({"msg": text, "fields": {"why": text}, "event": "x"})
    for clean in (scrub(text), JsonFormatter().format(record)):
        assert not any(form in clean for form in FORMS), clean


def test_the_traceback_of_an_unexpected_error_is_shown_without_secrets(place):
    (place.parent / "sitecustomize.py").write_text(
        "import emodask.job_files as j\n"
        "def broken():\n"
        f"    raise RuntimeError('https://me:{SECRET}@host/x?token={SECRET} broke')\n"
        "j.shipped_jobs = broken\n"
    )
    assert emodask(place, "jobs", "jobs", PYTHONPATH=str(place.parent)) == 1
    said = (place / "jobs.err").read_text()
    assert "in broken" in said
    assert "RuntimeError: https://host/x broke" in said
    assert found(place) == []


@pytest.mark.parametrize("path", ["absent.zip", "forbidden.zip", "failing.zip"])
def test_tracebacks_of_what_servers_refuse_show_no_secret(site, path, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)
    where = Location(site.url(path))
    for attempt in (where.read, where.size, lambda: describe(where.url)):
        with pytest.raises(EmodaskError) as failure:
            attempt()
        trace = "".join(traceback.format_exception(failure.value))
        assert not any(form in trace for form in FORMS), trace
