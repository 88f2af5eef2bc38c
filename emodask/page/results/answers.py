"""How pages of results are asked for and answered: work in threads, what goes wrong in words."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from emodask.errors import EmodaskError
from emodask.page.results.clips import StoredRows, Stores
from emodask.page.results.media import why_not
from emodask.page.results.rendering import rendered
from emodask.page.results.runs import Run, Runs

Result = TypeVar("Result")

_THREADS = {"reading": 4, "listing": 16, "media": 4, "drawing": 1, "comparing": 1}
"""How many work at a time. One draws, since matplotlib's settings are one for all; one compares,
for what that takes of memory; who waits for a listing of sources holds up nobody's media."""
_log = logging.getLogger(__name__)


class Absent(Exception):
    """What is asked for is not there; the message says so on a page."""


class Answers:
    """What the answers to all requests share.

    Parameters
    ----------
    runs : Runs
    judging : bool
        Whether recordings are judged on the same server.
    """

    def __init__(self, runs: Runs, judging: bool) -> None:
        self.runs = runs
        self.judging = judging
        self.stores = Stores()
        self._limits: dict[str, anyio.CapacityLimiter] = {}

    async def in_thread(
        self, work: Callable[..., Result], *arguments: Any, kind: str = "reading"
    ) -> Result:
        """The result of some work, done where it holds up nobody but those of its kind."""
        if kind not in self._limits:  # it belongs to the event loop that runs now
            self._limits[kind] = anyio.CapacityLimiter(_THREADS[kind])
        return await run_sync(work, *arguments, limiter=self._limits[kind])

    async def listed(self, work: Callable[[], Result]) -> Result:
        """Something that may have to wait for a listing of sources."""
        return await self.in_thread(work, kind="listing")

    async def fetched(self, work: Callable[[], Result]) -> Result:
        """Something that may have to wait for media: others need not wait for it."""
        return await self.in_thread(work, kind="media")

    def answering(self, page: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """A page as an endpoint: what goes wrong becomes a page that says so."""

        @functools.wraps(page)
        async def answer(request: Request) -> Response:
            try:
                found: Response = await page(request)
                return found
            except Absent as error:
                return self.problem(request, 404, "Not found", str(error))
            except EmodaskError as error:
                return self.problem(request, 404, "Cannot be shown", f"{why_not(error)}.")
            except Exception:
                # Files of runs are what others wrote: a damaged one costs its page alone.
                _log.exception("a page of results failed")
                text = "The files of this run may be damaged; the server's log says more."
                return self.problem(request, 500, "Cannot be shown", text)

        return answer

    def problem(self, request: Request, status: int, heading: str, text: str) -> Response:
        """A page that says what is wrong."""
        crumbs = [(heading, "")]
        return rendered(
            request, "problem.html.jinja", self.judging, crumbs, status, heading=heading, text=text
        )

    def find(self, request: Request) -> Run:
        """The run that an address means.

        Raises
        ------
        Absent
        """
        run = self.runs.run(request.path_params["slug"])
        if run is None:
            raise Absent("There is no such run here; it may have been moved or deleted.")
        return run

    def rows_or_why(self, run: Run) -> tuple[StoredRows | None, str]:
        """The rows of a run's store, or why there are none."""
        try:
            return self.stores.rows(run), ""
        except EmodaskError as error:
            return None, f"{why_not(error)}."

    def found_clip(self, request: Request) -> tuple[Run, StoredRows, int]:
        """The clip that an address means: its run, the rows of the store, and which of them it is.

        Raises
        ------
        Absent, EmodaskError
        """
        run = self.find(request)
        rows = self.stores.rows(run)
        row = rows.row_of(request.path_params["clip"])
        if row is None:
            raise Absent("There is no such clip in this run.")
        return run, rows, row
