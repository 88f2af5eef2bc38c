"""What one model said of the clips that one protocol tested, and all that is computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import CODES
from emodask.evaluation.calibration import calibration
from emodask.evaluation.metrics import actor_confusions, summarise
from emodask.evaluation.mistakes import confident_mistakes
from emodask.evaluation.paired import leakage
from emodask.evaluation.permutation import permutation_control

LEAKY, HONEST = "within-actor", "loso"
"""The two protocols whose difference is the leakage."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The tested clips of one model under one protocol, pooled over folds.

    Attributes
    ----------
    clip_id : (n,) str array
    actor, true, predicted : (n,) int arrays
        Actor codes, RAVDESS emotion codes.
    probability : (n, k) float array
        What the model gave each emotion of ``emotions``.
    emotions : tuple of k str
        The emotions that the model chose among, in the order of their codes.
    """

    clip_id: npt.NDArray[np.str_]
    actor: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    emotions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clip_id)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each verdict is the true emotion."""
        return self.true == self.predicted

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """The probability of each verdict."""
        columns = np.searchsorted([CODES[name] for name in self.emotions], self.predicted)
        return self.probability[np.arange(len(self)), columns]

    def take(self, at: npt.NDArray[np.intp]) -> Outcome:
        """Some of the clips, in the order of their places."""
        return Outcome(
            self.clip_id[at],
            self.actor[at],
            self.true[at],
            self.predicted[at],
            self.probability[at],
            self.emotions,
        )

    def counts(
        self, emotions: Sequence[str] | None = None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Actors and the confusion counts of each, over ``emotions`` or those of the model."""
        return actor_confusions(self.true, self.predicted, self.actor, emotions or self.emotions)


def describe(outcome: Outcome, seed: int = 0) -> dict[str, Any]:
    """Everything that ``metrics.json`` says of one model under one protocol.

    Parameters
    ----------
    outcome : Outcome
    seed : int
        Fixes the draws of the bootstrap and the permutations of the control.

    Returns
    -------
    dict
        What :func:`emodask.evaluation.metrics.summarise` gives, and ``control``, ``calibration``
        and ``mistakes``, of plain JSON values.
    """
    return {
        **summarise(outcome.true, outcome.predicted, outcome.actor, outcome.emotions, seed),
        "control": permutation_control(outcome.true, outcome.predicted, outcome.actor, seed),
        "calibration": calibration(outcome.right, outcome.confidence),
        "mistakes": confident_mistakes(
            outcome.clip_id,
            outcome.true,
            outcome.predicted,
            outcome.actor,
            outcome.probability,
            [CODES[name] for name in outcome.emotions],
        ),
    }


def leakages(outcomes: Mapping[tuple[str, str], Outcome], seed: int = 0) -> dict[str, Any]:
    """How much ``within-actor`` flatters each model that ran under it and under ``loso``.

    Parameters
    ----------
    outcomes : mapping
        By protocol and model.
    seed : int
        Fixes the bootstrap's draws.

    Returns
    -------
    dict
        What :func:`emodask.evaluation.paired.leakage` gives, by model.
    """
    return {
        model: leakage(outcomes[HONEST, model].counts(), leaky.counts(), seed)
        for (protocol, model), leaky in outcomes.items()
        if protocol == LEAKY and (HONEST, model) in outcomes
    }
