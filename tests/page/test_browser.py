"""The page as people meet it, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from emodask.page.settings import PageSettings
from tests.page.browsing import serving_page
from tests.page.pretend_judge import NAMES, PROBLEMS, SETTINGS, PretendJudge
from tests.page.test_judge import wait_until

WAIT = 60_000

# Gradio's own, which a page cannot mend; none is known in what emodask draws.
GRADIO_FAULTS: set[tuple[str, str]] = set()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page opened at 1280 px, light; fails on errors and on requests beyond this machine."""
    yield from _opened(browser, address, 1280, "light")


def _opened(browser: Any, address: str, width: int, scheme: str) -> Iterator[Any]:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        permissions=["camera", "microphone"],
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    beyond: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: beyond.append(request.url) if _outside(request.url) else 0)
    page.goto(address)
    page.locator("#clip").wait_for()
    yield page
    context.close()
    assert not errors
    assert not beyond


def _outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1"


def _judge(page: Any, file: Path) -> None:
    page.locator("#clip input[type=file]").set_input_files(file)
    page.locator("#clip video").wait_for()
    page.get_by_role("button", name="Judge this clip").click()
    page.locator(".verdict").wait_for()


def _download(page: Any, name: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=name).click()
    return Path(waiting.value.path()).read_text(encoding="utf-8")


def test_an_uploaded_clip_gets_a_verdict_to_seek_in_and_to_download(page: Any, clip: Path) -> None:
    _judge(page, clip)
    top = page.locator(".top-two li").all_inner_texts()
    assert ["sad" in top[0], "54%" in top[0], "calm" in top[1], "16%" in top[1]] == [True] * 4
    assert page.evaluate("document.activeElement.id") == "emodask-verdict-heading"

    page.wait_for_function("document.querySelector('.verdict video').readyState > 0")
    slider = page.get_by_role("slider", name="Place in the recording")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    time = "document.querySelector('.verdict video').currentTime"
    page.wait_for_function(f"Math.abs({time} - 1.5) < 0.1")
    page.keyboard.press("End")
    assert "not judged: silence" in slider.get_attribute("aria-valuetext")
    box = slider.bounding_box()
    slider.click(position={"x": box["width"] / 2, "y": 20})
    end = float(slider.get_attribute("aria-valuemax"))
    page.wait_for_function(f"Math.abs({time} - {end / 2}) < 0.1")

    result = json.loads(_download(page, "Download as JSON"))
    assert (result["emotion"], result["name"]) == ("sad", clip.name)
    rows = list(csv.DictReader(io.StringIO(_download(page, "Download as CSV"))))
    assert [row["emotion"] for row in rows] == ["sad", "sad", ""]
    assert set(NAMES) <= set(rows[0])


def test_the_cursor_follows_the_player(page: Any, clip: Path) -> None:
    _judge(page, clip)
    page.evaluate(
        "const player = document.querySelector('.verdict video');player.muted = true; player.play()"
    )
    page.wait_for_function(
        "Number(document.querySelector('.timeline').getAttribute('aria-valuenow')) > 0.3"
    )


def record(page: Any) -> None:
    """Record three seconds of camera and microphone."""
    page.locator("#clip").get_by_role("button", name="Capture from camera").click()
    page.locator("#clip").get_by_text("Click to Access Webcam").click()
    # Gradio shows its button before the camera has given it anything to record.
    page.wait_for_function("document.querySelector('#clip video')?.srcObject?.active")
    page.locator("#clip").get_by_role("button", name="start recording").click()
    page.wait_for_timeout(3000)
    page.locator("#clip").get_by_role("button", name="stop recording").click()
    page.locator("#clip video[src]").wait_for()


def test_a_recording_of_camera_and_microphone_is_judged_with_both(page: Any) -> None:
    record(page)
    page.get_by_role("button", name="Judge this clip").click()
    page.locator(".top-two").wait_for()
    assert json.loads(_download(page, "Download as JSON"))["modalities"] == ["face", "voice"]


def test_a_real_bundle_judges_what_camera_and_microphone_recorded(browser: Any, judge: Any) -> None:
    with serving_page(judge, PageSettings(max_seconds=10)) as address:
        opened = _opened(browser, address, 1280, "light")
        page = next(opened)
        record(page)
        page.get_by_role("button", name="Judge this clip").click()
        page.locator(".top-two").wait_for()
        result = json.loads(_download(page, "Download as JSON"))
        assert (result["bundle"], result["modalities"]) == ("small: logistic", ["video", "audio"])
        assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert 2 < result["seconds"] < 6
        assert result["steps"]
        assert page.locator(".pictures img").count() == 2
        assert list(opened) == []


def test_sound_alone_has_a_tab_and_a_player_of_its_own(page: Any, spoken: Path) -> None:
    page.get_by_role("tab", name="Sound only").click()
    page.locator("#sound input[type=file]").set_input_files(spoken)
    page.locator("#sound [data-testid^=waveform], #sound audio").first.wait_for(state="attached")
    page.get_by_role("button", name="Judge this sound").click()
    page.locator(".top-two").wait_for()
    page.wait_for_function("document.querySelector('.verdict audio').readyState > 0")
    assert json.loads(_download(page, "Download as JSON"))["modalities"] == ["voice"]


def test_a_clip_is_uploaded_judged_and_sought_in_with_the_keyboard_alone(
    page: Any, clip: Path
) -> None:
    def reach(what: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches('{what}')"):
                return
        raise AssertionError(f"{what} cannot be reached with the tabulator")

    reach('[aria-label*="upload" i], [aria-label*="Drop" i], #clip button')
    chosen: list[Any] = []
    page.on("filechooser", lambda chooser: chosen.append(chooser))
    for _ in range(60):  # Gradio listens to keys some time after it has drawn its buttons
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        if chosen:
            break
    chosen[0].set_files(clip)
    page.locator("#clip video").wait_for()
    reach(".judge-button")
    page.keyboard.press("Enter")
    page.locator(".top-two").wait_for()
    reach(".timeline")
    page.keyboard.press("End")
    assert "not judged" in page.locator(".now-words").inner_text()
    reach("summary")
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1
    reach(".downloads a")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_a_file_over_the_limit_is_refused_in_words(page: Any, clip: Path, tmp_path: Path) -> None:
    file = tmp_path / "long.mp4"
    file.write_bytes(clip.read_bytes() + bytes(SETTINGS.max_upload))
    page.locator("#clip input[type=file]").set_input_files(file)
    said = page.locator(".toast-wrap, [data-testid=toast-body]").first
    said.wait_for()
    assert "20" in said.inner_text()
    assert page.locator("#clip video").count() == 0


def test_a_recording_is_deleted_when_another_comes_or_its_page_is_left(
    browser: Any, clip: Path, spoken: Path, tmp_path: Path
) -> None:
    with serving_page(PretendJudge(), SETTINGS) as address:
        folder = Path(os.environ["GRADIO_TEMP_DIR"]) / "page"

        def kept() -> list[str]:
            return sorted(path.name for path in folder.rglob("*.*"))

        opened = _opened(browser, address, 390, "light")
        page = next(opened)
        _judge(page, clip)
        page.get_by_role("tab", name="Sound only").click()
        page.locator("#sound input[type=file]").set_input_files(spoken)
        page.get_by_role("button", name="Judge this sound").click()
        page.locator(".verdict audio").wait_for()
        page.get_by_role("tab", name="Video").click()
        page.get_by_role("button", name="Judge this clip").click()
        page.locator(".verdict video").wait_for()
        assert kept() == sorted([clip.name, spoken.name])
        page.locator("#clip").get_by_role("button", name="Clear").click()
        wait_until(lambda: kept() == [spoken.name])
        other = tmp_path / "other.mp4"
        other.write_bytes(clip.read_bytes())
        page.locator("#clip input[type=file]").set_input_files(other)
        wait_until(lambda: kept() == sorted([other.name, spoken.name]))
        page.get_by_role("button", name="Judge this clip").click()
        page.locator(".verdict video").wait_for()
        assert list(opened) == []
        wait_until(lambda: kept() == [])
        assert not list(folder.iterdir())


@pytest.mark.parametrize("code", ["not-media", *PROBLEMS])
def test_the_page_says_in_words_why_there_is_no_verdict(
    page: Any, clip: Path, tmp_path: Path, code: str
) -> None:
    file = tmp_path / f"{code}.mp4"
    file.write_bytes(b"no film" if code == "not-media" else clip.read_bytes())
    _judge(page, file)
    expected = PROBLEMS.get(code, "no video or sound file that can be read")
    assert expected in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 360])
def test_people_of_all_screens_and_aids_can_read_it(
    browser: Any, address: str, clip: Path, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    opened = _opened(browser, address, width, scheme)
    page = next(opened)
    _judge(page, clip)
    page.get_by_text("The timeline as a table").click()
    page.evaluate("document.activeElement.blur()")
    folder = os.environ.get("EMODASK_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/page-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = {
        (fault["id"], str(node["target"][-1]))
        for fault in axe.run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    }
    assert found <= GRADIO_FAULTS
    assert list(opened) == []
