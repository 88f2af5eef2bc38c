"""What the live page answers over HTTP: itself, its changes as they come, the report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from emodask.page.hosts import HostGuard
from emodask.page.live.state import LiveState
from emodask.page.live.view import package_text, page_html, update
from emodask.sources.addresses import is_url

_EVERY = 0.25
"""Seconds between two looks at the state; what changes faster is not sent one by one."""

_OWN = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_app(state: Callable[[], LiveState], run: str) -> Starlette:
    """The application of the page of a job.

    Parameters
    ----------
    state : callable
        Gives the present state; its clock is :func:`time.monotonic`.
    run : str
        A name that no other job's page has.
    """

    def page(request: Request) -> Response:
        now = state()
        html = page_html(now, run, time.monotonic(), report=_report(now) is not None)
        return Response(html, media_type="text/html", headers=_headers(_OWN))

    def as_json(request: Request) -> Response:
        facts = {"run": run, **state().as_dict(time.monotonic())}
        return JSONResponse(facts, headers=_headers(_OWN))

    def events(request: Request) -> Response:
        return StreamingResponse(
            _changes(state, run), media_type="text/event-stream", headers=_headers(_OWN)
        )

    def report(request: Request) -> Response:
        there = _report(state())
        if there is None:
            text = "The report is not written yet, or lies in a bucket."
            return Response(text, 404, _headers(_OWN), "text/plain")
        return FileResponse(there, media_type="text/html", headers=_headers(_REPORT))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/state.json", as_json),
            Route("/events", events),
            Route("/report/", report),
            _file("page.css", "text/css", _shared_look()),
            _file("live.css", "text/css", package_text("live.css")),
            _file("live.js", "text/javascript", package_text("live.js")),
        ],
        middleware=[Middleware(HostGuard, local=True)],
    )


async def _changes(state: Callable[[], LiveState], run: str) -> AsyncIterator[str]:
    """Server-sent events: the whole state, then what changes of it, to its end.

    Each listener is sent the present state when it can take it, so that a slow one holds nothing
    up.
    """
    sent: dict[str, object] = {}
    while True:
        now = state()
        whole = update(now, run, time.monotonic(), report=_report(now) is not None)
        parts = {
            name: value
            for name, value in whole.items()
            if not name.startswith("part-") or sent.get(name) != value
        }
        if whole != sent:
            yield f"data: {json.dumps(parts)}\n\n"
            sent = whole
        if now.outcome != "running":
            return
        await asyncio.sleep(_EVERY)


def _report(state: LiveState) -> Path | None:
    """The report's page, if it lies on this machine."""
    place = state.places.get("report", "")
    if not place or is_url(place):
        return None
    file = Path(place) / "index.html"
    return file if file.is_file() else None


def _file(name: str, kind: str, text: str) -> Route:
    return Route(f"/{name}", lambda request: Response(text, 200, _headers(_OWN), kind))


def _shared_look() -> str:
    return resources.files("emodask.evaluation.pages").joinpath("page.css").read_text("utf-8")


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
