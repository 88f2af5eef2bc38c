"""Addresses of files and stores: shown without secrets, opened with the options meant for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emodask.errors import UsageError

StorageOptions = Mapping[str, Any]
"""Options for fsspec by name; ``s3:key`` is meant for addresses of that protocol alone."""

_PLAIN_PATHS = {"file", "local", "memory"}
"""Protocols whose addresses hold no secrets, and may hold any character."""

_NOT_REMOTE = _PLAIN_PATHS | {
    *("zip", "tar", "libarchive", "dir", "data", "reference"),
    *("simplecache", "filecache", "blockcache", "cached"),
}
"""Protocols that reach no server of their own: options for all servers are not theirs."""

_PROTOCOL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


def redact(url: str) -> str:
    """An address fit for logs and errors: no user, password, query or fragment.

    Examples
    --------
    >>> redact("https://me:secret@host/data.zip?token=abc")
    'https://host/data.zip'
    >>> redact("/data/Video_Speech_Actor_01.zip")
    '/data/Video_Speech_Actor_01.zip'
    >>> redact("zip://a.wav::https://me:secret@host/data.zip")
    'zip://a.wav::https://host/data.zip'
    """
    links = re.split(r"::(?=[A-Za-z][A-Za-z0-9+.-]*://)", url)
    if len(links) > 1:
        return "::".join(redact(link) for link in links)
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    host, slash, path = rest.partition("/")
    if scheme in _PLAIN_PATHS:
        return url
    path = re.split(r"[?#]", path, maxsplit=1)[0]
    host = re.split(r"[?#]", host.rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme}://{host}{slash}{path}"


def printable(name: str) -> str:
    r"""A name with escapes in place of what would garble a terminal or forge a line.

    Examples
    --------
    >>> printable("a\n\x1b[2J.wav")
    'a\\n\\x1b[2J.wav'
    """
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def is_url(text: str) -> bool:
    """Whether a text names a protocol, as in ``s3://bucket/key``.

    Examples
    --------
    >>> is_url("s3://bucket/a.zip"), is_url("data/a.zip")
    (True, False)
    """
    return re.match(r"^[A-Za-z][A-Za-z0-9+.-]*(::|://)", text) is not None


def options_for(url: str, options: StorageOptions | None) -> dict[str, Any]:
    """What fsspec is to be given for one address, out of a job's storage options.

    An option ``protocol:key`` reaches the addresses of that protocol, under any of its names
    (``az`` is ``abfs``, ``gs`` is ``gcs``, ``http`` is ``https``), and outranks a plain ``key``,
    which reaches every remote address. A plain local path gets none.

    Raises
    ------
    UsageError
        If the part before the colon names no protocol.

    Examples
    --------
    >>> given = {"anon": True, "s3:key": "me", "gs:token": "x"}
    >>> options_for("s3://bucket/a.zip", given)
    {'anon': True, 'key': 'me'}
    >>> options_for("/data/a.zip", given)
    {}
    >>> options_for("zip://a.wav::gcs://bucket/a.zip", given)
    {'gcs': {'anon': True, 'token': 'x'}}
    """
    if not options:
        return {}
    everywhere: dict[str, Any] = {}
    meant: list[tuple[str, str, Any]] = []
    for name, value in options.items():
        protocol, colon, key = name.partition(":")
        if not colon:
            everywhere[name] = value
        elif not key or not _known(protocol):
            raise UsageError(
                f"storage option {name}: no file system is called {protocol!r}; "
                "expected KEY or PROTOCOL:KEY, such as s3:endpoint_url"
            )
        else:
            meant.append((protocol, key, value))

    def of_link(link: str) -> tuple[str, dict[str, Any]]:
        found = _PROTOCOL.match(link)
        bare = len(links) > 1 and _known(link)
        protocol = found.group(1) if found else link if bare else "file"
        result = {} if protocol in _NOT_REMOTE else dict(everywhere)
        result |= {key: value for other, key, value in meant if _same(other, protocol)}
        return protocol, result

    links = url.split("::") if is_url(url) else [url]
    if len(links) == 1:
        return of_link(url)[1]
    return {protocol: found for protocol, found in map(of_link, links) if found}


def _known(protocol: str) -> bool:
    from fsspec.registry import available_protocols

    return protocol in available_protocols()


def _same(one: str, other: str) -> bool:
    """Whether two protocols are names of one file system; nothing is imported to find out."""
    from fsspec.registry import known_implementations

    if one == other:
        return True
    classes = [known_implementations.get(name, {}).get("class") for name in (one, other)]
    return classes[0] is not None and classes[0] == classes[1]
