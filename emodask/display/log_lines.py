"""One JSON object a line on standard error, whoever writes there.

What emodask and libraries log, Python's warnings, and whatever this process, its workers or a C
library print on standard error: all of it becomes lines of the same form.
"""

from __future__ import annotations

import datetime
import json
import logging
import math
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from emodask.scrubbing import scrub, scrubbed_traceback

_LOGGER = logging.getLogger("emodask")
_LAST_LINES = 5.0
"""Seconds to wait at the end for what was printed last."""


def log_event(event: str, message: str = "", *, level: int = logging.INFO, **fields: Any) -> None:
    """Log something that happened, with its facts as fields of their own."""
    _LOGGER.log(level, "%s", message or event, extra={"event": event, "fields": fields})


class JsonFormatter(logging.Formatter):
    """A log record as one line of strictly valid JSON, without credentials.

    Examples
    --------
    >>> record = logging.makeLogRecord({"msg": "x", "event": "e", "fields": {"rate": math.inf}})
    >>> sorted(json.loads(JsonFormatter().format(record)))
    ['event', 'level', 'message', 'rate', 'time']
    """

    def format(self, record: logging.LogRecord) -> str:
        """Name the time, the level and the event first."""
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "message": scrub(record.getMessage()),
        }
        if line["event"] == "log":
            line["logger"] = record.name
        for key, value in getattr(record, "fields", {}).items():
            line.setdefault(key, plain(value))
        if record.exc_info and record.exc_info[1]:
            line["traceback"] = scrubbed_traceback(record.exc_info[1])
        return json.dumps(line, allow_nan=False)


def plain(value: Any) -> Any:
    """A value as strict JSON has it: numbers that are none become null, texts lose credentials."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    return scrub(str(value))


class LogLines:
    """Takes standard error over for the time of a command, until the process ends."""

    def __enter__(self) -> LogLines:
        sys.stderr.flush()
        self._end = uuid.uuid4().hex
        self._ended = threading.Event()
        out = os.fdopen(os.dup(2), "w", encoding="ascii")
        read, write = os.pipe()
        os.dup2(write, 2)  # processes that are started from now on inherit the pipe
        os.close(write)
        handler = logging.StreamHandler(out)
        handler.setFormatter(JsonFormatter())
        handler.addFilter(_worth_telling)
        # A collector that went away must not fail the job, nor be told of it.
        logging.raiseExceptions = False
        logging.root.handlers[:] = [handler]
        logging.root.setLevel(logging.WARNING)
        _LOGGER.setLevel(logging.INFO)
        logging.captureWarnings(True)
        threading.Thread(target=self._relay, args=(read,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.stderr.flush()
        os.write(2, f"\n{self._end}\n".encode())
        self._ended.wait(_LAST_LINES)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def _relay(self, pipe: int) -> None:
        with os.fdopen(pipe, "rb") as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                if text == self._end:
                    self._ended.set()
                elif text:
                    log_event("stderr", text, level=logging.WARNING)


def _worth_telling(record: logging.LogRecord) -> bool:
    """All of emodask's own; of libraries, whatever their loggers let pass, what is a warning."""
    return record.name.partition(".")[0] == "emodask" or record.levelno >= logging.WARNING


def reroute_library_logs() -> None:
    """Let loggers that have handlers of their own, as Dask's have, log as all others do."""
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
            logger.handlers[:] = []
            logger.propagate = True
