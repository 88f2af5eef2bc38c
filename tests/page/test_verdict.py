"""Promises of the verdict as HTML: every moment has its window, and no name is obeyed."""

from __future__ import annotations

import html
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.page.judges.judgement import Judgement, Problem
from emodask.page.judging.verdict import Player, opening_html, stretches, verdict_html
from emodask.page.settings import PageSettings
from tests.page.pretend_judge import CARD, verdict

HOSTILE = "</script><img src=x onerror=alert(1)> {{7*7}} ${8*8} `9`\" '.mp4"
PLAYER = Player("gradio_api/file=clip.mp4", "video")


def step(start, end, **chances):
    return {"start": start, "end": end, "probabilities": chances, "reason": None}


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=20, unique=True),
    st.floats(0.5, 5),
    st.floats(0, 3),
)
def test_stretches_follow_each_other_from_the_beginning_to_the_end(starts, window, rest):
    steps = tuple(step(start, start + window, sad=1.0) for start in sorted(starts))
    seconds = steps[-1]["end"] + rest
    found = stretches(Judgement("a", seconds=seconds, steps=steps))
    assert (found[0].start, found[-1].end) == (0, seconds)
    assert all(left.end == right.start for left, right in itertools.pairwise(found))
    assert len(found) == len(steps)


def test_each_moment_belongs_to_the_window_whose_middle_is_the_nearest():
    steps = (step(0, 2, sad=0.9, calm=0.1), step(1, 3, calm=1.0), step(4, 6))
    first, second, third = stretches(Judgement("a", seconds=6.0, steps=steps))
    assert (first.end, second.end, third.end) == (1.5, 3.5, 6.0)
    assert first.ranked == (("sad", 0.9), ("calm", 0.1))
    assert first.shares == (("sad", 0.0, 0.9), ("calm", 0.9, 0.1))
    assert third.words == "not judged: no reason given"


def test_a_recording_without_windows_has_no_timeline():
    assert stretches(Judgement("a", problem=Problem("too-short", "Too short."))) == ()


@pytest.mark.parametrize("sign", ["<img src=x", "{{", "${", "`"])
def test_names_notes_and_reasons_are_shown_and_never_obeyed(sign):
    judged = verdict(HOSTILE, 6.0)
    steps = tuple({**one, "probabilities": {}, "reason": HOSTILE} for one in judged.steps)
    card = replace_all(CARD, HOSTILE)
    judged = replace(judged, notes=(HOSTILE,), steps=steps, trust=HOSTILE)
    text = verdict_html(judged, Player(HOSTILE, "video"), [card])
    refused = verdict_html(Judgement(HOSTILE, problem=Problem("failed", HOSTILE)), PLAYER, [CARD])
    for page in (text, refused):
        assert sign not in page
        assert html.escape(HOSTILE[:8]) in page


def replace_all(card, text):
    """A card that says the same everywhere."""
    return type(card)(**{**vars(card), "figure": text, "warning": text, "trained_on": text})


@pytest.mark.parametrize(
    ("host", "said"),
    [("127.0.0.1", "Nothing leaves this machine"), ("0.0.0.0", "judged on this server")],
)
def test_the_page_says_where_recordings_go(host, said):
    settings = PageSettings(host, max_upload=3 << 20, max_seconds=90)
    text = opening_html([CARD], settings)
    assert said in text
    assert "Up to 1:30 min and 3 MiB" in text
