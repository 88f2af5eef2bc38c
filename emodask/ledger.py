"""What is known of every row while an extraction goes on, and the news of each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emodask.batches import Batch, BatchOutcome
from emodask.clip_features import Steps, add_steps
from emodask.errors import EmodaskError
from emodask.sources.location import reason
from emodask.store import Status


@dataclass(frozen=True)
class Progress:
    """How far an extraction is, after each batch.

    ``counts`` has the rows of the whole store by status; ``computed`` those of this run alone.
    ``failed`` are clips and reasons, ``trouble`` what befell the batch as a whole. ``batches`` have
    ended, of ``all_batches`` of this run.
    """

    total: int
    counts: Mapping[str, int]
    computed: int
    to_compute: int
    failed: tuple[tuple[str, str], ...] = ()
    trouble: tuple[str, ...] = ()
    batches: int = 0
    all_batches: int = 0


class Ledger:
    """What is known of every row, as batches end."""

    def __init__(
        self, status: npt.NDArray[np.uint8], to_compute: int, all_batches: int = 0
    ) -> None:
        self.status = status
        self.counts = _count(status)
        self.to_compute = to_compute
        self.all_batches = all_batches
        self.batches = 0
        self.computed = 0
        self.steps: Steps = {}
        self.errors: list[str] = []
        self.stopped = ""
        self.fruitless = 0

    def update(self, rows: slice | npt.NDArray[np.intp], status: npt.ArrayLike) -> None:
        """Take the status of some rows, and count them anew: them alone."""
        before, after = _count(self.status[rows]), _count(np.asarray(status))
        self.counts = {name: n - before[name] + after[name] for name, n in self.counts.items()}
        self.status[rows] = status

    def progress(
        self, failed: Sequence[tuple[str, str]] = (), trouble: Sequence[str] = ()
    ) -> Progress:
        return Progress(
            total=len(self.status),
            counts=dict(self.counts),
            computed=self.computed,
            to_compute=self.to_compute,
            failed=tuple(failed),
            trouble=tuple(trouble),
            batches=self.batches,
            all_batches=self.all_batches,
        )

    def committed(self, batch: Batch, outcome: BatchOutcome) -> Progress:
        """Take the outcome of a batch that ended."""
        self.update(slice(batch.start, batch.start + len(batch.clips)), outcome.status)
        self.computed += outcome.computed
        add_steps(self.steps, outcome.steps)
        unreachable = [
            f"clip {clip.clip_id}: {why}"
            for clip, why in zip(batch.clips, outcome.unreachable, strict=True)
            if why
        ]
        # Nothing computed and nothing in the way: another run has committed these rows.
        self.fruitless = self.fruitless + 1 if unreachable and not outcome.computed else 0
        self.errors += unreachable
        rows = zip(
            *(batch.clips, batch.compute, outcome.status, outcome.errors, outcome.unreachable),
            strict=True,
        )
        return self.progress(
            failed=[
                (clip.clip_id, error)
                for clip, wanted, status, error, why in rows
                if wanted and status == Status.FAILED and not why
            ],
            trouble=unreachable,
        )

    def lost(self, batch: Batch, error: Exception) -> Progress:
        """Take the error of a batch that committed nothing."""
        why = (
            str(error)
            if isinstance(error, EmodaskError)
            else f"{type(error).__name__}: {reason(error)}"
        )
        self.errors.append(f"{batch}: {why}")
        self.fruitless += 1
        return self.progress(trouble=[self.errors[-1]])


def _count(status: npt.NDArray[np.uint8]) -> dict[str, int]:
    return {s.name.lower(): int((status == s).sum()) for s in Status}
