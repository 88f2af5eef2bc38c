"""The server: the API and its page, the pages of results, and before all of them who may ask."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.routing import Mount

import emodask
from emodask.page.headers import SafeHeaders
from emodask.page.hosts import HostGuard
from emodask.page.http_api import make_router, refusal
from emodask.page.judges.judge import Judge
from emodask.page.judges.judgement import Problem
from emodask.page.password import PasswordGuard
from emodask.page.receiving import ignore_rest
from emodask.page.settings import PageSettings
from emodask.page.uploads import UploadFolder

if TYPE_CHECKING:
    from emodask.page.results.routes import ResultsPages
    from emodask.page.results.runs import Runs


def make_app(judge: Judge | None, settings: PageSettings, runs: Runs | None = None) -> FastAPI:
    """The application that a server runs.

    Parameters
    ----------
    judge : Judge or None
        Started; who started it closes it. Without one there is neither its page nor the API.
    settings : PageSettings
    runs : Runs, optional
        Whose pages are served below ``/runs/``.
    """
    folder = UploadFolder()
    results = _results_pages(runs, judge is not None) if runs is not None else None

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            folder.close()
            if results is not None:
                results.close()

    app = FastAPI(
        title="emodask",
        version=emodask.__version__,
        description="Which emotions a recording shows, to a bundle that learned from acted clips.",
        lifespan=lifespan,
        docs_url=None,  # its scripts would come from other hosts
        redoc_url=None,
    )
    app.state.uploads = folder  # for as long as the application
    if results is not None:
        app.include_router(results.router)
    if judge is not None:
        app.include_router(make_router(judge, settings, folder))

    @app.exception_handler(RequestValidationError)
    async def misused(request: Request, error: RequestValidationError) -> JSONResponse:
        await ignore_rest(request, settings)
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        return refusal(422, Problem("failed", f"{where}: {found['msg']}."))

    if judge is not None:
        _mount_page(app, judge, settings, folder, results is not None)
    else:

        @app.get("/", include_in_schema=False)
        async def first() -> RedirectResponse:
            return RedirectResponse("runs/")

    if settings.password is not None:
        app.add_middleware(PasswordGuard, password=settings.password)
    app.add_middleware(HostGuard, local=settings.local, allowed=settings.allow_hosts)
    app.add_middleware(SafeHeaders)
    return app


def _results_pages(runs: Runs, judging: bool) -> ResultsPages:
    """The pages of results, with what reading and drawing them needs."""
    from emodask.page.results.routes import ResultsPages

    return ResultsPages(runs, judging)


def _mount_page(
    app: FastAPI, judge: Judge, settings: PageSettings, folder: UploadFolder, results: bool
) -> None:
    """Put the page at ``/``, without any word to other hosts."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"  # it goes through them all after each event
    os.environ["GRADIO_TEMP_DIR"] = str(folder.path)  # it takes files below this alone
    import gradio

    from emodask.page.judging.gate import GradioGate
    from emodask.page.judging.page import make_page, page_events, page_options
    from emodask.page.judging.recording_routes import make_recording_router
    from emodask.page.judging.recordings import Recordings

    recordings = Recordings(folder.path / "page")
    app.include_router(make_recording_router(recordings, settings))
    page = make_page(judge, settings, recordings, results)
    gradio.mount_gradio_app(app, page, path="/", **page_options(settings))
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    mounted.app = GradioGate(mounted.app, recordings, page._queue, page_events(page))
