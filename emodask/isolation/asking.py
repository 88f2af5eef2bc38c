"""A question to a process that reads hostile bytes: it may die of them, or take too long."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

from emodask.isolation.messages import MAX_PAYLOAD, receive, send

_ENDING = 5.0
"""Seconds for a process to end that answers no more, before it is killed."""


class ProcessLate(Exception):
    """The process took longer than it may, and was killed."""


class ProcessDied(Exception):
    """The process ended before it answered.

    Attributes
    ----------
    code : int
        Its exit code; of a signal, below 0.
    """

    def __init__(self, code: int) -> None:
        super().__init__(how_it_ended(code))
        self.code = code


class MalformedAnswer(ProcessDied):
    """What the process answered is none; it was killed."""

    def __init__(self) -> None:
        super().__init__(-signal.SIGKILL)
        self.args = ("gave an answer that is none, and was stopped",)


def ask(
    process: subprocess.Popen[bytes],
    header: Mapping[str, Any],
    data: bytes,
    limit: float,
    max_payload: int = MAX_PAYLOAD,
) -> tuple[dict[str, Any], bytes]:
    """Send a message and wait for the answer, no longer than ``limit`` seconds.

    An answer of more than ``max_payload`` bytes is none.

    Raises
    ------
    ProcessLate, ProcessDied
        The process has then ended.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(limit, stop)
    timer.daemon = True
    timer.start()
    malformed = False
    try:
        send(process.stdin, header, data)
        answer = receive(process.stdout, max_payload)
    except OSError:
        answer = None
    except ValueError:  # of the pipes too, if another thread has closed them
        answer, malformed = None, not process.stdout.closed
    finally:
        timer.cancel()
    if answer is not None:
        return answer
    if not late.is_set() and not malformed:  # it may be about to end in its own way
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING)
    process.kill()
    with contextlib.suppress(OSError, ValueError):
        process.communicate()
    if late.is_set():
        raise ProcessLate(f"took longer than {limit:g} s")
    if malformed:
        raise MalformedAnswer
    raise ProcessDied(process.returncode)


def how_it_ended(code: int, what: str = "") -> str:
    """How a process ended, in words.

    Examples
    --------
    >>> how_it_ended(-11, "the decoder"), how_it_ended(3)
    ('crashed the decoder (SIGSEGV)', 'ended (exit code 3)')
    """
    what = f" {what}" if what else ""
    if code >= 0:
        return f"ended{what} (exit code {code})"
    return f"crashed{what} ({signal.Signals(-code).name})"
