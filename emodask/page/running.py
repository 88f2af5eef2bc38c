"""The server while it runs: says when it answers, and ends without waiting for anybody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn

_MOST_CONNECTIONS = 800
"""At a time; more are told to come again. Programs may have 1024 files open on most machines."""

_ANSWERING = 1.0
"""Seconds that answers under way have when the server ends; an open page holds one for ever."""

_CLOSING = 5
"""Seconds after which uvicorn gives up whatever has not ended by then, and says so."""


class PageServer(uvicorn.Server):
    """A server that ends what it judges first, then all connections.

    Parameters
    ----------
    app : ASGI application
    on_serving : callable
        Called once it answers.
    on_ending : callable
        Called in a thread when it has been told to end; may take time.
    """

    def __init__(
        self, app: Callable, on_serving: Callable[[], None], on_ending: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSING,
            limit_concurrency=_MOST_CONNECTIONS,
        )
        super().__init__(config)
        self._on_serving = on_serving
        self._on_ending = on_ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let no new connections in, answer what is judged with a problem, end the others."""
        ending = asyncio.create_task(self._end_connections())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_connections(self) -> None:
        await asyncio.to_thread(self._on_ending)
        await asyncio.sleep(_ANSWERING)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # as if whoever asks had left: to answers, no error
