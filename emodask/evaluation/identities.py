"""What is known of each clip before anything is learnt: all that protocols may look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Identities:
    """Columns of some clips, one entry a clip.

    Attributes
    ----------
    actor, statement, channel : ndarray of int64, shape (n,)
        Codes; 0 = not known.
    emotion : ndarray, shape (n,)
        Emotion codes.
    corpus : ndarray of str, shape (n,)
        Names of corpora; empty = not known.

    Examples
    --------
    >>> Identities.of(actor=[1, 2], emotion=[3, 5]).statement.tolist()
    [0, 0]
    """

    actor: Codes
    emotion: npt.NDArray[Any]
    statement: Codes
    channel: Codes
    corpus: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.actor)

    @classmethod
    def of(
        cls,
        actor: npt.ArrayLike,
        emotion: npt.ArrayLike,
        statement: npt.ArrayLike | None = None,
        channel: npt.ArrayLike | None = None,
        corpus: npt.ArrayLike | None = None,
    ) -> Identities:
        """Take columns as they come; one that is left out is not known of any clip.

        Raises
        ------
        EvaluationError
            If they are not one entry a clip.
        """
        actors = np.asarray(actor, np.int64)
        n = len(actors) if actors.ndim else 0
        zeros = np.zeros(n, np.int64)
        columns = {
            "emotion": np.asarray(emotion),
            "statement": zeros if statement is None else np.asarray(statement, np.int64),
            "channel": zeros if channel is None else np.asarray(channel, np.int64),
            "corpus": np.array([""] * n if corpus is None else corpus, dtype=np.str_),
        }
        for name, column in columns.items():
            if actors.ndim != 1 or column.shape != actors.shape:
                raise EvaluationError(
                    f"actor and {name} must be one code per clip; their shapes are "
                    f"{actors.shape} and {column.shape}"
                )
        return cls(actors, **columns)


def actor_ranges(codes: Iterable[int]) -> str:
    """Write actor codes as a short list of ranges.

    Examples
    --------
    >>> actor_ranges([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9-10'
    """
    runs: list[list[int]] = []
    for code in sorted({int(c) for c in codes}):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
