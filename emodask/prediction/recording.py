"""What a bundle says along a recording: of each window, and of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emodask.models.trust import Trust


@dataclass(frozen=True)
class Step:
    """What a bundle says of one window.

    Attributes
    ----------
    start, end : float
        Of the window, in seconds from the beginning.
    share : float
        Seconds of the recording that this window is the nearest to: those of all steps add up to
        its length.
    probabilities : dict of str to float
        By emotion, in the order of the job's classes; empty if the window could not be judged.
    reason : str
        Why, if so: silence, a track that has ended.
    """

    start: float
    end: float
    share: float
    probabilities: dict[str, float]
    reason: str = ""

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Emotions and probabilities, most likely first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        return {
            "start": self.start,
            "end": self.end,
            "top_two": dict(self.ranked[:2]),
            "probabilities": self.probabilities,
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class Timeline:
    """What a bundle says along one recording.

    Attributes
    ----------
    clip : str
        Its name.
    files : tuple of str
        What it was read from.
    seconds : float
        How long it is; where decoding broke off, if it did.
    window : float
        Seconds of a window.
    step : str
        From one window to the next: seconds, or video frames as in ``20f``.
    steps : tuple of Step
    trust : Trust or None
        What the probabilities are; None if there are none.
    error : str
        Why the recording could not be read, or not to its end; then it has no verdict.
    """

    clip: str
    files: tuple[str, ...]
    seconds: float
    window: float
    step: str
    steps: tuple[Step, ...]
    trust: Trust | None
    error: str = ""

    @property
    def judged(self) -> tuple[Step, ...]:
        """The steps that have a verdict."""
        return tuple(step for step in self.steps if step.probabilities)

    @property
    def probabilities(self) -> dict[str, float]:
        """The combined verdict: the mean of the steps' probabilities, each by its share of time.

        That is the chance of each emotion at a moment picked at random. The windows overlap, so
        they are no independent witnesses, whose probabilities one would multiply: that would be
        far too sure, and let a single window rule an emotion out for the whole recording.
        """
        if self.error or not self.judged:
            return {}
        shares = np.array([step.share for step in self.judged])
        chances = np.array([list(step.probabilities.values()) for step in self.judged])
        mean = shares @ chances / shares.sum()
        return dict(zip(self.judged[0].probabilities, mean.tolist(), strict=True))

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Emotions and probabilities of the combined verdict, most likely first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])

    @property
    def time_shares(self) -> dict[str, float]:
        """Share of the judged time in which each emotion is the most likely; in [0, 1]."""
        if not self.judged:
            return {}
        shares = dict.fromkeys(self.judged[0].probabilities, 0.0)
        for step in self.judged:
            shares[step.ranked[0][0]] += step.share
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}

    @property
    def unjudged(self) -> float:
        """Seconds of the recording without a verdict."""
        return sum(step.share for step in self.steps if not step.probabilities)

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        return {
            "clip": self.clip,
            "files": list(self.files),
            "seconds": self.seconds,
            "window": self.window,
            "step": self.step,
            "emotion": self.ranked[0][0] if self.probabilities else None,
            "probabilities": self.probabilities,
            "time_shares": self.time_shares,
            "unjudged_seconds": self.unjudged,
            "trust": self.trust.as_dict() if self.trust else None,
            "steps": [step.as_dict() for step in self.steps],
            "error": self.error or None,
        }
