"""How a command ends: signals, errors in one line, exit codes, the same as events."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from emodask.errors import EmodaskError

INTERRUPTED = 130
TERMINATED = 143

STOPPED = "stopped; what was committed is kept. Run the same command to go on"


def run_command(app: Callable[..., Any], log_json: bool) -> None:
    """Run the command line to its end, and exit.

    Parameters
    ----------
    app : typer.Typer
    log_json : bool
        Say everything as events; else in lines for people.
    """
    with _terminating():
        if log_json:
            from emodask.display.log_lines import LogLines

            with LogLines():
                code = _as_events(app)
        else:
            code = _in_words(app)
    sys.exit(code)


def wants_log_json(arguments: Sequence[str], option: str) -> bool:
    """Whether an option stands on a command line, also one that turns out to be misuse."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return option in before


@contextlib.contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: what it has started ends first."""

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let it clean up
        raise SystemExit(TERMINATED)

    def again(lost: sys.UnraisableHookArgs) -> None:
        """Python drops what is raised in a finaliser or in the garbage collector's callbacks."""
        if isinstance(lost.exc_value, SystemExit):
            signal.signal(signal.SIGTERM, stop)
            _signal_soon(signal.SIGTERM)
        elif isinstance(lost.exc_value, KeyboardInterrupt):
            _signal_soon(signal.SIGINT)
        else:
            hook(lost)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    hook = sys.unraisablehook
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def _signal_soon(number: int) -> None:
    """Signal this process when whatever now runs in it has gone on."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _in_words(app: Callable[..., Any]) -> int:
    try:
        app()
    except EmodaskError as error:
        sys.stderr.write(f"emodask: {error}\n")
        return error.exit_code
    except Exception as error:
        if os.environ.get("EMODASK_DEBUG"):
            sys.excepthook = _show_without_secrets
            raise
        sys.stderr.write(f"emodask: {_unexpected(error)}\n")
        return 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    if code in (INTERRUPTED, TERMINATED):
        sys.stderr.write(f"\nemodask: {STOPPED}\n")
    return code


def _as_events(app: Callable[..., Any]) -> int:
    from emodask.display.log_lines import log_event

    def failed(error: Exception, message: str, code: int) -> int:
        log_event(
            "error",
            message,
            level=logging.ERROR,
            error=type(error).__name__,
            exit_code=code,
            **_debugging(error),
        )
        return code

    try:
        code = app(standalone_mode=False)
    except EmodaskError as error:
        return failed(error, str(error), error.exit_code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    except Exception as error:
        misuse = getattr(error, "format_message", None)  # the parser's errors word themselves
        if misuse is not None:
            return failed(error, misuse(), int(getattr(error, "exit_code", 2)))
        return failed(error, _unexpected(error), 1)
    code = code if isinstance(code, int) else int(bool(code))
    if code in (INTERRUPTED, TERMINATED):
        log_event("stopped", STOPPED, level=logging.WARNING, exit_code=code)
    return code


def _show_without_secrets(kind: object, error: BaseException, trace: object) -> None:
    from emodask.scrubbing import scrubbed_traceback

    sys.stderr.write(scrubbed_traceback(error))


def _debugging(error: Exception) -> dict[str, str]:
    if not os.environ.get("EMODASK_DEBUG"):
        return {}
    from emodask.scrubbing import scrubbed_traceback

    return {"traceback": scrubbed_traceback(error)}


def _unexpected(error: Exception) -> str:
    from emodask.scrubbing import scrub
    from emodask.sources.faults import reason

    return (
        f"unexpected {type(error).__name__}: {scrub(reason(error))}. "
        "EMODASK_DEBUG=1 shows where; please report it"
    )
