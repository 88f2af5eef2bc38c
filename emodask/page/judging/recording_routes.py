"""How recordings reach the page's server and come back to its players.

In place of Gradio's own routes: those take any number of files, delete none that breaks off, and
give out and fetch more than recordings.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from emodask.page.judges.problems import BUSY
from emodask.page.judging.recordings import NoRoom, Recordings
from emodask.page.receiving import ignore_rest, received, refused
from emodask.page.settings import PageSettings
from emodask.page.uploads import shown_name

_FIELD = "files"
_EVERY = 0.2
"""Seconds between two looks at how much has arrived."""

_UNKNOWN_SECONDS = 3.0
"""How long news of an upload wait for its beginning."""


def make_recording_router(recordings: Recordings, settings: PageSettings) -> APIRouter:
    """The routes that Gradio's components send recordings to and fetch them from.

    Parameters
    ----------
    recordings : Recordings
    settings : PageSettings
    """
    router = APIRouter(include_in_schema=False)
    arriving: dict[str, Path] = {}

    @router.post("/gradio_api/upload")
    async def upload(request: Request, upload_id: str = "") -> Response:
        try:
            with recordings.arriving() as target:
                arriving[upload_id] = target
                try:
                    found = await received(request, target, settings, _FIELD)
                finally:
                    arriving.pop(upload_id, None)
                file = recordings.keep(found.file, _safe(found.name))
        except NoRoom:
            await ignore_rest(request, settings)
            return PlainTextResponse(BUSY.text, 503)
        except Exception as error:  # raised again if it is none that recordings cause
            status, problem = await refused(request, error, settings)
            return PlainTextResponse(problem.text, status)
        return Response(json.dumps([str(file)]), media_type="application/json")

    @router.get("/gradio_api/upload_progress")
    async def progress(upload_id: str) -> Response:
        for _ in range(int(_UNKNOWN_SECONDS / _EVERY)):
            if upload_id in arriving:
                break
            await asyncio.sleep(_EVERY)

        async def news() -> AsyncIterator[str]:
            told = 0
            while (target := arriving.get(upload_id)) is not None:
                there = target.stat().st_size if target.exists() else 0
                update = {"msg": "update", "orig_name": target.name, "chunk_size": there - told}
                told = there
                yield f"data: {json.dumps(update)}\n\n"
                await asyncio.sleep(_EVERY)
            yield 'data: {"msg": "done"}\n\n'

        return StreamingResponse(news(), media_type="text/event-stream")

    @router.api_route("/gradio_api/file={path:path}", methods=["GET", "HEAD"])
    async def play(path: str) -> Response:
        file = recordings.held(path)
        if file is None:
            return PlainTextResponse("There is no such recording.", 404)
        kind = mimetypes.guess_type(file.name)[0] or ""
        if kind.startswith(("video/", "audio/")):
            return FileResponse(file, media_type=kind)
        return FileResponse(file, media_type="application/octet-stream", filename=file.name)

    return router


def _safe(name: str) -> str:
    """A name that a file on any disk may have."""
    plain = shown_name(name).replace(":", "_").strip(". ")
    while len(plain.encode()) > 200:
        plain = plain[1:]
    return plain or "recording"
