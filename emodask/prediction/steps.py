"""How far apart the windows of a timeline begin: seconds, or video frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emodask.errors import UsageError


@dataclass(frozen=True)
class Every:
    """The distance from one window to the next: one of the two is None."""

    seconds: float | None = None
    frames: int | None = None

    def __str__(self) -> str:
        return f"{self.frames}f" if self.frames else f"{self.seconds:g}"


def parse_step(step: float | str) -> Every:
    """Read a step.

    Parameters
    ----------
    step : float or str
        Seconds, or video frames with an ``f`` behind: ``0.5``, ``"0.5"``, ``"20f"``.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> parse_step("0.5"), parse_step("20f")
    (Every(seconds=0.5, frames=None), Every(seconds=None, frames=20))
    """
    text = str(step).strip()
    try:
        if text.endswith("f"):
            found = Every(frames=int(text[:-1]))
        else:
            found = Every(seconds=float(text))
    except ValueError:
        found = Every(seconds=0.0)
    if found.frames is not None and found.frames >= 1:
        return found
    if found.seconds is not None and math.isfinite(found.seconds) and found.seconds >= 0.01:
        return found
    raise UsageError(
        f"a step of {step!r}: seconds, at least 0.01, such as 0.5, or video frames, such as 20f"
    )
