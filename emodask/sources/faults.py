"""What went wrong between here and the bytes: whether it may pass, and how to say it in a line.

Every file system has errors of its own, and none of their packages may be imported just to name
them: errors are told apart by the HTTP status that they carry, by errno, and by class name.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from emodask.errors import EmodaskError
from emodask.sources.addresses import redact

_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}

_PASSING_CODES = {
    *("RequestTimeout", "SlowDown", "ServiceUnavailable", "InternalError", "Throttling"),
    *("IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"),
}
"""S3 error codes that may come with any status: a body that was damaged on its way among them."""

_PASSING_ERRNO = {
    *(errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.EPIPE, errno.ETIMEDOUT),
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETRESET),
    *(getattr(errno, name, errno.EIO) for name in ("EREMOTEIO", "ESTALE")),
}

_LASTING_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT}

_PASSING_CLASSES = {
    ("aiohttp", "ClientConnectionError"),
    ("aiohttp", "ClientPayloadError"),
    ("aiohttp", "HttpProcessingError"),
    ("aiohttp", "ServerDisconnectedError"),
    ("azure", "IncompleteReadError"),
    ("azure", "ServiceRequestError"),
    ("azure", "ServiceResponseError"),
    ("botocore", "ConnectionError"),
    ("botocore", "HTTPClientError"),
    ("botocore", "IncompleteReadError"),
    ("botocore", "ResponseParserError"),
    ("aiobotocore", "AioAwsChunkedWrapperError"),
    ("gcsfs", "ChecksumError"),
    ("google", "TransportError"),
    ("requests", "ChunkedEncodingError"),
    ("requests", "ConnectionError"),
    ("requests", "Timeout"),
    ("urllib3", "IncompleteRead"),
    ("urllib3", "ProtocolError"),
}
"""Package and class of errors of a connection, and not of what was asked for."""

_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}


class ShortReadError(ConnectionError):
    """Fewer bytes than the server holds and was asked for."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a moment later.

    Time-outs, broken connections, answers cut short, 408, 425, 429 and the 5xx of a server in
    trouble are; what is absent, forbidden, misspelt or full is not.

    Examples
    --------
    >>> is_transient(TimeoutError()), is_transient(FileNotFoundError("a.zip"))
    (True, False)
    >>> is_transient(OSError(28, "No space left on device"))
    False
    """
    chain = list(_chain(error))
    if any(isinstance(link, EmodaskError) for link in chain):
        return False
    for link in chain:
        status = _status(link)
        if status is not None:
            return status in _PASSING_STATUS or _code(link) in _PASSING_CODES
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        return False
    for link in chain:
        if isinstance(link, OSError) and link.errno in _LASTING_ERRNO:
            return False
        if isinstance(link, (TimeoutError, ConnectionError, socket.gaierror)):
            return True
        if isinstance(link, OSError) and link.errno in _PASSING_ERRNO:
            return True
        if not _PASSING_CLASSES.isdisjoint(_classes(link)):
            return True
    return False


def is_full(error: BaseException) -> bool:
    """Whether a disk or a quota is full: somebody has to make room first."""
    codes = {getattr(link, "errno", None) for link in _chain(error)}
    return not codes.isdisjoint({errno.ENOSPC, errno.EDQUOT})


def asked_wait(error: BaseException) -> float:
    """Seconds for which a busy server asks to be left alone, 0 if it does not say."""
    for link in _chain(error):
        response: Any = getattr(link, "response", None)
        headers = getattr(link, "headers", None) or getattr(response, "headers", None)
        if isinstance(response, dict):
            headers = response.get("ResponseMetadata", {}).get("HTTPHeaders")
        text = str((headers or {}).get("Retry-After", (headers or {}).get("retry-after", "")))
        if text.strip().isdecimal():
            return float(text)
    return 0.0


def reason(error: BaseException) -> str:
    """What went wrong, in part of a line, without addresses that may hold secrets."""
    chain = list(_chain(error))
    if isinstance(error, EmodaskError):
        return str(error)
    for link in chain:
        status = _status(link)
        if status is not None:
            return _status_reason(status, link, error)
    for link in chain:
        if isinstance(link, ShortReadError):
            return _text(link)
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {link.verify_message}"
        if isinstance(link, socket.gaierror) or type(link).__name__ == "ClientConnectorDNSError":
            return "there is no server of this name"
        if getattr(link, "errno", None) == errno.ECONNREFUSED or "refused" in str(link).lower():
            return "connection refused; no server listens at this address"
        if type(link).__name__ in ("EndpointConnectionError", "ServiceRequestError"):
            continue  # their cause says more
        if type(link).__name__ in _NO_CREDENTIALS:
            return "no usable credentials for it were found; pass them as storage options"
    for link in chain:
        if isinstance(link, TimeoutError) or "Timeout" in type(link).__name__:
            return "the server did not answer in time"
        if isinstance(link, OSError) and link.strerror and link.errno != errno.EINVAL:
            return link.strerror.splitlines()[0].lower()
        if not _PASSING_CLASSES.isdisjoint(_classes(link)) or isinstance(link, ConnectionError):
            return f"the connection broke ({type(link).__name__})"
    if isinstance(error, FileNotFoundError):
        text = _text(error)
        return "the bucket does not exist" if "bucket" in text and " " in text else "not found"
    return _text(error)


def _status_reason(status: int, link: BaseException, error: BaseException) -> str:
    code = _code(link)
    if status in (401, 403):
        why = f"access denied ({code or status}); check the credentials in the storage options"
    elif code == "NoSuchBucket" or (status == 404 and code == "ContainerNotFound"):
        why = "the bucket does not exist"
    elif status in (404, 410):
        why = "not found"
    elif status in (429, 503):
        why = f"the server is overloaded ({status})"
    elif status == 408:
        why = "the server did not answer in time"
    elif status >= 500:
        why = f"the server failed ({status})"
    else:
        why = f"the server refused it ({code or status})"
    return why


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it stands for."""
    seen: set[int] = set()
    link: Any = error
    while isinstance(link, BaseException) and id(link) not in seen:
        seen.add(id(link))
        yield link
        carried = getattr(link, "os_error", None) or getattr(link, "inner_exception", None)
        if isinstance(carried, BaseException) and id(carried) not in seen:
            yield carried
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _status(error: BaseException) -> int | None:
    """The HTTP status of a server's answer that was an error."""
    if type(error).__module__ == "aiohttp.http_exceptions":
        return None  # a body that was cut short is 400 there, which no server has said
    response: Any = getattr(error, "response", None)
    found: Any = None
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        for place in (error, response):
            for name in ("status", "status_code", "code"):
                value = getattr(place, name, None)
                if found is None and isinstance(value, (int, str)) and str(value).isdigit():
                    found = int(value)
    return int(found) if found is not None and 400 <= int(found) < 600 else None


def _code(error: BaseException) -> str:
    """The word by which an object store calls an error, such as ``NoSuchBucket``."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
    else:
        code = str(getattr(getattr(error, "error_code", ""), "value", ""))
    return code if code.isalpha() else ""


def _classes(error: BaseException) -> set[tuple[str, str]]:
    return {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}


def _text(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"\w+://\S+", lambda match: redact(match.group()), text)
