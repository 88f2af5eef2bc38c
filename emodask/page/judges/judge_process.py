"""The server's side of a judge process: starts it, asks it, enforces its time, sees it die."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import Any

from pydantic import TypeAdapter

from emodask.errors import BundleError, ClusterError, EmodaskError, UsageError
from emodask.isolation.asking import MalformedAnswer, ProcessDied, ProcessLate, ask
from emodask.page.judges.judgement import Judgement
from emodask.page.settings import PASSWORD_VARIABLE

PICTURES = ("face", "voice")

_START_TIMEOUT = 300.0
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST = 64 << 20
"""Bytes of an answer: judgements of hours, and their pictures, are some MiB."""

_JUDGEMENT = TypeAdapter(Judgement)


class JudgeProcess:
    """One judge process; started when asked, and again when it has died.

    Parameters
    ----------
    setup : dict
        What it is told first: bundles, storage options, memory.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self.cards: list[dict[str, Any]] = []

    @property
    def pid(self) -> int | None:
        """Of the process that runs; None while there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start it unless it runs, and wait until it has loaded its bundles.

        Raises
        ------
        BundleError, UsageError
            As loading the bundles does.
        ClusterError
            If no process can be started here.
        """
        if self.pid is not None:
            return
        self.close()
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "emodask.page.judges.judge_side"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("EMODASK_DEBUG") else subprocess.DEVNULL,
            env={name: text for name, text in os.environ.items() if name != PASSWORD_VARIABLE},
        )
        if self._ended:  # meanwhile, by another thread
            self.close()
        try:
            answer, payload = self._exchange(process, self._setup, _START_TIMEOUT)
        except (ProcessDied, ProcessLate) as died:
            raise ClusterError(
                f"no judge process can be started here: it {died}; EMODASK_DEBUG=1 shows what it "
                "said"
            ) from died
        if "error" in answer:
            self.close()
            raise _named_error(str(answer["error"]))(str(answer["text"]))
        self.cards = json.loads(payload)

    def ask(self, file: str, name: str, max_seconds: float, seconds: float) -> Judgement:
        """The judgement on one recording.

        Raises
        ------
        ProcessDied, ProcessLate
            Also if it answers with what is no judgement.
        EmodaskError
            If it says so, or cannot be started.
        """
        self.start()
        process = self._process
        if process is None:
            raise EmodaskError("the judge process was ended")
        header = {"file": file, "name": name, "max_seconds": max_seconds, "seconds": seconds}
        answer, payload = self._exchange(process, header, seconds)
        try:
            if "error" not in answer:
                return unpacked(name, answer["parts"], payload)
            text = str(answer["text"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            self.close()  # it may have been taken over by what it read
            raise MalformedAnswer from error
        raise EmodaskError(text)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(OSError, ValueError):
                process.communicate()

    def end(self) -> None:
        """End the process for good: whoever starts or asks it now is told that it died."""
        self._ended = True
        self.close()

    def _exchange(
        self, process: subprocess.Popen[bytes], header: dict[str, Any], limit: float
    ) -> tuple[dict[str, Any], bytes]:
        """Send a message and wait for the answer, no longer than ``limit`` seconds."""
        try:
            return ask(process, header, b"", limit, _MOST)
        except (ProcessDied, ProcessLate):
            self.close()
            raise


def unpacked(name: str, parts: list[list[Any]], payload: bytes) -> Judgement:
    """The judgement that a judge packed, checked: it has read what strangers sent.

    Raises
    ------
    ValueError, TypeError, KeyError, RecursionError
        If it is none.
    """
    found: dict[str, bytes] = {}
    start = 0
    for part, size in parts:
        if not isinstance(size, int) or not 0 <= size <= len(payload) - start:
            raise ValueError("parts that do not fit the bytes")
        found[str(part)] = payload[start : start + size]
        start += size
    plain = json.loads(found.pop("judgement"))
    pictures = {key: data for key, data in found.items() if key in PICTURES}
    if not all(data.startswith(_PNG) for data in pictures.values()):
        raise ValueError("a picture that is no PNG")
    return _JUDGEMENT.validate_python({**plain, "name": name, "pictures": pictures})


def _named_error(name: str) -> type[EmodaskError]:
    return {"UsageError": UsageError}.get(name, BundleError)
