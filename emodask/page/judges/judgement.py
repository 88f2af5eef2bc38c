"""What the page says of one recording: a verdict, a timeline, pictures, or why there is none."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ProblemCode = Literal[
    "not-media",
    "no-face",
    "no-voice",
    "missing-modality",
    "too-short",
    "too-long",
    "too-large",
    "took-too-long",
    "busy",
    "failed",
]


@dataclass(frozen=True)
class Problem:
    """Why a recording has no verdict.

    Attributes
    ----------
    code : str
        For programs.
    text : str
        For people: what was found, and what would be right.
    """

    code: ProblemCode
    text: str

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True)
class Judgement:
    """What bundles say of one recording.

    Attributes
    ----------
    name : str
        Of the recording, as the person named it.
    seconds : float
        How long it is.
    bundle : str
        Which bundle judged: its name; empty if none could.
    modalities : tuple of str
        What that bundle saw and heard.
    probabilities : dict of str to float
        By emotion, of the recording as a whole; empty if there is no verdict.
    steps : tuple of dict
        Windows along it, as :meth:`emodask.prediction.Step.as_dict` has them.
    trust : str
        What the probabilities are, and how good the bundle is on people that it had not met; empty
        if there are none.
    notes : tuple of str
        What people should know: that no face was found, that a bundle of one modality stood in, and
        why, and what the bundle has not learned from.
    pictures : dict of str to bytes
        PNG files by what they show: ``"face"``, ``"voice"``.
    problem : Problem or None
    """

    name: str
    seconds: float = 0.0
    bundle: str = ""
    modalities: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    trust: str = ""
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Emotions and probabilities, most likely first.

        Examples
        --------
        >>> Judgement("a", probabilities={"calm": 0.2, "sad": 0.8}).ranked
        [('sad', 0.8), ('calm', 0.2)]
        """
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values, without the pictures."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "bundle": self.bundle or None,
            "modalities": list(self.modalities),
            "emotion": self.ranked[0][0] if self.probabilities else None,
            "top_two": dict(self.ranked[:2]),
            "probabilities": dict(self.probabilities),
            "trust": self.trust or None,
            "notes": list(self.notes),
            "steps": [dict(step) for step in self.steps],
            "problem": self.problem.as_dict() if self.problem else None,
        }

    def as_csv(self) -> str:
        """A row for each window: start, end, the most likely emotion, all probabilities, a reason.

        Examples
        --------
        >>> step = {"start": 0.0, "end": 3.0, "probabilities": {"sad": 1.0}, "reason": None}
        >>> print(Judgement("a", probabilities={"sad": 1.0}, steps=(step,)).as_csv(), end="")
        start,end,emotion,sad,reason
        0.0,3.0,sad,1.0,
        """
        text = io.StringIO()
        emotions = list(self.probabilities)
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["start", "end", "emotion", *emotions, "reason"])
        for step in self.steps:
            chances = step["probabilities"]
            most = max(chances, key=chances.__getitem__) if chances else ""
            shares = [chances.get(name, "") for name in emotions]
            rows.writerow([step["start"], step["end"], most, *shares, step["reason"] or ""])
        return text.getvalue()
