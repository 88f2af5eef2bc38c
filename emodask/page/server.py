"""The server: the API, the page before it if there is one, and a password before both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

import emodask
from emodask.page.headers import SafeHeaders
from emodask.page.http_api import make_router, refusal
from emodask.page.judges.judge import Judge
from emodask.page.judges.judgement import Problem
from emodask.page.password import PasswordGuard
from emodask.page.settings import PageSettings
from emodask.page.uploads import UploadFolder


def make_app(judge: Judge, settings: PageSettings) -> FastAPI:
    """The application that a server runs.

    Parameters
    ----------
    judge : Judge
        Started; who started it closes it.
    settings : PageSettings
    """
    folder = UploadFolder()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            folder.close()

    app = FastAPI(
        title="emodask",
        version=emodask.__version__,
        description="Which emotions a recording shows, to a bundle that learned from acted clips.",
        lifespan=lifespan,
        docs_url=None,  # its scripts would come from other hosts
        redoc_url=None,
    )
    app.state.uploads = folder  # for as long as the application
    app.include_router(make_router(judge, settings, folder))

    @app.exception_handler(RequestValidationError)
    async def misused(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        return refusal(422, Problem("failed", f"{where}: {found['msg']}."))

    _mount_page(app, judge, settings, folder)
    if settings.password is not None:
        app.add_middleware(PasswordGuard, password=settings.password)
    app.add_middleware(SafeHeaders)
    return app


def _mount_page(app: FastAPI, judge: Judge, settings: PageSettings, folder: UploadFolder) -> None:
    """Put the page at ``/``, without any word to other hosts."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder.path / "page")
    import gradio

    from emodask.page.judging.page import make_page, page_options

    gradio.mount_gradio_app(app, make_page(judge, settings), path="/", **page_options(settings))
