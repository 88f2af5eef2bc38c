"""The pages below ``/runs/``: what is asked for, found in threads, answered."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emodask.errors import EmodaskError
from emodask.evaluation.run_files import METRICS, PREDICTIONS
from emodask.page.results.clip_page import by_protocol, clip_facts, pictures_of
from emodask.page.results.clips import StoredRows, Stores
from emodask.page.results.comparing import (
    Choice,
    Compared,
    compared,
    models_of,
    protocols_of,
)
from emodask.page.results.media import Held, Lying, MediaFinder, Playable, content_type, why_not
from emodask.page.results.ranges import RangedResponse
from emodask.page.results.reading import read_bounded
from emodask.page.results.rendering import FILE_HEADERS, REPORT_HEADERS, rendered
from emodask.page.results.runs import MOST_METRICS, PAGE, Run, Runs, address_of
from emodask.page.results.verdicts import Predictions
from emodask.page.results.views import (
    Filters,
    clips_view,
    counts_sentence,
    evaluation_view,
    failures_view,
)
from emodask.sources.catalogue import MediaFile
from emodask.sources.location import Location

Result = TypeVar("Result")

_THREADS = {"reading": 4, "media": 4, "drawing": 1}
"""How many work at a time; one draws, since matplotlib's settings are one for all."""
_log = logging.getLogger(__name__)
_STREAMS = 12
"""Recordings sent at a time: each may be held in memory."""
MOST_PAGE = 64 << 20
_WORDS = {"full-av": "Video with sound", "video-only": "Video alone", "audio-only": "Sound alone"}
_GET = ("GET", "HEAD")


class _Absent(Exception):
    """What is asked for is not there; the message says so on a page."""


class ResultsPages:
    """The pages of some runs.

    Parameters
    ----------
    runs : Runs
    judging : bool
        Whether recordings are judged on the same server.

    Attributes
    ----------
    router : fastapi.APIRouter
    """

    def __init__(self, runs: Runs, judging: bool) -> None:
        self._runs = runs
        self._judging = judging
        self._stores = Stores()
        self._predictions = Predictions()
        self._media = MediaFinder(runs.sources, runs.options)
        self._limits: dict[str, anyio.CapacityLimiter] = {}
        self._streams = 0
        self.router = APIRouter(include_in_schema=False)
        for path, page in (
            ("/runs", self._redirect),
            ("/runs/", self._list),
            ("/runs/compare", self._compare),
            ("/runs/{slug}/", self._run),
            ("/runs/{slug}/report", self._report),
            (f"/runs/{{slug}}/{METRICS}", self._metrics),
            (f"/runs/{{slug}}/{PREDICTIONS}", self._predictions_file),
            ("/runs/{slug}/clips", self._clips),
            ("/runs/{slug}/clips/{clip:path}", self._clip),
            ("/runs/{slug}/media/{kind}/{clip:path}", self._play),
            ("/runs/{slug}/failures", self._failures),
            ("/runs/{rest:path}", self._nothing),
        ):
            self.router.add_route(path, self._answering(page), methods=list(_GET))

    def close(self) -> None:
        """End what goes on in the background."""
        self._media.close()

    async def _in_thread(
        self, work: Callable[..., Result], *arguments: Any, kind: str = "reading"
    ) -> Result:
        if kind not in self._limits:  # it belongs to the event loop that runs now
            self._limits[kind] = anyio.CapacityLimiter(_THREADS[kind])
        return await run_sync(work, *arguments, limiter=self._limits[kind])

    async def _fetched(self, work: Callable[[], Result]) -> Result:
        """Something that may have to wait for media: others need not wait for it."""
        return await self._in_thread(work, kind="media")

    def _answering(self, page: Callable[[Request], Any]) -> Callable[[Request], Any]:
        @functools.wraps(page)
        async def answer(request: Request) -> Response:
            try:
                found: Response = await page(request)
                return found
            except _Absent as error:
                return self._problem(request, 404, "Not found", str(error))
            except EmodaskError as error:
                return self._problem(request, 404, "Cannot be shown", f"{why_not(error)}.")
            except Exception:
                # Files of runs are what others wrote: a damaged one costs its page alone.
                _log.exception("a page of results failed")
                text = "The files of this run may be damaged; the server's log says more."
                return self._problem(request, 500, "Cannot be shown", text)

        return answer

    def _problem(self, request: Request, status: int, heading: str, text: str) -> Response:
        crumbs = [(heading, "")]
        return rendered(
            request, "problem.html.jinja", self._judging, crumbs, status, heading=heading, text=text
        )

    def _find(self, request: Request) -> Run:
        run = self._runs.run(request.path_params["slug"])
        if run is None:
            raise _Absent("There is no such run here; it may have been moved or deleted.")
        return run

    def _rows_or_why(self, run: Run) -> tuple[StoredRows | None, str]:
        try:
            return self._stores.rows(run), ""
        except EmodaskError as error:
            return None, f"{why_not(error)}."

    def _found_clip(self, request: Request) -> tuple[Run, StoredRows, int]:
        run = self._find(request)
        rows = self._stores.rows(run)
        row = rows.row_of(request.path_params["clip"])
        if row is None:
            raise _Absent("There is no such clip in this run.")
        return run, rows, row

    async def _redirect(self, request: Request) -> Response:
        return RedirectResponse(f"{_root(request)}/runs/", 308)

    async def _nothing(self, request: Request) -> Response:
        raise _Absent("There is no such page.")

    async def _list(self, request: Request) -> Response:
        listing = await self._in_thread(self._runs.listing)
        by_score = request.query_params.get("order") == "best"
        runs = listing.ranked() if by_score else listing.runs
        return rendered(
            request,
            "runs.html.jinja",
            self._judging,
            [],
            listing=listing,
            runs=runs,
            by_score=by_score,
        )

    async def _run(self, request: Request) -> Response:
        def work() -> tuple[Run, dict[str, Any]]:
            run = self._find(request)
            rows, why = self._rows_or_why(run)
            view = evaluation_view(run)
            if run.has_store and why:
                view["troubles"] = (*view["troubles"], why)
            return run, view | {"counts": counts_sentence(run, rows)}

        run, view = await self._in_thread(work)
        return self._page_of(request, run, "run.html.jinja", "", **view)

    def _page_of(
        self, request: Request, run: Run, name: str, label: str, *more: tuple[str, str], **view: Any
    ) -> Response:
        """A page of a run, below the page of that name."""
        here = f"{_root(request)}/runs/{run.slug}/"
        crumbs = [(run.name, here if label else ""), *more]
        if label:
            crumbs.append((label, ""))

        def clip_address(clip: str) -> str:
            return f"{here}clips/{quote(clip, safe='')}"

        return rendered(
            request,
            name,
            self._judging,
            crumbs,
            run=run,
            here=here,
            clip_address=clip_address,
            **view,
        )

    async def _report(self, request: Request) -> Response:
        def work() -> bytes:
            run = self._find(request)
            if PAGE not in run.stamps:
                raise _Absent("There is no report of this run yet.")
            return read_bounded(run.report, PAGE, MOST_PAGE)

        page = await self._in_thread(work)
        return Response(page, headers=REPORT_HEADERS)

    async def _metrics(self, request: Request) -> Response:
        return await self._download(request, METRICS, "application/json")

    async def _predictions_file(self, request: Request) -> Response:
        return await self._download(request, PREDICTIONS, "text/csv; charset=utf-8")

    async def _download(self, request: Request, name: str, kind: str) -> Response:
        def work() -> tuple[Run, Playable]:
            run = self._find(request)
            if name not in run.stamps:
                raise _Absent(f"There is no {name} of this run.")
            if name == METRICS:
                return run, Held(read_bounded(run.report, name, MOST_METRICS))
            packed = tuple(sorted((run.options or {}).items()))
            where = Location(f"{address_of(run.report)}/{name}", packed).pinned()
            return run, Lying(where, where.size())

        run, found = await self._in_thread(work)
        headers = {
            **FILE_HEADERS,
            "Content-Type": kind,
            "Content-Disposition": f'attachment; filename="{run.slug}-{name}"',
        }
        return RangedResponse(found, request, headers, self._fetched)

    async def _compare(self, request: Request) -> Response:
        asked = request.query_params
        choice = Choice(
            asked.get("a", ""),
            asked.get("b", ""),
            asked.get("protocol", ""),
            bool(asked.get("common")),
        )

        def work() -> tuple[list[Run], Compared]:
            evaluated = [run for run in self._runs.listing().runs if models_of(run)]
            return evaluated, compared(choice, evaluated) if choice.made else Compared()

        runs, outcome = await self._in_thread(work)
        by_slug = {run.slug: run for run in runs}
        again = urlencode({"a": choice.a, "b": choice.b, "protocol": choice.protocol, "common": 1})
        return rendered(
            request,
            "compare.html.jinja",
            self._judging,
            [("Compare two", "")],
            choices=[(run, models_of(run)) for run in runs],
            protocols=protocols_of(runs),
            choice=choice,
            outcome=outcome,
            run_a=by_slug.get(choice.a.partition("/")[0]),
            run_b=by_slug.get(choice.b.partition("/")[0]),
            common_address=f"{_root(request)}/runs/compare?{again}",
        )

    async def _clips(self, request: Request) -> Response:
        asked = request.query_params
        filters = Filters(*(asked.get(name, "") for name in vars(Filters())))

        def work() -> tuple[Run, dict[str, Any]]:
            run = self._find(request)
            rows = self._stores.rows(run)
            return run, clips_view(run, rows, self._predictions, filters, _page_number(request))

        run, view = await self._in_thread(work)
        return self._page_of(
            request,
            run,
            "clips.html.jinja",
            "Clips",
            page_address=_pages(f"{_root(request)}/runs/{run.slug}/clips", filters.asked),
            **view,
        )

    async def _failures(self, request: Request) -> Response:
        def work() -> tuple[Run, dict[str, Any]]:
            run = self._find(request)
            return run, failures_view(run, *self._rows_or_why(run), _page_number(request))

        run, view = await self._in_thread(work)
        return self._page_of(
            request,
            run,
            "failures.html.jinja",
            "Failures",
            page_address=_pages(f"{_root(request)}/runs/{run.slug}/failures", {}),
            **view,
        )

    async def _clip(self, request: Request) -> Response:
        run, rows, row = await self._in_thread(self._found_clip, request)
        root = f"{_root(request)}/runs/{run.slug}"

        def work() -> dict[str, Any]:
            facts = clip_facts(rows, row)
            name = quote(facts.clip, safe="")
            verdicts, verdict_trouble = [], ""
            try:
                verdicts = self._predictions.of(run, rows).of_row(row)
            except EmodaskError as error:
                verdict_trouble = f"{why_not(error)}."
            media, media_trouble = [], ""
            try:
                for one in self._media.of_clip(run, rows, facts.clip):
                    address = f"{root}/media/{one.kind}/{name}"
                    media.append(_player(one, address))
            except EmodaskError as error:
                media_trouble = why_not(error).rstrip(".")
            independent = {
                found.protocol: found.speaker_independent
                for found in (run.summary.rows if run.summary else ())
            }
            return {
                "facts": facts,
                "protocols": by_protocol(verdicts, list(independent)),
                "leaky": {one.protocol: not independent.get(one.protocol) for one in verdicts},
                "verdict_trouble": verdict_trouble,
                "media": media,
                "media_trouble": media_trouble,
            }

        view = await self._fetched(work)
        seen = await self._in_thread(pictures_of, run, rows, row, kind="drawing")
        return self._page_of(
            request,
            run,
            "clip.html.jinja",
            view["facts"].clip,
            ("Clips", f"{root}/clips"),
            seen=seen,
            one_clip=True,
            **view,
        )

    async def _play(self, request: Request) -> Response:
        if self._streams >= _STREAMS:
            text = "Too many recordings are being played at the moment; try again in a while."
            busy = self._problem(request, 503, "Busy", text)
            busy.headers["Retry-After"] = "5"
            return busy
        self._streams += 1
        handed_over = False

        def done() -> None:
            self._streams -= 1

        def work() -> tuple[Playable, str]:
            run, rows, row = self._found_clip(request)
            for one in self._media.of_clip(run, rows, str(rows.names[row])):
                if one.kind == request.path_params["kind"]:
                    return self._media.playable(one), str(content_type(one))
            raise _Absent("There is no such recording of this clip.")

        try:
            found, kind = await self._fetched(work)
            headers = {**FILE_HEADERS, "Content-Type": kind}
            answer = RangedResponse(found, request, headers, self._fetched, done)
            handed_over = True
            return answer
        finally:
            if not handed_over:
                done()


def _root(request: Request) -> str:
    return quote(request.scope.get("root_path", "").rstrip("/"))


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "")
    return int(text[:9]) if text.isascii() and text.isdigit() else 1


def _pages(address: str, asked: dict[str, str]) -> Callable[[int], str]:
    """Addresses of the pages of a table."""
    return lambda number: f"{address}?{urlencode({**asked, 'page': number})}"


def _player(media: MediaFile, address: str) -> dict[str, Any]:
    return {
        "address": address,
        "what": _WORDS[media.kind],
        "name": media.where.name.rpartition("/")[2],
        "video": str(content_type(media)).startswith("video/"),
    }
