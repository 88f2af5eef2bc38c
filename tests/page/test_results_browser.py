"""The pages of results as people meet them, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.page.results_server import FAILED, PLAYED

WAIT = 60_000
PAGES = {
    "list": "/runs/",
    "run": "/runs/{run}/",
    "compare": "/runs/compare?a={run}/logistic&b={run}/svc&protocol=loso",
    "refused": "/runs/compare?a={hand}/mlp&b={others}/mlp&protocol=loso",
    "clips": "/runs/{run}/clips?mistaken=svc+under+loso",
    "clip": "/runs/{run}/clips/" + PLAYED,
    "failures": "/runs/{run}/failures",
    "problem": "/runs/none/",
}

PLAYED_AND_SOUGHT = """async (one) => {
  const happens = (name) => new Promise((done) => one.addEventListener(name, done, {once: true}));
  one.muted = true;
  await one.play();
  while (one.currentTime <= 0.2) await happens("timeupdate");
  const played = one.currentTime;
  one.pause();
  one.currentTime = one.duration - 0.1;
  await happens("seeked");
  return {played, sought: one.currentTime, duration: one.duration};
}"""


@pytest.fixture(params=[(1280, "light")])
def page(browser: Any, site: Any, request: Any) -> Iterator[Any]:
    """The list; the test fails on errors and on requests beyond this machine."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    beyond: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda asked: beyond.append(asked.url) if _outside(asked.url) else 0)
    page.goto(f"{site.address}/runs/")
    yield page
    context.close()
    refused = ("404", "Blocked script execution")  # of pages that are not there, and hostile ones
    assert [error for error in errors if not any(word in error for word in refused)] == []
    assert not beyond


def _outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1"


def test_a_walk_from_the_list_to_a_clip_that_plays_and_to_failures(page: Any, site: Any) -> None:
    page.get_by_role("link", name="finished", exact=True).click()
    page.get_by_role("link", name="Open the report").click()
    page.get_by_role("heading", name="Protocols", exact=True).wait_for()
    page.go_back()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_label("Second").select_option(label="svc of finished")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="of finished and svc of finished").wait_for()
    page.get_by_role("link", name="Results", exact=True).click()
    page.get_by_role("link", name="finished", exact=True).click()
    page.get_by_role("link", name="Browse clips").click()
    page.get_by_label("Actor").select_option("1")
    page.get_by_label("Emotion").select_option("neutral")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=PLAYED).click()
    for media in ("video", "audio"):
        end = page.locator(media).first.evaluate(PLAYED_AND_SOUGHT)
        assert end["played"] > 0.2
        # To seek needs ranges.
        assert abs(end["duration"] - 0.1 - end["sought"]) < 0.05
    page.get_by_role("navigation", name="Where this page is").get_by_role(
        "link", name="finished"
    ).click()
    page.get_by_role("link", name="Failures").click()
    page.get_by_role("link", name=FAILED).click()
    page.get_by_text("Its extraction failed").wait_for()


def test_other_clips_can_be_left_out_with_a_click(page: Any, site: Any) -> None:
    page.goto(site.address + _path("refused", site))
    page.get_by_role("alert").get_by_role("link").click()
    page.get_by_text("on 80 clips of 5 actors").wait_for()
    assert page.get_by_label("only clips that both have").is_checked()


def test_a_hostile_report_runs_nothing(page: Any, site: Any) -> None:
    page.goto(f"{site.address}/runs/{site.slug(chr(60) + 'b>hostile&' + chr(39))}/report")
    page.get_by_text("hello").wait_for()
    assert page.title() == ""


def test_the_first_press_of_tab_offers_to_skip_to_the_content(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize(
    "page",
    [(width, scheme) for width in (1280, 360) for scheme in ("light", "dark")],
    indirect=True,
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def test_people_of_all_screens_and_aids_can_read_them(page: Any, site: Any, request: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    width, scheme = request.node.callspec.params["page"]
    folder = os.environ.get("EMODASK_SCREENSHOTS")
    for name in PAGES:
        page.goto(site.address + _path(name, site))
        if folder:
            page.screenshot(path=f"{folder}/results-{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = [
            (name, fault["id"], str(node["target"][-1]))
            for fault in axe.run(page).response["violations"]
            if fault["impact"] in ("serious", "critical", "moderate")
            for node in fault["nodes"]
        ]
        assert found == []


def _path(name: str, site: Any) -> str:
    return PAGES[name].format(
        run=site.slug("finished"), hand=site.slug("by-hand"), others=site.slug("others")
    )
