"""Promises of what people see: progress with rate and time left, in a terminal and without one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from emodask.display import Reporter, pace, progress, show_summary
from emodask.display.pace import Pace
from emodask.evaluation.folds import EvaluationProgress
from emodask.extraction import ExtractSummary, Progress


@pytest.fixture
def clock(stop_clock):
    return stop_clock(progress, pace)


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


def told(clock: list[float], news: list[tuple[float, int]], total: int) -> list[float | None]:
    """What is left after each news of a moment and a count."""
    began, found, left = clock[0], Pace(), []
    for moment, done in news:
        clock[0] = began + moment
        left.append(found.take(done).left(total))
    return left


def test_a_slow_first_batch_does_not_spoil_what_is_said_to_be_left(clock):
    news = [(0, 0), (60, 10), (70, 20), (80, 30), (90, 40), (100, 100)]
    assert told(clock, news, 100) == [None, None, None, None, 60.0, None]


def test_what_is_left_follows_a_job_that_slows_down(clock):
    fast = [(second, second) for second in range(101)]
    slow = [(100 + 10 * batch, 100 + batch) for batch in range(1, 61)]
    assert told(clock, [*fast, *slow], 200)[-1] == pytest.approx(400)


def test_batches_that_several_workers_end_together_are_no_burst(clock):
    news = [
        (10 * turn + worker / 1000, 4 * turn - 3 + worker) for turn in (1, 2) for worker in range(4)
    ]
    assert told(clock, [(0, 0), *news], 16)[:5] == [None] * 5
    assert told(clock, [(0, 0), *news], 16)[-1] == pytest.approx(20, abs=0.1)


def test_a_count_that_begins_anew_forgets_what_was(clock):
    found = Pace()
    found.take(0)
    for _ in range(4):
        clock[0] += 1
        found.take(50)
        found.take(60)
    assert found.take(0).rate is None
    clock[0] += 10
    assert found.take(1).rate == pytest.approx(0.1)
    assert found.left(10) is None


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
