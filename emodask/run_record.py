"""``run.json``: how a command went, for the programs and people that come after it."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import emodask
from emodask.errors import EmodaskError
from emodask.job import Job, digest
from emodask.scrubbing import scrub, without_folders
from emodask.sources.addresses import StorageOptions, is_url, redact
from emodask.sources.faults import reason

if TYPE_CHECKING:
    from distributed import Client

    from emodask.extraction import ExtractSummary, Progress
    from emodask.memory import MemoryPlan, Workers

SCHEMA = 1
NAME = "run.json"

_LISTED = 100
"""How many failures are listed; all are counted, and the store has them all."""

_LIBRARIES = (
    *("av", "dask", "distributed", "fsspec", "librosa", "numba", "numpy"),
    *("opencv-python-headless", "scikit-learn", "zarr", "s3fs", "adlfs", "gcsfs"),
)


class RunRecorder:
    """Keeps the record of a command, and writes it whenever that ends.

    It is a context that may be entered again inside itself: the innermost end writes, so that a
    command that is told to stop leaves its record before its cluster is taken down. The file that
    is written at the start says ``running``: it stays if the process is killed.

    Parameters
    ----------
    where : str or None
        Path or URL of the file; None writes nothing.
    command : str
        Such as ``run``.
    job : Job
    sources : sequence of str
    storage_options : mapping, optional
        For fsspec.
    """

    def __init__(
        self,
        where: str | None,
        command: str,
        job: Job,
        sources: str | Sequence[str],
        storage_options: StorageOptions | None = None,
    ) -> None:
        self.where = where
        self._options = storage_options
        self._stage: tuple[str, float] | None = None
        self._inside = 0
        self._writable = False
        named = [sources] if isinstance(sources, str) else list(sources)
        self._folders = _folders([*named, where or ""])
        self._facts: dict[str, Any] = {
            "schema": SCHEMA,
            "command": command,
            "state": "running",
            "exit_code": None,
            "error": None,
            "started": _now(),
            "ended": None,
            "seconds": {},
            "seconds_by_step": {},
            "job": {
                "name": job.name,
                "extraction_digest": digest(job.extraction()),
                "settings_digest": digest(job.settings()),
            },
            "sources": [_shown(source) for source in named],
            "clips": None,
            "failures": {"count": 0, "first": []},
            "not_computed": {"count": 0, "first": []},
            "missing": {},
            "extra_rows": {},
            "figures": None,
            "cluster": None,
            "memory_plan": None,
            "versions": _versions(),
            "platform": {
                "system": platform.platform(),
                "machine": platform.machine(),
                "cores": os.cpu_count(),
            },
        }

    def __enter__(self) -> RunRecorder:
        self._inside += 1
        if self._inside == 1:
            # Where this cannot be written, what is written next says so in better words.
            with contextlib.suppress(Exception):
                self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside -= 1
        ended = self._facts["state"] != "running"
        if error is None and (self._inside or ended):
            return
        if error is not None and ended and self._facts["state"] != "finished":
            return
        if error is None:
            self.end("finished", 0)
        else:
            # The error itself is what the user has to see.
            with contextlib.suppress(Exception):
                self.end(*ending(error), write=self._writable)

    def stage(self, name: str) -> None:
        """Begin a stage; the one before it has ended."""
        now = time.monotonic()
        if self._stage is not None:
            before, began = self._stage
            self._facts["seconds"][before] = round(now - began, 3)
        self._stage = (name, now)

    def connected(self, client: Client | None) -> None:
        """Take where tasks run."""
        if client is None:
            self._facts["cluster"] = {"kind": "sync", "workers": 0, "threads": 0, "address": None}
            return
        threads = client.nthreads()
        kind = type(client.cluster).__name__ if client.cluster is not None else "joined"
        self._facts["cluster"] = {
            "kind": kind,
            "workers": len(threads),
            "threads": sum(threads.values()),
            "address": redact(str(getattr(client.scheduler, "address", ""))),
        }

    def planning(
        self, tell: Callable[[MemoryPlan, Workers], None] | None
    ) -> Callable[[MemoryPlan, Workers], None]:
        """Take the plan of a worker's memory, and pass it on."""

        def news(plan: MemoryPlan, workers: Workers) -> None:
            self._facts["memory_plan"] = {"limit": workers.limit, **plan.as_dict()}
            if tell is not None:
                tell(plan, workers)

        return news

    def watching(self, tell: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
        """Take the news of batches, and pass them on."""
        seen: dict[str, list[Any]] = {"failures": [], "not_computed": []}

        def news(progress: Progress) -> None:
            if self._stage is not None and self._stage[0] == "scan":
                self.stage("extract")
            seen["failures"] += progress.failed
            seen["not_computed"] += progress.trouble
            self._facts["clips"] = {
                "total": progress.total,
                **progress.counts,
                "computed": progress.computed,
            }
            self._list(seen["failures"], seen["not_computed"])
            if tell is not None:
                tell(progress)

        return news

    def extracted(self, summary: ExtractSummary) -> int:
        """Take the end of the extraction; give the exit code that it deserves."""
        names = ("total", "done", "failed", "incomplete", "pending", "computed")
        self._facts["clips"] = {name: getattr(summary, name) for name in names}
        self._facts["missing"] = dict(summary.missing)
        self._facts["extra_rows"] = dict(summary.extra)
        self._facts["job"]["extraction_digest"] = summary.digest
        self._facts["seconds_by_step"] = dict(summary.steps)
        self._list(summary.failures, summary.errors)
        return int(bool(summary.failed or summary.pending or summary.stopped))

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """Take the figures of the evaluation."""
        self._facts["figures"] = figures(metrics)

    def end(self, state: str, exit_code: int, error: str = "", write: bool = True) -> None:
        """Take the end, and write.

        Raises
        ------
        EmodaskError
            If the file cannot be written.
        """
        self.stage("ended")
        self._facts |= {
            "state": state,
            "exit_code": exit_code,
            "error": self._clean(error) or None,
            "ended": _now(),
        }
        if not write:
            return
        try:
            self._write()
        except EmodaskError:
            raise
        except Exception as failure:  # each protocol has errors of its own
            raise EmodaskError(
                f"{redact(self.where or '')}: cannot be written: {reason(failure)}"
            ) from failure

    def _list(self, failures: Sequence[tuple[str, str]], errors: Sequence[str]) -> None:
        self._facts["failures"] = {
            "count": len(failures),
            "first": [
                {"clip": clip, "reason": self._clean(why)} for clip, why in failures[:_LISTED]
            ],
        }
        self._facts["not_computed"] = {
            "count": len(errors),
            "first": [self._clean(error) for error in errors[:_LISTED]],
        }

    def _clean(self, text: str) -> str:
        """A text without credentials, and without the folders of this machine."""
        for folder in self._folders:
            text = text.replace(folder, "")
        return without_folders(text)

    def _write(self) -> None:
        if self.where is None:
            return
        text = json.dumps(self._facts, indent=1, allow_nan=False) + "\n"
        if is_url(self.where):
            from emodask.sources.folder import Folder

            folder, _, name = self.where.rpartition("/")
            place = Folder.at(folder, self._options)
            place.make()
            place.write(name, text.encode())
        else:
            path = Path(self.where)
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                beside.write_text(text, encoding="utf-8")
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        self._writable = True


def figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The headline figures of each protocol and model."""
    found: dict[str, Any] = {}
    for name, entry in metrics["protocols"].items():
        found[name] = {"speaker_independent": entry["speaker_independent"]}
        if "not_run" in entry:
            found[name]["not_run"] = scrub(str(entry["not_run"]))
            continue
        found[name]["models"] = {
            model: {key: scores.get(key) for key in ("uar", "uar_ci95", "accuracy", "macro_f1")}
            for model, scores in entry["models"].items()
        }
    return found


def ending(error: BaseException) -> tuple[str, int, str]:
    """State, exit code and words of an error that ends a command."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130, "interrupted"
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
        return "interrupted", code, "told to stop"
    if isinstance(error, EmodaskError):
        return "failed", error.exit_code, str(error)
    return "failed", 1, f"unexpected {type(error).__name__}: {reason(error)}"


def _shown(source: str) -> str:
    return redact(source) if is_url(source) else Path(source).name


def _folders(places: Sequence[str]) -> list[str]:
    """Folders of this machine that messages may name, longest first, each with its ``/``."""
    local = [Path(place).expanduser().absolute() for place in places if place and not is_url(place)]
    parents = {str(path.parent) for path in local}
    return sorted((f"{p.rstrip('/')}/" for p in parents if p != "/"), key=len, reverse=True)


def _versions() -> dict[str, str]:
    found = {"emodask": emodask.__version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def _now() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def record_in(out: str) -> str:
    """Where the record of a run lies, below its output folder or URL."""
    return posixpath.join(out, NAME)
