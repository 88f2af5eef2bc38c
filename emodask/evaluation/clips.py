"""The rows of a store that a job can learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError, StoreError
from emodask.job import Job, digest, parse_job
from emodask.models.system import features_used
from emodask.store import (
    Status,
    StoreAddress,
    attributes,
    missing_modalities,
    open_group,
    stored_array,
)


@dataclass(frozen=True, eq=False)
class Clips:
    """Identities of some rows of a store.

    Attributes
    ----------
    rows : ndarray of intp, shape (n,)
        Their places in the store, ascending.
    clip_id : ndarray of str, shape (n,)
    actor, emotion : ndarray of int, shape (n,)
    counts : dict
        Rows of the whole store by status.
    """

    rows: npt.NDArray[np.intp]
    clip_id: npt.NDArray[np.str_]
    actor: npt.NDArray[np.int64]
    emotion: npt.NDArray[np.int64]
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.rows)


def as_extracted(job: Job, address: StoreAddress) -> Job:
    """A job with the columns and the content of its tables, as its store holds them.

    What has been extracted can be evaluated without the tables.
    """
    if not job.tables:
        return job
    stored = attributes(open_group(address))["job"].get("features", {})
    settings = job.settings()
    for name in job.tables:
        there = stored.get(name, {})
        if there.get("kind") == "table":
            settings["features"][name] |= {key: there[key] for key in ("names", "content")}
    return parse_job(settings, f"job {job.name}")


def usable_clips(job: Job, address: StoreAddress, models: Sequence[str] | None = None) -> Clips:
    """Rows whose media gave every feature that some models of a job use.

    Parameters
    ----------
    job : Job
    address : StoreAddress
    models : sequence of str, optional
        All models of the job by default.

    Raises
    ------
    StoreError
        If the store was written under other settings.
    EvaluationError
        If no row is usable.
    """
    group = open_group(address)
    about = attributes(group)
    if about["digest"] != digest(job.extraction()):
        raise StoreError(
            f"{address}: holds the features of another job (digest {about['digest']}, job "
            f"{job.name} needs {digest(job.extraction())}); extract into a store of its own"
        )
    status = np.asarray(stored_array(group, "status")[:])
    needed = set(job.needs(features_used(job, models)))
    usable = status == Status.DONE
    incomplete = np.flatnonzero(status == Status.INCOMPLETE)
    if incomplete.size:
        errors = np.asarray(stored_array(group, "error")[:])
        for row in incomplete:
            usable[row] = needed.isdisjoint(missing_modalities(str(errors[row])))
    rows = np.flatnonzero(usable)
    counts = {s.name.lower(): int((status == s).sum()) for s in Status}
    if not rows.size:
        have = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        raise EvaluationError(
            f"{address}: no clip has {' and '.join(sorted(needed))} features ({have}); "
            "there is nothing to learn from"
        )

    def column(name: str) -> npt.NDArray[np.int64]:
        return np.asarray(stored_array(group, name)[:], np.int64)[rows]

    names = np.array([str(name) for name in np.asarray(stored_array(group, "clip_id")[:])[rows]])
    return Clips(rows, names, column("actor"), column("emotion"), counts)
