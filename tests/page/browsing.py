"""The page on loopback before a judge of known verdicts, and Chromium with a pretended camera."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emodask.page.settings import PageSettings
from emodask.sources.synth import synthesize
from tests.page.app_server import running
from tests.page.pretend_judge import SETTINGS, PretendJudge

CHROMIUM = "/usr/bin/chromium"


def _missing(message: str) -> None:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that speaks for some 4 s."""
    folder = tmp_path_factory.mktemp("clip")
    (archive,) = synthesize(
        folder, actors=1, clips=1, size=(320, 180), seconds=4.0, workers=1, modalities=("full-av",)
    )
    with zipfile.ZipFile(archive) as members:
        return Path(members.extract(members.namelist()[0], folder))


@pytest.fixture(scope="session")
def spoken(clip: Path) -> Path:
    """The voice of the clip."""
    return _converted(clip, "voice.wav", "-vn", "-ar", "48000", "-ac", "1")


@contextmanager
def serving_page(judge: Any, settings: PageSettings) -> Iterator[str]:
    """The whole application on a free port; gives the page's address."""
    pytest.importorskip("gradio")
    from emodask.page.server import make_app

    with running(make_app(judge, settings)) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Of a page whose judge pretends."""
    with serving_page(PretendJudge(), SETTINGS) as where:
        yield where


@pytest.fixture(scope="module")
def browser(clip: Path, spoken: Path) -> Iterator[Any]:
    """Headless Chromium; its camera shows the clip, its microphone hears the voice.

    Until it ends, Playwright's event loop runs in this thread, and tests of other modules could run
    none of their own.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        _missing(f"no {CHROMIUM}")
    camera = _converted(clip, "camera.y4m", "-an", "-vf", "fps=15", "-pix_fmt", "yuv420p")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={spoken}",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


def _converted(clip: Path, name: str, *options: str) -> Path:
    ffmpeg = shutil.which("ffmpeg")
    if not ffmpeg:
        _missing("no ffmpeg")
    target = clip.with_name(name)
    command = [str(ffmpeg), "-v", "error", "-y", "-i", str(clip), *options, str(target)]
    subprocess.run(command, check=True, timeout=120)
    return target
