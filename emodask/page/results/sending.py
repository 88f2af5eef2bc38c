"""Files of runs sent as they are: reports in a sandbox, downloads, recordings in ranges."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from emodask.evaluation.run_files import METRICS, PREDICTIONS
from emodask.page.results.answers import Absent, Answers
from emodask.page.results.folders import address_of
from emodask.page.results.media import Held, Lying, MediaFinder, Playable, content_type
from emodask.page.results.ranges import RangedResponse
from emodask.page.results.reading import read_bounded
from emodask.page.results.rendering import FILE_HEADERS, REPORT_HEADERS
from emodask.page.results.runs import MOST_METRICS, PAGE, Run
from emodask.sources.catalogue import MediaFile
from emodask.sources.location import Location

_STREAMS = 12
"""Recordings sent at a time: each may be held in memory."""
_MOST_PAGE = 64 << 20
_RELATIVE = re.compile(rb'''\bhref="(?![A-Za-z][A-Za-z0-9+.-]*:|[#/"])[^"]*"''')
"""A link of a report to a file on its own disk: here clips play on pages of their own."""


class Sending:
    """The answers that are files.

    Parameters
    ----------
    answers : Answers
    media : MediaFinder
    """

    def __init__(self, answers: Answers, media: MediaFinder) -> None:
        self._answers = answers
        self._media = media
        self._streams = 0

    async def report(self, request: Request) -> Response:
        """The page of a report, which may run nothing."""

        def work() -> bytes:
            run = self._answers.find(request)
            if PAGE not in run.stamps:
                raise Absent("There is no report of this run yet.")
            page = read_bounded(run.report, PAGE, _MOST_PAGE)
            return _RELATIVE.sub(b'href="clips"', page)

        page = await self._answers.in_thread(work)
        return Response(page, headers=REPORT_HEADERS)

    async def metrics(self, request: Request) -> Response:
        """``metrics.json``, to be kept."""
        return await self._download(request, METRICS, "application/json")

    async def predictions(self, request: Request) -> Response:
        """``predictions.csv``, to be kept."""
        return await self._download(request, PREDICTIONS, "text/csv; charset=utf-8")

    async def _download(self, request: Request, name: str, kind: str) -> Response:
        def work() -> tuple[Run, Playable]:
            run = self._answers.find(request)
            if name not in run.stamps:
                raise Absent(f"There is no {name} of this run.")
            if name == METRICS:
                return run, Held(read_bounded(run.report, name, MOST_METRICS))
            packed = tuple(sorted((run.options or {}).items()))
            where = Location(f"{address_of(run.report)}/{name}", packed).pinned()
            return run, Lying(where, where.size())

        run, found = await self._answers.in_thread(work)
        headers = {
            **FILE_HEADERS,
            "Content-Type": kind,
            "Content-Disposition": f'attachment; filename="{run.slug}-{name}"',
        }
        return RangedResponse(found, request, headers, self._answers.fetched)

    async def play(self, request: Request) -> Response:
        """A recording of a clip, or a range of it."""
        if self._streams >= _STREAMS:
            text = "Too many recordings are being played at the moment; try again in a while."
            busy = self._answers.problem(request, 503, "Busy", text)
            busy.headers["Retry-After"] = "5"
            return busy
        self._streams += 1
        handed_over = False

        def done() -> None:
            self._streams -= 1

        def wanted() -> MediaFile:
            run, rows, row = self._answers.found_clip(request)
            for one in self._media.of_clip(run, rows, str(rows.names[row])):
                if one.kind == request.path_params["kind"]:
                    return one
            raise Absent("There is no such recording of this clip.")

        try:
            one = await self._answers.listed(wanted)
            found = await self._answers.fetched(lambda: self._media.playable(one))
            headers = {**FILE_HEADERS, "Content-Type": str(content_type(one))}
            answer = RangedResponse(found, request, headers, self._answers.fetched, done)
            handed_over = True
            return answer
        finally:
            if not handed_over:
                done()
