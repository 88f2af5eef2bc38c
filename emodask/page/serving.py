"""Pages as a running server: takes its address, loads bundles, serves until it is ended."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from emodask.errors import UsageError
from emodask.page.settings import PageSettings
from emodask.sources.location import StorageOptions

_MISSING = "a page needs packages that are not installed ({}): pip install 'emodask[page]'"


def serve_page(
    bundles: Sequence[str],
    settings: PageSettings,
    *,
    runs: Sequence[str] = (),
    sources: Sequence[str] = (),
    processes: int = 1,
    storage_options: StorageOptions | None = None,
    say: Callable[[str], None] = print,
    warn: Callable[[str], None] = print,
    on_serving: Callable[[str], None] = print,
) -> None:
    """Serve until a signal ends it.

    Parameters
    ----------
    bundles : sequence of str
        Folders or URLs; without any there are the pages of results alone.
    settings : PageSettings
    runs : sequence of str
        Folders, globs or URLs of runs whose results are shown.
    sources : sequence of str
        Where the media of their clips lie; by default where each ``run.json`` says.
    processes : int
        Recordings that are judged at a time.
    storage_options : mapping, optional
        For fsspec, to read bundles and runs.
    say, warn : callable
        Told what people should know before, and what they should beware of.
    on_serving : callable
        Told the address, once it answers.

    Raises
    ------
    UsageError
        If there is nothing to serve, runs lie on a web server, the address cannot be taken, or the
        extra is not installed.
    BundleError
        If a bundle cannot be read.
    """
    if not bundles and not runs:
        raise UsageError("nothing to serve: pass bundles to judge by, or results with --runs DIR")
    with page_packages():
        from emodask.page.judges.judge import Judge
        from emodask.page.running import PageServer
        from emodask.page.server import make_app

        if bundles and find_spec("gradio") is None:  # imported once its folder is there
            raise ModuleNotFoundError(name="gradio")
    results = None
    if runs:
        from emodask.page.results.runs import Runs

        results = Runs(runs, storage_options, sources)
    listening = take_address(settings.host, settings.port)
    judge = None
    if bundles:
        judge = Judge(
            bundles,
            processes=processes,
            waiting=settings.waiting,
            seconds=settings.seconds,
            max_seconds=settings.max_seconds,
            storage_options=storage_options,
        )
    address = f"http://{_shown(settings.host)}:{listening.getsockname()[1]}"
    try:
        if judge is not None:
            say(f"loading {len(bundles)} bundle{'s' if len(bundles) > 1 else ''}")
            judge.start()
            for card in judge.cards:
                say(f"{card.name}: {card.figure}")
        if results is not None:
            listing = results.listing()
            say(f"{len(listing.runs)} run{'' if len(listing.runs) == 1 else 's'} found")
            for trouble in listing.troubles:
                warn(trouble)
        if not settings.local and settings.password is None:
            warn(
                f"{settings.host} can be reached by others, and there is no password; "
                "set EMODASK_PASSWORD"
            )

        server = PageServer(
            make_app(judge, settings, results),
            on_serving=lambda: on_serving(address),
            on_ending=judge.close if judge is not None else lambda: None,
        )
        server.run(sockets=[listening])
    finally:
        if judge is not None:
            judge.close()
        listening.close()


@contextmanager
def page_packages() -> Iterator[None]:
    """Imports of what the extra installs; where it is not, it is asked for.

    Raises
    ------
    UsageError
    """
    try:
        yield
    except ModuleNotFoundError as absent:
        if absent.name is None or absent.name.startswith("emodask"):
            raise
        raise UsageError(_MISSING.format(absent.name)) from absent


def take_address(host: str, port: int, option: str = "--port") -> socket.socket:
    """A socket that listens on an address.

    Parameters
    ----------
    host : str
    port : int
        0 takes one that is free.
    option : str
        Of the command line, that chooses the port.

    Raises
    ------
    UsageError
        If the port is taken, or the host is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        where = f"port {port} of {host}"
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"{where} is taken by another program; choose another with {option}, or 0 for "
                "any that is free"
            ) from error
        raise UsageError(f"{where} cannot be listened on: {error.strerror or error}") from error
    return listening


def _shown(host: str) -> str:
    """A host as it stands in addresses."""
    return f"[{host}]" if ":" in host else host
