"""Small bundles, a judge that holds them, and recordings."""

from __future__ import annotations

import pytest

from emodask.fitting import fit
from emodask.job import parse_job
from emodask.page.judges.judge import Judge
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav
from tests.page.browsing import address, browser, clip, spoken  # noqa: F401  fixtures
from tests.page.gated import served  # noqa: F401  fixture
from tests.page.recordings import webm
from tests.page.results_server import finished_run, results, site  # noqa: F401  fixtures


@pytest.fixture(scope="session")
def page_bundles(small_store, tmp_path_factory):
    """By name: a bundle that sees and hears, and one that hears alone."""
    folder = tmp_path_factory.mktemp("page-bundles")
    fit(parse_job(SMALL), small_store, folder / "both")
    fit(parse_job(SMALL), small_store, folder / "voice", model="svc")
    return {name: folder / name for name in ("both", "voice")}


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A folder of recordings: mp4, webm with VP8 and VP9, sound alone, video alone, silent."""
    folder = tmp_path_factory.mktemp("recorded")
    frames, sound = moving_bars(75), tone(2.5)
    files = {
        "talk.mp4": mp4(frames, sound=sound),
        "vp8.webm": webm(frames, sound),
        "vp9.webm": webm(frames, sound, "libvpx-vp9"),
        "voice.webm": webm(None, sound),
        "voice.wav": wav(sound),
        "mute.mp4": mp4(frames),
        "silent.mp4": mp4(frames, sound=0 * sound),
        "blink.mp4": mp4(frames[:1], sound=tone(0.02)),
        "broken.mp4": mp4(frames, sound=sound)[:3000],
        "text.mp4": b"I am no recording at all.\n" * 40,
        "empty.mp4": b"",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def judge(page_bundles):
    """A judge of two bundles, started; tests leave it as they find it."""
    with Judge([page_bundles["both"], page_bundles["voice"]], seconds=60, max_seconds=10) as found:
        yield found
