"""Words and numbers as lines show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emodask.memory import MemoryPlan, Workers


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def plan_line(plan: MemoryPlan, workers: Workers) -> str:
    """The plan of a worker's memory in a line."""
    from emodask.memory import bytes_text

    limit = f"limit {bytes_text(workers.limit)}" if workers.limit else "no limit"
    who = "a worker" if plan.isolated else "in this process"
    return (
        f"memory plan: {bytes_text(plan.peak)} {who} at batches of {plan.batch} ({limit}), "
        f"for clips of {plan.clip}"
    )
