"""Promises of asking again: only for what may pass, a bounded number of times, ever more slowly."""

from __future__ import annotations

import asyncio
import errno
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.http_exceptions import ContentLengthError
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from yarl import URL

from emodask.errors import SourceError
from emodask.sources import retry
from emodask.sources.faults import ShortReadError, asked_wait, is_transient, reason
from emodask.sources.retry import ENOUGH, FIRST_WAIT, LONGEST_ASKED, LONGEST_WAIT, TRIES


class Clock(SimpleNamespace):
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        super().__init__(now=0.0, waits=[])

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()

    async def sleep(seconds: float) -> None:
        found.sleep(seconds)

    monkeypatch.setattr(retry, "time", found)
    monkeypatch.setattr(retry, "asyncio", SimpleNamespace(sleep=sleep, wait_for=asyncio.wait_for))
    return found


class Failing:
    """A call that fails some times and then succeeds, and counts how often it was made."""

    def __init__(self, error: Exception, times: int = 10**6) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "bytes"

    async def later(self) -> str:
        return self()


def run(call: Failing, asynchronous: bool) -> str:
    if asynchronous:
        return asyncio.run(retry.retrying_async(call.later))
    return retry.retrying(call)


def answer(status: int, code: str = "", headers: dict[str, str] | None = None) -> ClientError:
    """An error as botocore raises it for an answer of S3."""
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": metadata}, "GetObject")  # type: ignore[arg-type]


def web(status: int, headers: dict[str, str] | None = None) -> aiohttp.ClientResponseError:
    """An error as aiohttp raises it for an answer."""
    request: Any = SimpleNamespace(real_url=URL("http://host/a.zip"))
    return aiohttp.ClientResponseError(request, (), status=status, headers=headers)  # type: ignore[arg-type]


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


PASSING = [
    TimeoutError(),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    BrokenPipeError(errno.EPIPE, "broken pipe"),
    ShortReadError("got 1 of 2 bytes"),
    OSError(errno.EIO, "I/O error"),
    OSError(errno.ETIMEDOUT, "timed out"),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ServerTimeoutError(),
    aiohttp.ClientPayloadError("cut"),
    caused(aiohttp.ClientPayloadError("cut"), ContentLengthError("not enough data")),
    *(web(status) for status in (408, 425, 429, 500, 502, 503, 504)),
    *(answer(status) for status in (408, 429, 500, 502, 503, 504)),
    answer(400, "RequestTimeout"),
    answer(400, "BadDigest"),
    ReadTimeoutError(endpoint_url="http://host"),
    ConnectTimeoutError(endpoint_url="http://host"),
    EndpointConnectionError(endpoint_url="http://host"),
    caused(OSError(errno.EIO, "Slow Down"), answer(503, "SlowDown")),
    caused(FileNotFoundError("http://host/a.zip"), web(500)),
]

LASTING = [
    FileNotFoundError(errno.ENOENT, "no such file"),
    FileNotFoundError("s3://bucket/a.zip"),
    PermissionError(errno.EACCES, "permission denied"),
    OSError(errno.ENOSPC, "no space left on device"),
    OSError(errno.EDQUOT, "quota exceeded"),
    OSError(errno.EROFS, "read-only file system"),
    *(web(status) for status in (400, 401, 403, 404, 410, 416)),
    *(answer(status) for status in (400, 401, 403, 404)),
    answer(403, "SignatureDoesNotMatch"),
    caused(PermissionError("Access Denied"), answer(403, "AccessDenied")),
    ssl.SSLCertVerificationError("self-signed"),
    NoCredentialsError(),
    SourceError("a.zip: not a zip archive"),
    caused(SourceError("gave up"), TimeoutError()),
    ValueError("a mistake in the code"),
]


def name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", PASSING, ids=name)
def test_what_may_pass_is_asked_for_again_and_again_and_then_raised(clock, error, asynchronous):
    call = Failing(error)
    with pytest.raises(type(error)):
        run(call, asynchronous)
    assert call.calls == TRIES
    assert len(clock.waits) == TRIES - 1
    call = Failing(error, times=TRIES - 1)
    assert run(call, asynchronous) == "bytes"


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", LASTING, ids=name)
def test_what_lasts_is_asked_for_once(clock, error, asynchronous):
    call = Failing(error)
    with pytest.raises(type(error)):
        run(call, asynchronous)
    assert call.calls == 1
    assert clock.waits == []


def test_waits_double_up_to_a_longest_one_and_differ_between_workers(monkeypatch):
    for again in range(1, 12):
        longest = min(FIRST_WAIT * 2 ** (again - 1), LONGEST_WAIT)
        waits = {retry.wait_before(again) for _ in range(50)}
        assert len(waits) > 25
        assert longest / 2 <= min(waits) <= max(waits) <= longest


@pytest.mark.parametrize("error", [web, answer])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(clock, error):
    asks = (
        (lambda s: error(429, headers={"Retry-After": s}))
        if error is web
        else (lambda s: error(503, "SlowDown", {"retry-after": s}))
    )
    call = Failing(asks("30"), times=1)
    assert run(call, False) == "bytes"
    assert clock.waits == [30.0]
    call = Failing(asks(str(int(LONGEST_ASKED) + 1)))
    with pytest.raises(Exception, match=r"429|SlowDown"):
        run(call, False)
    assert call.calls == 1


def test_what_a_server_asks_for_in_no_number_of_seconds_is_passed_over():
    assert asked_wait(web(503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})) == 0.0
    assert asked_wait(web(503)) == 0.0
    assert asked_wait(TimeoutError()) == 0.0


def test_nothing_is_begun_again_after_long_enough(clock):
    def slow() -> str:
        calls.append(clock.now)
        clock.now += ENOUGH / 2 + 1
        raise TimeoutError

    calls: list[float] = []
    with pytest.raises(TimeoutError):
        retry.retrying(slow)
    assert len(calls) == 2


def test_a_try_that_takes_too_long_is_one_that_failed(clock):
    calls = []

    async def first_hangs() -> str:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return "bytes"

    assert asyncio.run(retry.retrying_async(first_hangs, limit=0.01)) == "bytes"
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (answer(503, "SlowDown"), "the server is overloaded (503)"),
        (answer(500), "the server failed (500)"),
        (answer(403, "SignatureDoesNotMatch"), "access denied (SignatureDoesNotMatch); check the"),
        (
            caused(aiohttp.ClientPayloadError("cut"), ContentLengthError("x")),
            "the connection broke",
        ),
        (ReadTimeoutError(endpoint_url="http://me:hush@host"), "the server did not answer in time"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (ShortReadError("got 1 of 2 bytes; cut short"), "got 1 of 2 bytes; cut short"),
    ],
    ids=lambda value: name(value) if isinstance(value, Exception) else "",
)
def test_errors_are_said_in_a_line_without_addresses_that_hold_secrets(error, said):
    assert reason(error).startswith(said)
    assert "hush" not in reason(error)
    assert is_transient(error) == (said[:6] not in ("access", "no spa"))
