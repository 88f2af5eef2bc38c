"""The rows of a store that a job can learn from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import zarr

from emodask.emotions import CODES
from emodask.errors import EvaluationError, StoreError
from emodask.evaluation.identities import Codes, Identities
from emodask.evaluation.protocols import require_emotions, require_possible
from emodask.job import Job, digest, parse_job
from emodask.job_weights import weighted, with_content_of, with_places_of
from emodask.models.system import features_used, model_features
from emodask.sources.catalogue import Clip
from emodask.sources.corpora import corpus_of
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
    identities : Identities
        Actor, emotion, statement, channel and corpus of each.
    counts : dict
        Rows of the whole store by status.
    identical : tuple of tuple of str
        Names of clips that were read from the same bytes.
    """

    rows: npt.NDArray[np.intp]
    clip_id: npt.NDArray[np.str_]
    identities: Identities
    counts: dict[str, int]
    identical: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def actor(self) -> Codes:
        """Code of each clip's actor."""
        return self.identities.actor

    @property
    def emotion(self) -> Codes:
        """Code of each clip's emotion."""
        return self.identities.emotion


def as_extracted(job: Job, address: StoreAddress) -> Job:
    """A job with the columns and the content of its tables and weights, as its store holds them.

    What has been extracted can be evaluated without the tables and the weights.
    """
    if not (job.tables or weighted(job)):
        return job
    stored = attributes(open_group(address))["job"].get("features", {})
    job = with_content_of(job, stored, str(address))
    if not job.tables:
        return job
    settings = job.settings()
    for name in job.tables:
        there = stored.get(name, {})
        if there.get("kind") == "table":
            settings["features"][name] |= {key: there[key] for key in ("names", "content")}
    return with_places_of(parse_job(settings, f"job {job.name}"), job)


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
        note = "" if models else restricting_note(job, address, 0)
        raise EvaluationError(
            f"{address}: no clip has {' and '.join(sorted(needed))} features ({have}); "
            + (note or "there is nothing to learn from")
        )

    names = np.array([str(name) for name in np.asarray(stored_array(group, "clip_id")[:])[rows]])
    kept = set(names.tolist())
    same = [tuple(name for name in some if name in kept) for some in about.get("identical", [])]
    identical = tuple(some for some in same if len(some) > 1)
    return Clips(rows, names, _identities(group, rows, names), counts, identical)


def restricting_note(job: Job, address: StoreAddress, usable: int) -> str:
    """What to say where some models could learn from many more clips than all models share.

    Parameters
    ----------
    job : Job
    address : StoreAddress
    usable : int
        How many clips have the features of all models.

    Returns
    -------
    str
        Empty if the least demanding models gain less than half as many again.
    """
    group = open_group(address)
    status = np.asarray(stored_array(group, "status")[:])
    incomplete = np.flatnonzero(status == Status.INCOMPLETE)
    if not incomplete.size:
        return ""
    errors = np.asarray(stored_array(group, "error")[:])
    missing = Counter(tuple(missing_modalities(str(errors[row]))) for row in incomplete)
    done = int((status == Status.DONE).sum())
    reach: dict[int, list[str]] = defaultdict(list)
    for model in job.models:
        needed = set(job.needs(model_features(job, model)))
        more = sum(count for absent, count in missing.items() if needed.isdisjoint(absent))
        reach[done + more].append(model)
    most = max(reach)
    if most <= 1.5 * usable:
        return ""
    chosen = " ".join(f"--model {name}" for name in reach[most])
    return (
        f"{usable} of {most} clips have the features of all models, which are compared on those "
        f"alone; to evaluate the models that need less on all {most}: {chosen}"
    )


def named_protocols(job: Job) -> tuple[str, ...]:
    """Protocols that a job names; none of those that it has by default, which may be impossible."""
    named = "protocols" in job.evaluation.model_fields_set
    return job.evaluation.protocols if named else ()


def named_emotions(job: Job) -> tuple[str, ...]:
    """Emotions that a job names; none of those that it has by default, which need not be there."""
    named = "emotions" in job.data.model_fields_set
    return job.data.emotions if named else ()


def require_meant(named: Job, clips: Identities) -> None:
    """Refuse a job that names emotions or protocols which clips do not allow, before any work.

    What a job has by default adapts to the clips there are.

    Parameters
    ----------
    named : Job
        As it was read, before its defaults were written out.
    clips : Identities
        All clips of the sources, or of a store.

    Raises
    ------
    JobError, ProtocolError
    """
    where, emotions = f"job {named.name}", named_emotions(named)
    require_emotions(emotions, clips, where)
    codes = [CODES[name] for name in emotions]
    require_possible(named_protocols(named), clips, where, codes)


def stored_identities(address: StoreAddress) -> Identities:
    """What a store says of all its rows, whatever has become of them."""
    group = open_group(address)
    names = np.array([str(name) for name in np.asarray(stored_array(group, "clip_id")[:])])
    return _identities(group, np.arange(len(names)), names)


def identities_of(clips: Sequence[Clip]) -> Identities:
    """What a catalogue says of clips."""
    return Identities.of(
        actor=[clip.actor for clip in clips],
        emotion=[clip.emotion for clip in clips],
        statement=[clip.statement for clip in clips],
        channel=[clip.channel for clip in clips],
        corpus=[clip.corpus for clip in clips],
    )


def _identities(
    group: zarr.Group, rows: npt.NDArray[np.intp], names: npt.NDArray[np.str_]
) -> Identities:
    if "corpus" in group:
        corpus = [str(name) for name in np.asarray(stored_array(group, "corpus")[:])[rows]]
    else:  # written before stores had it
        corpus = [corpus_of(name) for name in names]

    def column(name: str) -> Codes:
        return np.asarray(stored_array(group, name)[:], np.int64)[rows]

    return Identities.of(
        actor=column("actor"),
        emotion=column("emotion"),
        statement=column("statement"),
        channel=column("channel"),
        corpus=corpus,
    )
