"""Timelines as CSV: a row for each window, and one for each recording as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from emodask.prediction.recording import Timeline


def timelines_csv(timelines: Sequence[Timeline]) -> str:
    """One row a window (``part`` is ``step``), then one for the whole recording (``whole``).

    Columns are ``clip``, ``part``, ``start``, ``end`` (seconds), the two most likely emotions with
    their probabilities, the probability of each emotion, and ``reason``: why there are none.
    """
    names = list(
        dict.fromkeys(
            name
            for timeline in timelines
            for step in timeline.judged[:1]
            for name in step.probabilities
        )
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    top_two = ["first", "first_probability", "second", "second_probability"]
    writer.writerow(["clip", "part", "start", "end", *top_two, *names, "reason"])

    def write(
        timeline: Timeline,
        part: str,
        span: tuple[float, float],
        ranked: list[tuple[str, float]],
        reason: str,
    ) -> None:
        best = [cell for name, chance in ranked[:2] for cell in (name, f"{chance:.6f}")]
        chances = dict(ranked)
        writer.writerow(
            [
                timeline.clip,
                part,
                *(f"{seconds:.3f}" for seconds in span),
                *(best or [""] * 4),
                *(f"{chances[name]:.6f}" if name in chances else "" for name in names),
                reason,
            ]
        )

    for timeline in timelines:
        for step in timeline.steps:
            write(timeline, "step", (step.start, step.end), step.ranked, step.reason)
        write(timeline, "whole", (0.0, timeline.seconds), timeline.ranked, timeline.error)
    return text.getvalue()
