"""The pages below ``/runs/``: what is asked for, found in threads, answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from emodask.errors import EmodaskError
from emodask.evaluation.run_files import METRICS, PREDICTIONS
from emodask.page.results.answers import Absent, Answers
from emodask.page.results.clip_page import by_protocol, clip_facts, pictures_of
from emodask.page.results.comparing import (
    Choice,
    Compared,
    compared,
    models_of,
    protocols_of,
)
from emodask.page.results.media import MediaFinder, content_type, why_not
from emodask.page.results.rendering import rendered
from emodask.page.results.runs import Run, Runs
from emodask.page.results.sending import Sending
from emodask.page.results.verdicts import Predictions
from emodask.page.results.views import (
    Filters,
    clips_view,
    counts_sentence,
    evaluation_view,
    failures_view,
)
from emodask.sources.catalogue import MediaFile

_WORDS = {"full-av": "Video with sound", "video-only": "Video alone", "audio-only": "Sound alone"}
_GET = ("GET", "HEAD")


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
        self._answers = Answers(runs, judging)
        self._predictions = Predictions()
        self._media = MediaFinder(runs.sources, runs.options)
        sending = Sending(self._answers, self._media)
        self.router = APIRouter(include_in_schema=False)
        for path, page in (
            ("/runs", self._redirect),
            ("/runs/", self._list),
            ("/runs/compare", self._compare),
            ("/runs/{slug}/", self._run),
            ("/runs/{slug}/report", sending.report),
            (f"/runs/{{slug}}/{METRICS}", sending.metrics),
            (f"/runs/{{slug}}/{PREDICTIONS}", sending.predictions),
            ("/runs/{slug}/clips", self._clips),
            ("/runs/{slug}/clips/{clip:path}", self._clip),
            ("/runs/{slug}/media/{kind}/{clip:path}", sending.play),
            ("/runs/{slug}/failures", self._failures),
            ("/runs/{rest:path}", self._nothing),
        ):
            self.router.add_route(path, self._answers.answering(page), methods=list(_GET))

    def close(self) -> None:
        """End what goes on in the background."""
        self._media.close()

    async def _redirect(self, request: Request) -> Response:
        return RedirectResponse("/runs/", 308)

    async def _nothing(self, request: Request) -> Response:
        raise Absent("There is no such page.")

    async def _list(self, request: Request) -> Response:
        listing = await self._answers.in_thread(self._runs.listing)
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
            run = self._answers.find(request)
            rows, why = self._answers.rows_or_why(run)
            view = evaluation_view(run)
            if run.has_store and why:
                view["troubles"] = (*view["troubles"], why)
            return run, view | {"counts": counts_sentence(run, rows)}

        run, view = await self._answers.in_thread(work)
        return self._page_of(request, run, "run.html.jinja", "", **view)

    def _page_of(
        self, request: Request, run: Run, name: str, label: str, *more: tuple[str, str], **view: Any
    ) -> Response:
        """A page of a run, below the page of that name."""
        here = f"/runs/{run.slug}/"
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

    async def _compare(self, request: Request) -> Response:
        asked = request.query_params
        choice = Choice(
            asked.get("a", ""),
            asked.get("b", ""),
            asked.get("protocol", ""),
            bool(asked.get("common")),
        )

        listing = await self._answers.in_thread(self._runs.listing)
        runs = [run for run in listing.runs if models_of(run)]
        outcome = Compared()
        if choice.made:
            outcome = await self._answers.in_thread(compared, choice, runs, kind="comparing")
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
            common_address=f"/runs/compare?{again}",
        )

    async def _clips(self, request: Request) -> Response:
        asked = request.query_params
        filters = Filters(*(asked.get(name, "") for name in vars(Filters())))

        def work() -> tuple[Run, dict[str, Any]]:
            run = self._answers.find(request)
            rows = self._answers.stores.rows(run)
            return run, clips_view(run, rows, self._predictions, filters, _page_number(request))

        run, view = await self._answers.in_thread(work)
        return self._page_of(
            request,
            run,
            "clips.html.jinja",
            "Clips",
            page_address=_pages(f"/runs/{run.slug}/clips", filters.asked),
            **view,
        )

    async def _failures(self, request: Request) -> Response:
        def work() -> tuple[Run, dict[str, Any]]:
            run = self._answers.find(request)
            return run, failures_view(run, *self._answers.rows_or_why(run), _page_number(request))

        run, view = await self._answers.in_thread(work)
        return self._page_of(
            request,
            run,
            "failures.html.jinja",
            "Failures",
            page_address=_pages(f"/runs/{run.slug}/failures", {}),
            **view,
        )

    async def _clip(self, request: Request) -> Response:
        run, rows, row = await self._answers.in_thread(self._answers.found_clip, request)
        root = f"/runs/{run.slug}"

        def work() -> dict[str, Any]:
            facts = clip_facts(rows, row)
            verdicts, verdict_trouble = [], ""
            try:
                verdicts = self._predictions.of(run, rows).of_row(row)
            except EmodaskError as error:
                verdict_trouble = f"{why_not(error)}."
            independent = {
                found.protocol: found.speaker_independent
                for found in (run.summary.rows if run.summary else ())
            }
            return {
                "facts": facts,
                "protocols": by_protocol(verdicts, list(independent)),
                "independent": independent,
                "verdict_trouble": verdict_trouble,
            }

        def media() -> dict[str, Any]:
            name = quote(str(rows.names[row]), safe="")
            try:
                found = self._media.of_clip(run, rows, str(rows.names[row]))
            except EmodaskError as error:
                return {"media": [], "media_trouble": why_not(error).rstrip(".")}
            players = [_player(one, f"{root}/media/{one.kind}/{name}") for one in found]
            return {"media": players, "media_trouble": ""}

        view = await self._answers.in_thread(work) | await self._answers.listed(media)
        seen = await self._answers.in_thread(pictures_of, run, rows, row, kind="drawing")
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
