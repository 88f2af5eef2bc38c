"""Promises of what people see: progress with rate and time left, in a terminal and without one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from emodask.display import Reporter, progress, show_summary
from emodask.evaluation.folds import EvaluationProgress
from emodask.extraction import ExtractSummary, Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def advance(reporter: Reporter, clock: list[float], failed=()) -> None:
    counts = {"pending": 0, "done": 0, "failed": 0, "incomplete": 0}
    with reporter.bars("extract"):
        reporter.extract(Progress(40, counts, 0, 36))
        clock[0] += 20
        reporter.extract(Progress(40, counts, 12, 36))
        clock[0] += 10
        reporter.extract(Progress(40, counts, 24, 36, failed))


def test_without_a_terminal_plain_lines_say_rate_and_time_left(clock):
    out = io.StringIO()
    advance(Reporter(Console(file=out, width=80)), clock, (("01-03-01-01-01-01", "[b] why"),))
    assert out.getvalue().splitlines() == [
        "4 of 40 clips are already in the store; 36 to do",
        "extract: 0/36, starting",
        "extract: 12/36, 0.6 clips/s",
        "failed 01-03-01-01-01-01: [b] why",
        "extract: 24/36, 1.2 clips/s, 1 failed, 0:10 left",
    ]


def test_a_long_search_says_how_many_trials_are_done_and_left(clock):
    out = io.StringIO()
    reporter = Reporter(Console(file=out, width=80))
    with reporter.bars("evaluate folds"):
        reporter.folds(EvaluationProgress("fold", 0, 24))
        reporter.folds(EvaluationProgress("fold", 0, 24, "", 0, 600))
        clock[0] += 10
        reporter.folds(EvaluationProgress("fold", 0, 24, "", 10, 600))
        clock[0] += 10
        reporter.folds(EvaluationProgress("fold", 1, 24, "", 60, 600))
    assert out.getvalue().splitlines() == [
        "evaluate folds: 0/24",
        "search parameters: 0/600, 0 of 24 folds",
        "search parameters: 10/600, 0 of 24 folds",
        "search parameters: 60/600, 1 of 24 folds, 1:48 left",
    ]


def test_in_a_terminal_a_bar_says_the_same(clock):
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    advance(Reporter(console), clock)
    assert "24/36" in out.getvalue()
    assert "1.2 clips/s, 0:10 left" in out.getvalue()


def test_many_failures_are_cut_short_but_counted():
    out = io.StringIO()
    failures = tuple((f"clip-{i}", "a.zip/x.wav: reading: why") for i in range(25))
    summary = ExtractSummary("s", 30, 2, 25, 3, 0, 30, 61.0, failures, {"video": 3})
    show_summary(Console(file=out, width=80), summary)
    text = out.getvalue()
    assert text.count("  failed clip-") == 10
    assert "and 15 more failed" in text
    assert "30 clips: 2 done, 25 failed, 3 incomplete, in 1:01" in text
    assert "3 clips came without video" in text
