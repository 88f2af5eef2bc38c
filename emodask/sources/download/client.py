"""A polite HTTP client: time-outs, bounded retries, Retry-After, and a token for one host alone."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urljoin, urlsplit

from emodask import __version__
from emodask.errors import SourceError, UnreachableError, UsageError
from emodask.scrubbing import clean_cause
from emodask.sources.download.record import is_web_address
from emodask.sources.location import reason, redact

if TYPE_CHECKING:
    from aiohttp import ClientResponse

USER_AGENT = f"emodask/{__version__}"

_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_RECORD_MAX = 16 << 20


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to ask it again.

    Attributes
    ----------
    connect, stall : float
        Seconds until a connection that is not made, or brings nothing, is given up.
    least_rate : float
        Bytes a second below which a transfer counts as stalled, over ``stall`` seconds.
    tries : int
        Requests in a row that bring nothing new before a file is given up.
    first_wait, longest_wait : float
        Seconds before the second try, doubled for each further one up to the longest.
    longest_retry_after : float
        A server that asks for a longer pause than this is not waited for.
    """

    connect: float = 20.0
    stall: float = 60.0
    least_rate: float = 256.0
    tries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_retry_after: float = 900.0

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, with jitter against stampedes."""
        longest = min(self.longest_wait, self.first_wait * 2 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)


class TryAgain(Exception):
    """A failure that may pass: a broken connection, a busy server.

    Attributes
    ----------
    wait : float or None
        Seconds that the server asks to wait for.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Client:
    """Requests to one API and to where it points, over one pool of connections.

    Parameters
    ----------
    base : str
        Address of the API, such as ``https://zenodo.org``.
    token : str, optional
        Sent to the API's own scheme, host and port alone, whatever redirects say.
    """

    def __init__(self, base: str, token: str | None = None, patience: Patience | None = None):
        self.base = base.rstrip("/")
        if not is_web_address(self.base):
            raise SourceError(f"{redact(base)}: not an http(s) address of a Zenodo API")
        # A line break would end the header, and the error for it would show the token.
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise UsageError("ZENODO_TOKEN holds a space or a character that no token has")
        self._token = token
        self.patience = patience or Patience()

    async def __aenter__(self) -> Client:
        import aiohttp

        # The caller's own work on the bytes may fail too: its OSError is not the server's.
        self._broken = (aiohttp.ClientError, TimeoutError, ConnectionError)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self.patience.connect, sock_read=self.patience.stall
            ),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
            auto_decompress=False,  # nothing packed was asked for, and a bomb must not be inflated
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @asynccontextmanager
    async def get(
        self, url: str, headers: dict[str, str] | None = None
    ) -> AsyncIterator[ClientResponse]:
        """Send one GET and follow its redirects.

        Raises
        ------
        TryAgain
            If the connection fails or breaks, in the caller's reading too, or the server is busy.
        SourceError
            If it refuses for good, as with 404.
        """
        try:
            response = await self._follow(url, headers or {})
        except (*self._broken, OSError) as error:
            raise TryAgain(_describe(error)) from clean_cause(error)
        try:
            if response.status in _RETRIED:
                raise TryAgain(f"the server answers {_status(response)}", _retry_after(response))
            if response.status >= 400 and response.status != 416:
                _refuse(response)
            yield response
        except self._broken as error:
            raise TryAgain(_describe(error)) from clean_cause(error)
        finally:
            response.close()

    async def _follow(self, url: str, headers: dict[str, str]) -> ClientResponse:
        from yarl import URL

        for _ in range(_MOST_REDIRECTS + 1):
            sent = {**headers, "Authorization": f"Bearer {self._token}"}
            if not self._token or _origin(url) != _origin(self.base):
                del sent["Authorization"]
            # A signed address has to arrive as it was given: not quoted anew.
            response = await self._session.get(
                URL(url, encoded=True), headers=sent, allow_redirects=False
            )
            if response.status not in _REDIRECTS:
                return response
            target = _redirected(url, response.headers.get("Location", ""))
            response.close()
            if not is_web_address(target) or (
                url.startswith("https:") and not target.startswith("https:")
            ):
                raise SourceError(
                    f"{redact(url)}: redirects to {redact(target)}, which is not safe"
                )
            url = target
        raise SourceError(f"{redact(url)}: more than {_MOST_REDIRECTS} redirects")

    async def json(self, url: str, waiting: Callable[[str, float], None]) -> Any:
        """The JSON at an address, asked for again while the server is busy."""
        failures = 0
        while True:
            try:
                async with self.get(url, {"Accept": "application/json"}) as response:
                    body = bytearray()
                    async for block in response.content.iter_any():
                        body += block
                        if len(body) > _RECORD_MAX:
                            raise SourceError(f"{redact(url)}: larger than {_RECORD_MAX} bytes")
                return json.loads(body)
            except (ValueError, RecursionError):
                raise SourceError(
                    f"{redact(url)}: the answer is not JSON, so not Zenodo's API"
                ) from None
            except TryAgain as trouble:
                failures += 1
                await self.pause(trouble, failures, url, waiting)

    async def pause(
        self, trouble: TryAgain, failures: int, what: str, waiting: Callable[[str, float], None]
    ) -> None:
        """Wait before the next try.

        Raises
        ------
        UnreachableError
            If there were too many tries, or the server asks for too long a pause.
        """
        if failures >= self.patience.tries:
            raise UnreachableError(
                f"{redact(what)}: {trouble}; given up after {failures} tries. "
                "Run the same command later"
            )
        if (trouble.wait or 0.0) > self.patience.longest_retry_after:
            raise UnreachableError(
                f"{redact(what)}: {trouble}, and asks to wait {trouble.wait:.0f} s; "
                "run the same command then"
            )
        wait = max(trouble.wait or 0.0, self.patience.backoff(failures))
        waiting(str(trouble), wait)
        await asyncio.sleep(wait)


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:  # no address at all, which is refused as one
        return location


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _status(response: ClientResponse) -> str:
    return f"{response.status} {response.reason or ''}".strip()


def _refuse(response: ClientResponse) -> NoReturn:
    advice = {
        401: "; ZENODO_TOKEN is wrong or missing",
        403: "; it may need a ZENODO_TOKEN of someone with access",
        404: "; there is no such record or file",
        410: "; it was withdrawn",
    }.get(response.status, "")
    raise SourceError(
        f"{redact(str(response.url))}: the server answers {_status(response)}{advice}"
    )


def _retry_after(response: ClientResponse) -> float | None:
    """Seconds that a busy server asks for, which it gives as a number or as a date."""
    if response.status not in (429, 503):
        return None
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the server does not answer in time"
    kind = type(error).__name__
    if kind in ("ClientPayloadError", "ServerDisconnectedError", "ClientOSError"):
        return "the connection broke"
    return reason(error)
