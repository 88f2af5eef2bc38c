"""Adapting to who speaks: the clips of one speaker standardised by each other, without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emodask.errors import BundleError, UsageError
from emodask.evaluation.adaptation import standardised_by_actor
from emodask.models.bundle import Bundle
from emodask.models.fitted import Matrices
from emodask.sources.catalogue import Clip

FEWEST_CLIPS = 8
"""Clips of a speaker that adapting needs: four were measured to do harm, eight to help."""


def check_adapted(bundle: Bundle, clips: Sequence[Clip]) -> None:
    """Refuse what cannot be adapted, before anything is read.

    Raises
    ------
    BundleError
        If the bundle holds no model for it.
    UsageError
        If no speaker has enough clips.
    """
    if bundle.adapted is None:
        raise BundleError(
            "this bundle holds no speaker-adapted model: write speaker_adapted = true under "
            "[evaluation] of its job, and fit it again"
        )
    counts = Counter(clip.actor for clip in clips)
    if max(counts.values(), default=0) < FEWEST_CLIPS:
        speaker, count = max(counts.items(), key=lambda item: item[1], default=(0, 0))
        raise UsageError(f"{too_few(speaker, count)}; or leave --adapt out")


def too_few(speaker: int, count: int, total: int | None = None) -> str:
    """Say that a speaker has too few clips; ``total`` were passed, ``count`` could be read."""
    who = f"speaker {speaker}" if speaker else "one speaker"
    found = f"{count} clip{'' if count == 1 else 's'} of {who}"
    if total is not None and total != count:
        found = f"{count} of {total} clips of {who} can be read"
    return (
        f"{found}: adapting needs at least {FEWEST_CLIPS} of each speaker, and of many emotions, "
        "to know how that person speaks and looks; pass more"
    )


def adapted_probabilities(
    bundle: Bundle, matrices: Matrices, speakers: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """What the speaker-adapted model says of clips, shape (n, classes).

    Parameters
    ----------
    bundle : Bundle
    matrices : mapping of str to ndarray, shape (n, p)
        Reduced features.
    speakers : ndarray of int, shape (n,)
        Codes; the clips of each are standardised by their own mean and deviation.
    """
    assert bundle.adapted is not None
    return bundle.adapted.predict_proba(standardised_by_actor(matrices, speakers))
