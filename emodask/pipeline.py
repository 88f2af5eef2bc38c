"""A whole job: extract, evaluate, fit, report, record, laid out in one folder."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emodask.clip_tables import Tables
from emodask.cluster import current_client, works_here
from emodask.errors import EvaluationError, UsageError
from emodask.evaluation.clips import identities_of, require_meant
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.folds import EvaluationProgress
from emodask.extraction import ExtractSummary, Progress, extract
from emodask.fitting import fit
from emodask.isolation import CLIP_TIMEOUT
from emodask.job import Job, load_job
from emodask.job_weights import Weights, read_weights
from emodask.memory import MemoryPlan, Workers
from emodask.models.checking import check_installed
from emodask.models.networks.checking import check_devices
from emodask.models.system import with_models
from emodask.run_record import RunRecorder, record_in
from emodask.sources.catalogue import Clip
from emodask.sources.location import StorageOptions

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Layout:
    """Where a run puts what, below one folder or URL."""

    out: str

    def __post_init__(self) -> None:
        """Refuse a place that cannot be meant."""
        if not self.out.strip():
            raise UsageError("an empty --out, or the root; pass a folder or a URL of one")

    @property
    def store(self) -> str:
        """The Zarr store."""
        return posixpath.join(self.out, "store.zarr")

    @property
    def report(self) -> str:
        """``metrics.json``, ``predictions.csv`` and ``index.html``."""
        return posixpath.join(self.out, "report")

    @property
    def bundle(self) -> str:
        """The fitted model."""
        return posixpath.join(self.out, "bundle")

    @property
    def record(self) -> str:
        """``run.json``: how the run went."""
        return record_in(self.out)


@dataclass(frozen=True)
class RunResult:
    """What a run ended with.

    ``stopped`` says why if nothing could be learnt from the clips; ``metrics`` is None if not even
    a report could be written.
    """

    layout: Layout
    summary: ExtractSummary
    metrics: dict[str, Any] | None
    stopped: str = ""

    @property
    def exit_code(self) -> int:
        """What the command line exits with: 1 if something failed or is left to do."""
        return int(bool(self.stopped or self.summary.failed or self.summary.pending))


def run(
    job: str | Path | Job,
    sources: str | Sequence[str],
    out: str | Path,
    client: Client | None = None,
    *,
    tables: Tables | None = None,
    weights: Weights | None = None,
    models: Sequence[str] | None = None,
    credit: str | None = None,
    pictures: bool = True,
    storage_options: StorageOptions | None = None,
    retry_failed: bool = False,
    clip_timeout: float = CLIP_TIMEOUT,
    sounds: bool = True,
    on_plan: Callable[[MemoryPlan, Workers], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_extracted: Callable[[ExtractSummary], None] | None = None,
    on_fold: Callable[[EvaluationProgress], None] | None = None,
    on_evaluated: Callable[[dict[str, Any], str], None] | None = None,
    on_fit: Callable[[], None] | None = None,
    recorder: RunRecorder | None = None,
) -> RunResult:
    """Extract, evaluate, fit and report.

    Parameters
    ----------
    job : str, Path or Job
    sources : str or sequence of str
    out : str or Path
        Folder (or fsspec URL) for ``store.zarr``, ``report/``, ``bundle/`` and ``run.json``.
    client : distributed.Client, optional
    tables : mapping of str to str or Path, optional
        See :func:`emodask.extract`.
    weights : mapping of str to str or Path, optional
        See :func:`emodask.extract`.
    models : sequence of str, optional
        Those to evaluate, see :func:`emodask.evaluate`; the bundle holds the first.
    credit, pictures
        See :func:`emodask.evaluate`.
    storage_options : mapping, optional
        For fsspec.
    retry_failed, clip_timeout
        See :func:`emodask.extract`.
    sounds : bool
        See :func:`emodask.evaluate`.
    on_plan, on_progress, on_extracted, on_fold, on_evaluated, on_fit : callable, optional
        Told of the plan of a worker's memory, of each batch, of the end of the extraction, of each
        step of the evaluation, of its figures and where their report is, and of the start of the
        last fit, that of the bundle.
    recorder : RunRecorder, optional
        One that the caller has begun; by default this begins one, which writes ``run.json``.

    Returns
    -------
    RunResult

    Raises
    ------
    JobError, SourceError, StoreError
        JobError also if a network names a device that is not where it will be fitted.
    ProtocolError
        If the job names a protocol that the clips of the sources do not allow, as JobError if it
        names an emotion that none of them shows; nothing has been computed then.
    """
    job = with_models(load_job(job), models)
    check_installed(job)
    bundled = list(job.models)[:1]  # fitted in this process
    check_devices(job, job.models if works_here(client or current_client()) else bundled)
    job = read_weights(job, weights, storage_options)
    layout = Layout(str(out).rstrip("/"))
    recorder = recorder or RunRecorder(layout.record, "run", job, sources, storage_options)
    media: list[Clip] = []

    def found_clips(clips: Sequence[Clip]) -> None:
        _refuse_impossible(job, clips)
        media.extend(clips)

    with recorder:
        recorder.connected(client)
        recorder.stage("scan")
        summary = extract(
            job,
            sources,
            layout.store,
            client,
            tables=tables,
            storage_options=storage_options,
            retry_failed=retry_failed,
            clip_timeout=clip_timeout,
            on_clips=found_clips,
            on_plan=recorder.planning(on_plan),
            on_progress=recorder.watching(on_progress),
        )
        recorder.extracted(summary)
        if on_extracted:
            on_extracted(summary)
        stopped, metrics = summary.stopped, None
        if not stopped:
            try:
                recorder.stage("evaluate")
                found = evaluate(
                    job,
                    layout.store,
                    layout.report,
                    client,
                    credit=credit,
                    extracted=summary,
                    media=media,
                    sounds=sounds,
                    sources=sources,
                    pictures=pictures,
                    storage_options=storage_options,
                    on_progress=on_fold,
                )
                metrics = found
                recorder.evaluated(found)
                if on_evaluated:
                    on_evaluated(found, layout.report)
                if on_fit:
                    on_fit()
                recorder.stage("fit")
                fit(
                    job,
                    layout.store,
                    layout.bundle,
                    client,
                    metrics=found,
                    storage_options=storage_options,
                    on_progress=on_fold,
                )
            except EvaluationError as error:
                stopped = str(error)
        result = RunResult(layout, summary, metrics, stopped)
        recorder.end("failed" if stopped else "finished", result.exit_code, stopped)
    return result


def _refuse_impossible(job: Job, clips: Sequence[Clip]) -> None:
    require_meant(job, identities_of(clips))
