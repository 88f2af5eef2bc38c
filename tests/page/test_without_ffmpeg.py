"""Promise of the page to machines without an ffmpeg program: it needs none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.page.test_browser import _judge, page, record  # noqa: F401  a fixture


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is on PATH; the browser runs already, and the page in this process."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("ffmpeg") is None


@pytest.fixture(scope="session")
def endings(recorded: Path, clip: Path) -> dict[str, Path]:
    """A clip as phones and browsers make it, and a voice of each of two kinds."""
    return {"mp4": clip, "webm": recorded / "vp8.webm", "wav": recorded / "voice.wav"}


def _modalities(page: Any) -> int:  # noqa: F811
    page.locator(".top-two").wait_for()
    return page.locator(".pictures img").count()


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_an_uploaded_clip_is_judged_with_its_sound(
    page: Any,  # noqa: F811
    endings: dict[str, Path],
    no_ffmpeg: None,
    kind: str,
) -> None:
    _judge(page, endings[kind])
    assert _modalities(page) == 2


def test_a_clip_of_the_camera_is_judged_with_its_sound(page: Any, no_ffmpeg: None) -> None:  # noqa: F811
    record(page)
    page.get_by_role("button", name="Judge this clip").click()
    assert _modalities(page) == 2


def test_a_voice_is_judged(page: Any, endings: dict[str, Path], no_ffmpeg: None) -> None:  # noqa: F811
    page.get_by_role("tab", name="Sound only").click()
    page.locator("#sound input[type=file]").set_input_files(endings["wav"])
    page.get_by_role("button", name="Judge this sound").click()
    assert _modalities(page) == 1
