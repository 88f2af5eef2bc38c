"""Clips whose media are the same bytes: which they are, and what that does to a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emodask.evaluation.assignments import Fold, counted
from emodask.evaluation.clips import Clips


def identical_notes(clips: Clips, folds: Sequence[Fold]) -> list[str]:
    """What to say of identical clips under a protocol; nothing where there are none.

    Parameters
    ----------
    clips : Clips
    folds : sequence of Fold
        Whose rows are places in ``clips``.
    """
    if not clips.identical:
        return []
    shown = "; ".join(" = ".join(group) for group in clips.identical[:5])
    if (more := len(clips.identical) - 5) > 0:
        shown += f"; and {more} more"
    notes = [f"clips whose media are the same bytes, each counted: {shown}"]
    place = {name: i for i, name in enumerate(clips.clip_id.tolist())}
    groups = [np.array([place[name] for name in group]) for group in clips.identical]
    crossed = sum(
        any(np.isin(group, f.train).any() and np.isin(group, f.test).any() for group in groups)
        for f in folds
    )
    if crossed:
        notes.append(
            f"{counted(crossed, 'fold')} of {len(folds)} tested a clip whose very bytes were "
            "trained on"
        )
    return notes
