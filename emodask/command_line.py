"""The command line that a result came from, fit to stand beside it: no secrets, no own folders."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import PurePath

from emodask.scrubbing import scrub
from emodask.sources.addresses import is_url

_typed: ContextVar[str] = ContextVar("typed", default="")
_PRIVATE = "--storage-option"


@contextlib.contextmanager
def typed(arguments: Sequence[str]) -> Iterator[None]:
    """Let what runs inside know the command line that asked for it."""
    token = _typed.set(shown(arguments))
    try:
        yield
    finally:
        _typed.reset(token)


def command_line() -> str:
    """The command line that this runs under; empty where Python called."""
    return _typed.get()


def shown(arguments: Sequence[str]) -> str:
    """A command line for people who want to repeat it.

    Values of storage options are left out, addresses lose their credentials, and absolute paths
    their folders.

    Examples
    --------
    >>> shown(["run", "spline", "-s", "/home/me/a b.zip", "--storage-option", "secret=hush"])
    "emodask run spline -s 'a b.zip' --storage-option 'secret=***'"
    >>> shown(["run", "spline", "--out=s3://me:hush@host/result?token=hush"])
    'emodask run spline --out=s3://host/result'
    """
    words = ["emodask"]
    private = False
    for argument in arguments:
        if private:
            words.append(_valueless(argument))
            private = False
        elif argument.startswith("--") and "=" in argument:
            option, _, value = argument.partition("=")
            value = _valueless(value) if option == _PRIVATE else _plain(value)
            words.append(f"{option}={value}")
        else:
            words.append(_plain(argument))
            private = argument == _PRIVATE
    return shlex.join(words)


def _valueless(pair: str) -> str:
    return f"{pair.partition('=')[0]}=***"


def _plain(word: str) -> str:
    if is_url(word):
        return scrub(word)
    path = PurePath(word)
    return scrub(path.name if path.is_absolute() and path.name else word)
