"""What of Gradio's answers a page may ask for: its own files, its events and no more.

Gradio's server also copies files of the machine to where they can be read, fetches addresses,
decodes uploads and tells what it runs. None of that is reached.
"""

from __future__ import annotations

import re
from typing import Any

_READ = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/(assets|static)/[\w./-]+"
    r"|/gradio_api/(startup-events|queue/data|heartbeat/\w+)",
    re.ASCII,
)
_WRITTEN = re.compile(r"/gradio_api/(queue/join|cancel|reset)", re.ASCII)

MOST_BODY = 1 << 20
"""Bytes of an event: names of recordings and what players are set to."""


class GradioGate:
    """ASGI application that hands on to Gradio what its page needs, and answers 404 to all else.

    Parameters
    ----------
    app : ASGI application
        Gradio's.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status = self._refusal(scope)
        if not status:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"There is nothing of this kind.\n"})

    def _refusal(self, scope: Any) -> int:
        """Status of a refusal; 0 if it is answered."""
        if scope["type"] != "http":
            return 404
        path = scope["path"]
        if scope["method"] in ("GET", "HEAD"):
            return 0 if _READ.fullmatch(path) and ".." not in path else 404
        if scope["method"] != "POST" or not _WRITTEN.fullmatch(path):
            return 404
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            return 411
        return 413 if int(length) > MOST_BODY else 0
