"""A password before everything that is served: HTTP's basic scheme, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any

from emodask.page.settings import USER


class PasswordGuard:
    """ASGI middleware that answers 401 to whoever does not give the name and the password."""

    def __init__(self, app: Any, password: str) -> None:
        self._app = app
        self._expected = f"{USER}:{password}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or self._allowed(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [
                (b"www-authenticate", b'Basic realm="emodask", charset="UTF-8"'),
                (b"content-type", b"text/plain; charset=utf-8"),
            ]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            text = f"A password is needed; the name is {USER}.\n".encode()
            await send({"type": "http.response.body", "body": text})

    def _allowed(self, scope: Any) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, coded = given.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            said = base64.b64decode(coded.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(said, self._expected)
