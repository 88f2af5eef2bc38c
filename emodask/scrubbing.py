"""Texts that others wrote - tracebacks, library logs, errors - without credentials in them."""

from __future__ import annotations

import contextlib
import re
import traceback
from pathlib import Path

from emodask.sources.addresses import redact

_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")

_NAMED = re.compile(
    r"(?i)([\w.-]*(?:token|secret|password|passwd|signature|credential|sas|access_?key(?:_?id)?"
    r"|account_?key|api_?key|x-amz-security-token)['\"]?\s*[=:]\s*)(['\"]?)[^\s'\"&,;)}\]]+\2"
)
"""``token=...``, ``'secret': '...'``: in queries, headers, and dictionaries that were printed."""

_AUTHORIZATION = re.compile(r"\b(Basic|Bearer|SharedKey|AWS4-HMAC-SHA256)\s+[^\s'\"]+[^\r\n'\"]*")

_QUERY = re.compile(r"(?<=[\w/.-])\?[\w.%~-]+=[^\s'\"<>)]*")


def scrub(text: str) -> str:
    """A text fit for logs, whoever wrote it.

    Addresses lose user, password, query and fragment; what looks like a credential by its name
    loses its value.

    Examples
    --------
    >>> scrub("404, url='http://me:hush@host/a.zip?sig=hush'")
    "404, url='http://host/a.zip'"
    >>> scrub("GET /a.zip?sig=hush with {'token': 'hush', 'anon': False}")
    "GET /a.zip with {'token': '***', 'anon': False}"
    >>> scrub("Authorization: Basic bWU6aHVzaA==")
    'Authorization: Basic ***'
    """
    text = _ADDRESS.sub(lambda found: redact(found.group()), text)
    text = _QUERY.sub("", text)
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    return _NAMED.sub(r"\1\2***\2", text)


_PART = r"[^\s/:,;'\"]+"
_SPACE = r"(?<!\.wav|\.mp4|\.zip|\.csv) "
_FOLDERS = re.compile(rf"(?:\bfile://|(?<![\w:/.]))/(?:{_PART}(?:{_SPACE}{_PART})*/)+")
"""Names of folders may hold spaces: rather too much is taken away than too little."""


def without_folders(text: str) -> str:
    """A text for pages: without credentials, and without the folders of this machine.

    Examples
    --------
    >>> without_folders("/home/me/data/a.wav: not a wav; s3://me:hush@bucket/b.wav is")
    'a.wav: not a wav; s3://bucket/b.wav is'
    >>> without_folders("/home/jane doe/secret study/a.wav: cut; see file:///home/jane/b c/d.wav")
    'a.wav: cut; see d.wav'
    """
    text = scrub(text)
    for place in (Path.cwd, Path.home):  # which may be named with other signs
        with contextlib.suppress(OSError, RuntimeError):
            folder = str(place()).rstrip("/")
            text = text.replace(f"{folder}/", "/./") if folder else text
    return _FOLDERS.sub("", text)


def clean_cause(error: BaseException) -> BaseException | None:
    """What an error may be raised from: itself, or nothing where a traceback would tell secrets.

    Examples
    --------
    >>> clean_cause(FileNotFoundError("http://me:hush@host/a.zip")) is None
    True
    >>> clean_cause(TimeoutError("too slow"))
    TimeoutError('too slow')
    """
    shown = "".join(traceback.format_exception_only(error))
    if scrub(shown) != shown:
        return None
    following = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return error if following is None or clean_cause(following) is not None else None


def scrubbed_traceback(error: BaseException) -> str:
    """The traceback of an error and of its causes, as Python prints it."""
    return scrub("".join(traceback.format_exception(error)))
