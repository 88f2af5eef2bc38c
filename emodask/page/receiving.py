"""A request with a recording in its form: received within limits, or refused in words."""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from emodask.page.judges.judgement import Problem
from emodask.page.judges.problems import NO_ROOM, too_large
from emodask.page.settings import PageSettings
from emodask.page.uploads import FIELD, NoUpload, Upload, UploadTooLarge, receive_upload

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORM_MOST = 1 << 20
"""Bytes by which a request may be larger than its recording."""
GIVEN_UP = (408, 413)
"""Statuses of answers after which the rest of a request is not read."""


async def received(
    request: Request, target: Path, settings: PageSettings, field: str = FIELD
) -> Upload:
    """Write the recording of a request to disk.

    Parameters
    ----------
    request : Request
    target : Path
    settings : PageSettings
        How large it may be, and how long it may take.
    field : str
        Of the form.

    Raises
    ------
    UploadTooLarge, NoUpload, TimeoutError, ClientDisconnect, OSError
        :func:`refused` has words for them.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.max_upload + _FORM_MOST:
        raise UploadTooLarge
    kind = request.headers.get("content-type", "")
    async with asyncio.timeout(settings.seconds):
        return await receive_upload(kind, request.stream(), target, settings.max_upload, field)


async def ignore_rest(request: Request, settings: PageSettings, begun: bool = False) -> None:
    """Read what is still being sent before it is refused.

    Who sends it reads no answer before, and none at all once a server has closed the connection.

    Parameters
    ----------
    request : Request
    settings : PageSettings
        How long it may take.
    begun : bool
        Whether some of it was read. If not, who has asked whether to send it is not asked to.
    """
    if not begun and request.headers.get("expect", "").lower() == "100-continue":
        return
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last: nothing is left
        async with asyncio.timeout(settings.seconds):
            async for _ in request.stream():
                pass


async def refused(
    request: Request, error: Exception, settings: PageSettings
) -> tuple[int, Problem]:
    """Status and words of an answer to a recording not received, once its sender can read them.

    Raises
    ------
    Exception
        The error itself, if it is none of those that recordings cause.
    """
    status, problem = _why_not(error, settings)
    if status not in GIVEN_UP:
        await ignore_rest(request, settings, begun=True)
    return status, problem


def _why_not(error: Exception, settings: PageSettings) -> tuple[int, Problem]:
    if isinstance(error, UploadTooLarge):
        return 413, too_large(settings.max_upload)
    if isinstance(error, NoUpload):
        return 422, Problem("not-media", str(error))
    if isinstance(error, TimeoutError):
        text = f"The recording took longer than {settings.seconds:g} seconds to arrive."
        return 408, Problem("took-too-long", text)
    if isinstance(error, ClientDisconnect):
        return 408, Problem("failed", "The recording did not arrive as a whole.")
    if isinstance(error, OSError) and error.errno in _FULL:
        return 503, NO_ROOM
    raise error
