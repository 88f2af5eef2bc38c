"""The HTTP API: what programs send and get, typed, so that ``/openapi.json`` describes it."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

import emodask
from emodask.page.judges.judge import Judge
from emodask.page.judges.judgement import Judgement, Problem, ProblemCode
from emodask.page.judges.problems import BUSY
from emodask.page.receiving import GIVEN_UP, ignore_rest, received, refused
from emodask.page.settings import PageSettings
from emodask.page.uploads import FIELD, UploadFolder

_RETRY_AFTER = "10"
"""Seconds after which a program that was turned away may ask again."""

_SPARE = 8
"""Uploads beyond those that are judged and wait: they arrive meanwhile, and may find a place."""


class ProblemAnswer(BaseModel):
    """Why a recording has no verdict."""

    code: ProblemCode
    text: str = Field(description="For people: what was found, and what would be right.")


class Refusal(BaseModel):
    """The answer to a recording that has no verdict."""

    problem: ProblemAnswer


class StepAnswer(BaseModel):
    """What the bundle says of one window along the recording."""

    start: float = Field(description="Seconds from the beginning.")
    end: float
    top_two: dict[str, float]
    probabilities: dict[str, float] = Field(description="Empty if it could not be judged.")
    reason: str | None = Field(description="Why not, such as silence.")


class PictureAnswer(BaseModel):
    """Pictures of what the bundle saw and heard: PNG files in base64."""

    face: str | None = None
    voice: str | None = None


class Verdict(BaseModel):
    """What a bundle says of one recording."""

    name: str
    seconds: float
    bundle: str | None
    modalities: list[str]
    emotion: str | None = Field(description="The most likely one.")
    top_two: dict[str, float]
    probabilities: dict[str, float]
    trust: str | None = Field(description="What the probabilities are.")
    notes: list[str]
    steps: list[StepAnswer]
    problem: ProblemAnswer | None = None
    pictures: PictureAnswer | None = None


class BundleAnswer(BaseModel):
    """What to know of a bundle before believing it."""

    name: str
    modalities: list[str]
    emotions: list[str]
    trained_on: str
    figure: str
    warning: str
    trust: str


class Limits(BaseModel):
    """What a recording may cost."""

    max_upload: int = Field(description="Bytes.")
    max_seconds: float = Field(description="How long it may be.")
    seconds: float = Field(description="How long judging it may take.")
    waiting: int = Field(description="How many may wait.")


class Bundles(BaseModel):
    """The bundles that judge here: the first that a recording has enough for judges it."""

    bundles: list[BundleAnswer]
    limits: Limits


class Health(BaseModel):
    """Whether recordings can be judged."""

    status: str = Field(description="ok, or starting while no judge process runs.")
    judges: int = Field(description="Judge processes that run.")
    version: str


_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"model": Refusal, "description": "The recording arrived too slowly."},
    413: {"model": Refusal, "description": "The recording is too large."},
    422: {"model": Refusal, "description": "There is no verdict on the recording."},
    503: {
        "model": Refusal,
        "description": "Too many wait, or the disk is full; Retry-After says when to ask again.",
    },
}


def make_router(judge: Judge, settings: PageSettings, folder: UploadFolder) -> APIRouter:
    """The routes below ``/api``.

    Parameters
    ----------
    judge : Judge
        Started.
    settings : PageSettings
    folder : UploadFolder
        Where recordings lie while they are judged.
    """
    router = APIRouter(prefix="/api", tags=["emodask"])
    limiter: list[anyio.CapacityLimiter] = []
    uploads = asyncio.Semaphore(judge.places + _SPARE)

    async def judged(request: Request) -> Judgement:
        if not limiter:  # it belongs to the event loop that runs now
            limiter.append(anyio.CapacityLimiter(judge.places + _SPARE))
        if uploads.locked():  # each may take its whole size of the disk
            await ignore_rest(request, settings)
            return Judgement("", problem=BUSY)
        async with uploads:
            return await admitted(request)

    async def admitted(request: Request) -> Judgement:
        with folder.file() as target:
            upload = await received(request, target, settings)
            return await run_sync(judge.judge, upload.file, upload.name, limiter=limiter[0])

    @router.post("/predict", responses=_REFUSALS, openapi_extra=_UPLOAD, response_model=Verdict)
    async def predict(
        request: Request,
        pictures: Annotated[
            bool, Query(description="Add pictures of what the bundle saw and heard.")
        ] = False,
    ) -> Any:
        """Judge one recording: video, sound or both, in the form's field ``file``."""
        try:
            found = await judged(request)
        except Exception as error:  # raised again if it is none that recordings cause
            return refusal(*await refused(request, error, settings))
        if found.problem is not None:
            return refusal(503 if found.problem.code == "busy" else 422, found.problem)
        answer = found.as_dict()
        if pictures:
            answer["pictures"] = {
                name: base64.b64encode(data).decode() for name, data in found.pictures.items()
            }
        return answer

    @router.get("/bundles")
    def bundles() -> Bundles:
        """What judges here, and what a recording may cost."""
        cards = [BundleAnswer(**card.as_dict()) for card in judge.cards]
        return Bundles(
            bundles=cards,
            limits=Limits(
                max_upload=settings.max_upload,
                max_seconds=settings.max_seconds,
                seconds=settings.seconds,
                waiting=settings.waiting,
            ),
        )

    @router.get("/health")
    def health() -> Health:
        """Whether recordings can be judged now."""
        running = len(judge.pids)
        status = "ok" if running else "starting"
        return Health(status=status, judges=running, version=emodask.__version__)

    return router


def refusal(status: int, problem: Problem) -> JSONResponse:
    """The answer that says a problem."""
    headers = {"Retry-After": _RETRY_AFTER} if status == 503 else {}
    if status in GIVEN_UP:
        headers["Connection"] = "close"
    return JSONResponse({"problem": problem.as_dict()}, status, headers)
