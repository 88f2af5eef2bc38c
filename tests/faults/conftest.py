"""Real command lines with faults in their processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr

from tests.conftest import SMALL
from tests.test_extraction import as_toml

INJECTED = Path(__file__).parent / "injected"
LIMIT = 400


class CommandLine:
    """``emodask`` in processes of its own, at most some of them at a time, none left at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[psutil.Process] = []

    def start(
        self,
        *arguments: object,
        faults: Sequence[Mapping[str, Any]] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command; faults happen in it, in its workers and in their decoders."""
        plain = {**os.environ, "COLUMNS": "200", **(environment or {})}
        if faults:
            plain |= {"EMODASK_TEST_FAULTS": json.dumps(list(faults)), "PYTHONPATH": str(INJECTED)}
        process = subprocess.Popen(
            [sys.executable, "-m", "emodask", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=plain,
            cwd=self.folder,
            start_new_session=True,
        )
        self.running.append(psutil.Process(process.pid))
        return process

    def run(self, *arguments: object, **options: Any) -> tuple[int, str]:
        """Run a command to its end: exit code and what it printed."""
        process = self.start(*arguments, **options)
        output, _ = process.communicate(timeout=LIMIT)
        return process.returncode, output

    def stop_all(self) -> None:
        """Kill what still runs, and all that it has started."""
        for process in self.running:
            for one in family(process):
                one.kill()
            psutil.wait_procs([process], timeout=10)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it; those that have ended are left out."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], bool], what: str, limit: float = LIMIT) -> None:
    """Poll a condition; fail with its name when it does not come true in time."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {limit:g} s in vain until {what}")
        time.sleep(0.05)


@pytest.fixture
def emodask(tmp_path: Path) -> Iterator[CommandLine]:
    commands = CommandLine(tmp_path)
    yield commands
    commands.stop_all()


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(as_toml(SMALL))
    return path


def seconds_of(store: Path) -> np.ndarray:
    """What each row took to compute: it changes when a row is computed again."""
    return np.asarray(zarr.open_group(store, mode="r")["seconds"][:])


def status_of(store: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(store, mode="r")["status"][:])


def committed(store: Path) -> int:
    """Rows that a store says are done; none while it is not there yet."""
    if not (store / "zarr.json").exists():
        return 0
    return int((status_of(store) == 1).sum())
