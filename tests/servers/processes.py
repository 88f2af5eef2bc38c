"""Server processes: started on free loopback ports, awaited, stopped with all their children."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
INSTALLED = ROOT / ".servers"
"""Where ``make servers`` puts what is not a system package."""


def free_port() -> int:
    """A loopback port that nothing listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, *, where: Path | None = None) -> str:
    """The path of a server's program; skips where it is absent, fails in CI."""
    found = shutil.which(name, path=str(where) if where else None)
    if not found:
        missing(f"{name} is not installed; run make servers")
    return str(found)


def missing(message: str) -> None:
    """Skip, saying what to install; in CI fail."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll a condition until it holds; fails the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} within {seconds:g} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether a server accepts connections at a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process while the block lasts, with a session of its own so that no child stays behind."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a started server listens; fails with the end of its log if it ends instead."""

    def up() -> bool:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended:\n{log.read_text(errors='replace')[-3000:]}")
        return listens(port)

    wait_until(up, f"nothing listened at port {port}")
