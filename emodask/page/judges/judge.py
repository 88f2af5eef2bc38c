"""Judge processes with a bounded queue before them: a hostile recording costs its own judgement."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emodask.errors import EmodaskError, UsageError
from emodask.isolation import CLIP_MEMORY
from emodask.isolation.asking import ProcessDied, ProcessLate
from emodask.page.judges.cards import BundleCard
from emodask.page.judges.judge_process import JudgeProcess
from emodask.page.judges.judgement import Judgement
from emodask.page.judges.problems import BUSY, failed, took_too_long
from emodask.sources.location import StorageOptions

_CLOSED = failed("the page is being closed")


class Judge:
    """Judge processes that hold bundles, with a bounded queue before them.

    The process that asks never decodes media. A judge has a limit on its memory and on its time;
    one that dies is started again, and says so in the judgement of the recording that it died of.

    Parameters
    ----------
    bundles : sequence of str or Path
        Folders or URLs. The first that a recording has enough for judges it.
    processes : int
        Recordings that are judged at a time.
    waiting : int
        Recordings that may wait beside those; more are turned away as ``busy``.
    seconds : float
        How long judging one may take.
    max_seconds : float
        How long a recording may be.
    storage_options : mapping, optional
        For fsspec, to read the bundles.

    Raises
    ------
    UsageError
    """

    def __init__(
        self,
        bundles: Sequence[str | Path],
        *,
        processes: int = 1,
        waiting: int = 8,
        seconds: float = 120.0,
        max_seconds: float = 120.0,
        storage_options: StorageOptions | None = None,
    ) -> None:
        if not bundles:
            raise UsageError("no bundle to judge with; pass the folder of one")
        if processes < 1 or waiting < 0:
            raise UsageError(
                f"{processes} judge processes and {waiting} waiting: at least one process is "
                "needed, and 0 or more may wait"
            )
        self.seconds = seconds
        self.max_seconds = max_seconds
        self.cards: tuple[BundleCard, ...] = ()
        setup: dict[str, Any] = {
            "bundles": [str(place) for place in bundles],
            "storage_options": dict(storage_options or {}) or None,
            "memory": CLIP_MEMORY,
        }
        self._processes = [JudgeProcess(setup) for _ in range(processes)]
        self._places = processes + waiting
        self._room = threading.BoundedSemaphore(self._places)
        self._idle: queue.SimpleQueue[JudgeProcess | None] = queue.SimpleQueue()
        self._closed = threading.Event()

    def start(self) -> None:
        """Start the processes, load the bundles.

        Raises
        ------
        BundleError, UsageError
            If a bundle cannot be read, or needs more than recordings.
        ClusterError
            If no process can be started here.
        """
        try:
            for process in self._processes:
                process.start()
        except BaseException:
            self.close()
            raise
        self.cards = tuple(_card(card) for card in self._processes[0].cards)
        for process in self._processes:
            self._idle.put(process)

    @property
    def places(self) -> int:
        """Recordings that may be judged and wait together."""
        return self._places

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the judge processes that run."""
        return tuple(pid for process in self._processes if (pid := process.pid) is not None)

    def judge(self, file: Path, name: str) -> Judgement:
        """Judge a recording, as soon as a process is free. Threads may call it together.

        Parameters
        ----------
        file : Path
            On this machine, not changed until this returns.
        name : str
            What the person calls it.

        Returns
        -------
        Judgement
            With a ``problem``, if there is no verdict.
        """
        if not self._room.acquire(blocking=False):
            return Judgement(name, problem=BUSY)
        try:
            process = self._idle.get()
            if process is None or self._closed.is_set():
                self._idle.put(None)  # for the next that waits
                return Judgement(name, problem=_CLOSED)
            return self._judged(process, file, name)
        finally:
            self._room.release()

    def close(self) -> None:
        """End the processes; what is being judged fails."""
        self._closed.set()
        self._idle.put(None)
        for process in self._processes:
            process.end()

    def __enter__(self) -> Judge:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _judged(self, process: JudgeProcess, file: Path, name: str) -> Judgement:
        try:
            return process.ask(str(Path(file).absolute()), name, self.max_seconds, self.seconds)
        except ProcessLate:
            problem = took_too_long(self.seconds)
        except ProcessDied as died:
            problem = failed(f"the process that judged it {died}; others are not affected")
        except EmodaskError as error:
            problem = failed(str(error))
        finally:
            self._return(process)
        return Judgement(name, problem=_CLOSED if self._closed.is_set() else problem)

    def _return(self, process: JudgeProcess) -> None:
        """Let the next recording have a process; one that has died is started again beforehand."""
        if process.pid is not None or self._closed.is_set():
            self._idle.put(process)
            return
        threading.Thread(target=self._revive, args=(process,), daemon=True).start()

    def _revive(self, process: JudgeProcess) -> None:
        try:
            process.start()
        except EmodaskError:
            pass  # the next judgement tries again, and says why not
        finally:
            self._idle.put(process)


def _card(card: dict[str, Any]) -> BundleCard:
    lists = {key: tuple(card[key]) for key in ("modalities", "emotions")}
    return BundleCard(**{**card, **lists})
