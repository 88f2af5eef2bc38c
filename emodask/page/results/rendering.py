"""Answers of these pages: HTML that runs nothing, and the headers that make sure of it."""

from __future__ import annotations

import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from emodask.evaluation.pages.page import page_template

_PACKAGE = "emodask.page.results"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HEADERS = {
    **_ALWAYS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
REPORT_HEADERS = {
    **_ALWAYS,
    # A report in a bucket is what somebody wrote there: it gets no script, no form, no origin.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
}
FILE_HEADERS = {
    **_ALWAYS,
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
}
"""Of files that are sent as they are, to be played or kept."""

Crumbs = list[tuple[str, str]]
"""Labels and addresses from the first page to this one, whose address is empty."""


def rendered(
    request: Request, name: str, judging: bool, crumbs: Crumbs, code: int = 200, **values: Any
) -> HTMLResponse:
    """A page.

    Parameters
    ----------
    request : Request
    name : str
        Of the template.
    judging : bool
        Whether recordings are judged here too.
    crumbs : list of (str, str)
        Of the pages between the list and this one, this one included.
    code : int
    values
        What the template needs besides.
    """
    text = page_template(name, _PACKAGE).render(
        judging=judging,
        crumbs=[("Results", "/runs/" if crumbs else ""), *crumbs],
        moment=moment,
        **values,
    )
    return HTMLResponse(text, code, HEADERS)


def moment(text: str | None) -> str:
    """A time of a record for people; what cannot be read as one stays as it is.

    Examples
    --------
    >>> moment("2026-11-22T06:07:58Z"), moment("yesterday"), moment(None)
    ('2026-11-22 06:07 UTC', 'yesterday', '–')
    """
    if not text:
        return "–"
    try:
        found = datetime.datetime.fromisoformat(text)
        if found.tzinfo is None:
            return f"{found:%Y-%m-%d %H:%M}"
        return f"{found.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):  # before the year 1, seen from here
        return text[:40]
