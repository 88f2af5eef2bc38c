"""Schedulers and workers as processes of their own, and certificates for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT = 90


@contextmanager
def process(
    folder: Path, name: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A ``dask`` command that runs until the end of the block; what it says goes to NAME.log."""
    with (folder / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def scheduler(folder: Path, *options: object, name: str = "scheduler"):
    """``dask scheduler`` on a free port of the loopback; its file is NAME.json."""
    return process(
        folder,
        name,
        *("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard"),
        *("--scheduler-file", folder / f"{name}.json", *options),
    )


def worker(
    folder: Path,
    *options: object,
    name: str = "worker",
    file: str = "scheduler.json",
    environment: Mapping[str, str] | None = None,
):
    """``dask worker`` with one thread and a nanny, in a folder of its own."""
    place = folder / name
    place.mkdir(exist_ok=True)
    return process(
        place,
        name,
        *("worker", "--scheduler-file", folder / file, "--nthreads", 1, "--no-dashboard"),
        *("--host", "127.0.0.1", *options),
        environment=environment,
    )


def address(folder: Path, name: str = "scheduler") -> str:
    """The address of a scheduler, once it has written its file."""
    path = folder / f"{name}.json"
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            return str(json.loads(path.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.1)
    pytest.fail(f"no scheduler file: {(folder / f'{name}.log').read_text()}")
