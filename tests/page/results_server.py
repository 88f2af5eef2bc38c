"""Results to browse: a run of its own, runs made by hand, hostile ones; and a server of them."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emodask.job import parse_job
from emodask.page.results.folders import slug_of
from emodask.page.results.runs import Runs
from emodask.page.server import make_app
from emodask.page.settings import PageSettings
from emodask.pipeline import run
from emodask.sources.folder import Folder
from tests.conftest import SMALL
from tests.evaluation.fabricated import fabricated, write_run
from tests.media_files import moving_bars, mp4, zip_of
from tests.page.app_server import running

PLAYED = "01-01-01-01-01-01"
FAILED, INCOMPLETE = "01-08-01-02-02-03", "01-07-01-02-02-03"
"""A clip whose sound cannot be read, and one that has none."""
HOSTILE = '"><img src=x onerror=alert(1)>'


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


@dataclass(frozen=True)
class Site:
    """A server of results, and the folder of its runs."""

    port: int
    folder: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=given)
        answer = connection.getresponse()
        said = {name.lower(): value for name, value in answer.getheaders()}
        found = Answer(answer.status, said, answer.read())
        connection.close()
        return found

    def slug(self, name: str) -> str:
        return slug_of(Folder.at(self.folder / name))

    def of(self, name: str, path: str = "", **headers: str) -> Answer:
        """A page below that of a run."""
        return self.get(f"/runs/{self.slug(name)}/{path}", **headers)


@contextmanager
def serving(runs: Runs, folder: Path = Path(), **settings: Any) -> Iterator[Site]:
    """A server of results alone, on a free port."""
    app = make_app(None, PageSettings(**settings), runs)
    with running(app) as port:
        yield Site(port, folder)


@pytest.fixture(scope="session")
def finished_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three synthetic actors through the whole pipeline; one clip fails, one is incomplete."""
    out = tmp_path_factory.mktemp("finished") / "finished"
    media = out / "media"
    shutil.copytree(corpus, media)
    members = {
        f"Actor_03/03-{FAILED}.wav": b"no sound at all",
        f"Actor_03/02-{FAILED}.mp4": mp4(moving_bars(30)),
        f"Actor_03/02-{INCOMPLETE}.mp4": mp4(moving_bars(30)),
    }
    zip_of(media / "Further.zip", members)
    found = run(parse_job(SMALL), sorted(map(str, media.glob("*.zip"))), out, sounds=False)
    assert (found.summary.failed, found.summary.incomplete) == (1, 1), found.summary
    return out


@pytest.fixture(scope="session")
def results(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of all sorts."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(finished_run, folder / "finished")
    write_run(
        folder / "by-hand",
        {
            ("loso", "mlp"): fabricated(0.6),
            ("loso", "svm"): fabricated(0.4, seed=3),
            ("within-actor", "mlp"): fabricated(0.99, seed=1),
        },
        "by-hand",
    )
    write_run(folder / "others", {("loso", "mlp"): fabricated(0.5, n_actors=5, seed=2)}, "others")
    record = json.loads((finished_run / "run.json").read_text())
    begun = folder / "begun"
    begun.mkdir()
    record |= {"state": "running", "clips": None, "ended": None, "started": "2031-01-01T00:00:00Z"}
    (begun / "run.json").write_text(json.dumps(record))
    (folder / "damaged" / "report").mkdir(parents=True)
    (folder / "damaged" / "report" / "metrics.json").write_text("{")
    (folder / "notes").mkdir()
    hostile = write_run(
        folder / "<b>hostile&'",
        {("loso", HOSTILE): fabricated(0.5), ("within-actor", "mlp"): fabricated(0.9)},
        f"<script>alert(1)</script>{HOSTILE}",
    )
    (hostile / "report" / "index.html").write_text("<script>document.title = 'run'</script>hello")
    record |= {"state": "failed", "error": f"see {HOSTILE}", "job": {"name": HOSTILE}}
    record["failures"] = {
        "count": 7,
        "first": [{"clip": HOSTILE, "reason": f"a: reading: {HOSTILE}"}],
    }
    (hostile / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def site(results: Path) -> Iterator[Site]:
    """A server of the folder of runs."""
    with serving(Runs([str(results)]), results) as found:
        yield found
