"""Which names a page answers to, and which other pages may ask it: none."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Any

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(?::\d*)?", re.ASCII | re.IGNORECASE)

_FORWARDED = b"x-forwarded-host"
"""Gradio takes it for the name that people ask."""

_NAMELESS = "The request does not say by one name which host it asks.\n"
_OTHER_NAME = "This page answers to {}. Open it by such a name.{}\n"
_OTHER_PAGE = "The request comes from a page of another host, and only this one's own may ask.{}\n"
_REMEDY = " Behind a proxy of another name, start it with emodask serve --allow-host NAME."


class HostGuard:
    """ASGI middleware against pages of other hosts that ask this server behind a person's back.

    A name that is made to point to this machine (DNS rebinding) is another name in ``Host``, and is
    answered 421. A page of another host is named by its browser in ``Origin``, and is answered
    403 whatever it asks: Gradio alone lets pages of any host read it once it has a name of its own.
    Programs send no ``Origin``.

    Parameters
    ----------
    app : ASGI application
    local : bool
        Whether the server listens on loopback alone, and so answers to no other names.
    allowed : collection of str, optional
        Further names, without ports. If there are any, no other is answered wherever it listens,
        and pages of those names may ask, except loopback's: a proxy may stand before the server.
        None if people cannot give any.
    """

    def __init__(self, app: Any, local: bool, allowed: Collection[str] | None = None) -> None:
        self._app = app
        self._closed = local or bool(allowed)
        self._allowed = frozenset(_plain(name) for name in allowed or ())
        # Every server of the asking machine has these names: only this one's port is its own.
        self._elsewhere = {name for name in self._allowed if not is_loopback(name)}
        self._remedy = "" if allowed is None else _REMEDY

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        refused = None if scope["type"] == "lifespan" else self._refusal(scope["headers"])
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, text = refused
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": text.encode()})

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Status and words, if a request is not answered."""
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return 400, _NAMELESS
        forwarded = [value.decode("latin-1") for key, value in headers if key == _FORWARDED]
        asked = [name, *(host_name(value) or "" for value in forwarded)]
        if self._closed and not all(is_loopback(one) or one in self._allowed for one in asked):
            names = ", ".join(["localhost", *sorted(self._allowed - {"localhost"})])
            return 421, _OTHER_NAME.format(names, self._remedy)
        for origin in (value.decode("latin-1") for key, value in headers if key == b"origin"):
            _, _, place = origin.partition("://")
            if place.lower() != hosts[0].lower() and host_name(place) not in self._elsewhere:
                return 403, _OTHER_PAGE.format(self._remedy)
        return None


def host_name(host: str) -> str | None:
    """The name in a ``Host`` header, without the port; None if it holds none.

    Examples
    --------
    >>> host_name("LocalHost:7860"), host_name("[::1]:80"), host_name("127.0.0.1@example.org")
    ('localhost', '::1', None)
    """
    found = _HOST.fullmatch(host)
    return None if found is None else _plain(found[1])


def is_host_name(text: str) -> bool:
    """Whether a text is a name or an address of a host and nothing more.

    Examples
    --------
    >>> [is_host_name(text) for text in ("emotions.example.org", "fd00::5", "example.org:80", "")]
    [True, True, False, False]
    """
    bare = text.count(":") > 1 and not text.startswith("[")
    return host_name(f"[{text}]" if bare else text) == _plain(text)


def is_loopback(name: str) -> bool:
    """Whether a name means the machine that asks, whatever a name server says.

    Examples
    --------
    >>> [is_loopback(name) for name in ("localhost", "127.9.0.1", "::1", "localhost.example.org")]
    [True, True, True, False]
    """
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()
