"""Commands of containers, run as plain processes: services and ports become loopback's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.servers.processes import ROOT, free_port, running, wait_until

DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
LIMIT = 240
_HIDDEN = ("AWS_", "FSSPEC_", "RCLONE_", "EMODASK_", "DASK_", "NUMBA_")


@dataclass
class Loopback:
    """Stands in for the network and the volumes of containers.

    Attributes
    ----------
    folder : Path
        Logs and home of the processes.
    names : sequence of str
        Host names that mean this machine.
    paths : mapping
        Folders of containers, and what they are here.
    """

    folder: Path
    names: Sequence[str]
    paths: Mapping[str, Path] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def translate(self, text: str) -> str:
        """A word of a command, or a value of a variable, as it has to be here."""
        hosts = "|".join(re.escape(name) for name in (*self.names, "0.0.0.0", "127.0.0.1"))
        text = re.sub(
            rf"(?<![\w.-])(?:{hosts}):(\d{{4,5}})\b", lambda m: f"127.0.0.1:{self.port(m[1])}", text
        )
        if text == "0.0.0.0":
            return "127.0.0.1"
        if text.startswith(str(self.folder)):
            return text
        for inside, here in self.paths.items():
            if text == inside or text.startswith(f"{inside}/"):
                return str(here) + text[len(inside) :]
        return text

    def command(self, words: Iterable[str]) -> list[str]:
        """A command line; its program is the one installed here."""
        translated = [self.translate(word) for word in words]
        for place, word in enumerate(translated[:-1]):
            if word == "--port":
                translated[place + 1] = str(self.port(translated[place + 1]))
        program = shutil.which(translated[0], path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
        assert program, f"{translated[0]} is not installed"
        return [program, *translated[1:]]

    def port(self, inside: str) -> int:
        """The free port here that stands for a port of the containers."""
        return self.ports.setdefault(inside, free_port())

    def environment(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """What a container would have: nothing of the user who runs the tests, and these."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_HIDDEN)}
        kept |= {"PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "HOME": str(self.folder)}
        kept |= {"COLUMNS": "200", "RCLONE_CONFIG": "", "OMP_NUM_THREADS": "1"}
        return kept | {name: self.translate(str(value)) for name, value in variables.items()}

    def run(self, words: Iterable[str], variables: Mapping[str, Any]) -> tuple[int, str]:
        """Run to the end: exit code and output."""
        done = subprocess.run(
            self.command(words),
            env=self.environment(variables),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @contextmanager
    def start(
        self, name: str, words: Iterable[str], variables: Mapping[str, Any]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run while the block lasts; what it says goes to NAME.log."""
        # ``running`` adds to this process's environment: what is hidden has to be emptied there.
        environment = self.environment(variables)
        command = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), *self.command(words)]
        with running(command, self.folder / f"{name}.log") as process:
            yield process

    def wait(self, process: subprocess.Popen[bytes], ready: Any, what: str) -> None:
        """Wait for a condition; fails if the process ends before it holds."""

        def holds() -> bool:
            assert process.poll() is None, f"{what}: it ended"
            return bool(ready())

        wait_until(holds, what, LIMIT)


def options_of(*command: str) -> set[str]:
    """The options that a command of emodask or dask knows."""
    asked = subprocess.run(
        [str(BIN / command[0]), *command[1:], "--help"],
        env={**os.environ, "COLUMNS": "300", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", asked.stdout))


def assert_known_options(words: Sequence[str]) -> None:
    """Each option of a command line has to be one of the command's."""
    if words[0] not in ("emodask", "dask"):
        return
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    unknown = used - options_of(*words[:2])
    assert not unknown, f"{words[0]} {words[1]} has no {', '.join(sorted(unknown))}"


def tool(name: str) -> str:
    """A checker from the test extra; skips where it is absent, fails in CI."""
    found = shutil.which(name, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if not found:
        message = f"{name} is not installed; pip install '.[test]'"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return str(found)


def check(*command: object) -> None:
    """Run a checker; what it says is the failure."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


__all__ = ["BIN", "DEPLOY", "ExitStack", "Loopback", "assert_known_options", "check", "tool"]
