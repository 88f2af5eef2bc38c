"""Fixtures that several test files share: real media, and a small synthetic corpus and job."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import dask
import pytest
from hypothesis import settings

from emodask.extraction import extract
from emodask.job import Job, parse_job
from emodask.sources.synth import synthesize
from emodask.store import StoreAddress
from tests.servers.fixtures import azurite, ceph, gcs, rclone  # noqa: F401  fixtures

ROOT = Path(__file__).parent.parent

# Kernels compile in the first example: time says nothing here.
settings.register_profile("emodask", deadline=None)
settings.load_profile("emodask")


@pytest.fixture(autouse=True)
def _no_client_is_left_behind() -> Iterator[None]:
    """Fail the test that leaves a Dask client as the default: later ones would compute on it."""
    yield
    left = dask.config.get("scheduler", None)
    dask.config.set(scheduler=None)
    assert left is None, f"this test leaves scheduler={left!r} in Dask's configuration"


def pytest_unconfigure() -> None:
    """Say what holds Python up, if it does not end after the last test."""
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)


@pytest.fixture
def stop_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Stop the clock of some modules, and give what it shows, to be changed.

    Of those modules alone: event loops of servers in other threads go by the process's own clock,
    and one that saw it stopped would sleep for as long as the machine has been running.
    """

    def stop(*modules: ModuleType) -> list[float]:
        shown = [0.0]
        for module in modules:
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: shown[0]))
        return shown

    return stop


@pytest.fixture(scope="session")
def ravdess() -> Path:
    """Folder with real RAVDESS zips; skips where they are absent, fails in CI."""
    folder = ROOT / os.environ.get("EMODASK_RAVDESS", "../shared/data/ravdess")
    if not (folder / "Audio_Speech_Actors_01-14.zip").is_file():
        message = f"no RAVDESS media in {folder}; set EMODASK_RAVDESS to a folder that has them"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder.resolve()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zips of three synthetic actors, eight clips each: one of every emotion."""
    folder = tmp_path_factory.mktemp("corpus")
    synthesize(folder, actors=3, clips=8, size=(64, 36), seconds=1.0, workers=1)
    return folder


SMALL = {
    "name": "small",
    "seed": 7,
    "data": {"batch": 5},
    "features": {
        "hog3d": {"height": 36, "width": 64, "frames": 10, "cell": [6, 8, 5], "bins": 4},
        "spline": {"knots": 6},
    },
    "reductions": {
        "hog3d": {"dims": ["cell_y", "cell_x"], "ranks": [3, 3]},
        "spline": {"dims": ["basis", "feature"], "ranks": [4, 20]},
    },
    "models": {"logistic": {"kind": "logistic"}, "svc": {"kind": "svc", "features": ["spline"]}},
    "evaluation": {"protocols": ["loso", "within-actor"]},
}


@pytest.fixture(scope="session")
def small_job() -> Job:
    """Both modalities at a size that takes milliseconds a clip."""
    return parse_job(SMALL)


@pytest.fixture(scope="session")
def small_store(
    corpus: Path, small_job: Job, tmp_path_factory: pytest.TempPathFactory
) -> StoreAddress:
    """The corpus extracted under the small job, undisturbed; tests must not write to it."""
    store = tmp_path_factory.mktemp("store") / "store.zarr"
    summary = extract(small_job, f"{corpus}/*.zip", store)
    assert (summary.done, summary.total) == (24, 24), summary.failures
    return StoreAddress.of(store)
