"""The page of a running job: its state, and the thread whose server shows it until the job ends."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

import uvicorn

from emodask.display.log_lines import plain
from emodask.page.live.app import make_app
from emodask.page.live.state import LiveState, after
from emodask.page.serving import take_address
from emodask.run_record import ending
from emodask.scrubbing import scrub
from emodask.sources.faults import reason

HOST = "127.0.0.1"

_CLOSING = 2
"""Seconds that browsers have to take the end of the job; the command waits no longer."""

_MOST = 64
"""Connections at a time; more are turned away."""


class LivePage:
    """Shows a job to browsers of this machine, for as long as it runs.

    It is a context: leaving it says how the job ended to all who watch, and closes the port. The
    server has a thread and an event loop of its own; whatever befalls it is said once, and the job
    goes on.

    Parameters
    ----------
    port : int
        0 takes one that is free.
    say : callable
        Told if the page breaks.

    Raises
    ------
    UsageError
        If the port cannot be taken.
    """

    def __init__(self, port: int, say: Callable[[str], None]) -> None:
        self.state = LiveState(began=time.monotonic())
        self._say = say
        self._changing = threading.Lock()
        self._broken = self._closing = False
        self._socket = take_address(HOST, port, "--page-port")
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            make_app(lambda: self.state, secrets.token_hex(8)),
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            limit_concurrency=_MOST,
            timeout_graceful_shutdown=_CLOSING,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="emodask-page", daemon=True)

    def __enter__(self) -> LivePage:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(error)
        self._closing = True
        self._server.should_exit = True
        try:
            self._thread.join(2 * _CLOSING)
        finally:
            self._socket.close()

    def take(
        self, event: str, message: str = "", *, level: int = logging.INFO, **fields: Any
    ) -> None:
        """Take an event, as :func:`emodask.display.log_event` does."""
        if self._broken:
            return
        try:
            with self._changing:
                self.state = after(
                    self.state, event, scrub(message), plain(fields), time.monotonic()
                )
        except Exception as error:  # what people watch must not harm the job
            self._break(error)

    def _end(self, error: BaseException | None) -> None:
        """Take how the command ended."""
        outcome, why = "failed" if self.state.reason else "finished", self.state.reason
        if error is not None:
            outcome, _, why = ending(error)
        with self._changing:
            self.state = replace(
                self.state,
                ended=time.monotonic(),
                outcome=outcome,
                reason=scrub(why),
            )

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:  # uvicorn leaves by SystemExit, too
            self._break(error)
        else:
            if not self._closing:
                self._break(RuntimeError("its server ended"))
        finally:
            self._socket.close()

    def _break(self, error: BaseException) -> None:
        if not (self._broken or self._closing):
            self._broken = self._server.should_exit = True
            self._say(f"the page has broken ({scrub(reason(error))}); the job goes on without it")
