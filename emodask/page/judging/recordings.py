"""Recordings that pages show: each lies on the server until no page shows it any more."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Viewer = tuple[str, str]
"""A page, and which of its players."""

MOST = 100
"""Recordings at a time, shown or on their way; more find no room."""

MOST_PAGES = 300
"""Pages at a time that are open."""

UNSHOWN_SECONDS = 600.0
"""How long a recording is kept that no open page shows."""


class NoRoom(Exception):
    """There are as many recordings, or open pages, as may be."""


class Recordings:
    """A folder of recordings, and which player of which page shows them.

    Parameters
    ----------
    folder : Path
        It is made; nobody else may look into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._since: dict[Path, float] = {}  # when each came, or was shown anew
        self._shown: dict[Viewer, Path] = {}
        self._open: Counter[str] = Counter()
        self._arriving = 0
        self._lock = threading.Lock()

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """A file to write a recording to; it is gone afterwards unless it was kept.

        Raises
        ------
        NoRoom
        """
        with self._lock:
            self._sweep()
            if self._arriving + len(self._since) >= MOST:
                raise NoRoom
            self._arriving += 1
        place = self.folder / secrets.token_hex(16)
        place.mkdir(mode=0o700)
        try:
            yield place / "arriving"
        finally:
            with self._lock:
                self._arriving -= 1
                if not any(file.parent == place for file in self._since):
                    shutil.rmtree(place, ignore_errors=True)

    def keep(self, arrived: Path, name: str) -> Path:
        """Give a recording that has arrived its name; it waits for a page to show it."""
        file = arrived.rename(arrived.with_name(name))
        with self._lock:
            self._since[file] = time.monotonic()
        return file

    def held(self, path: str) -> Path | None:
        """The recording at a path; None if there is none, whatever else may lie there."""
        file = Path(path)
        with self._lock:
            known = file in self._since
        return file if known and file.is_file() else None

    def show(self, page: str, player: str, path: str | None) -> None:
        """A player shows a recording, or none, and no longer the one before it.

        A recording is one page's alone.
        """
        file = self.held(path) if path else None
        with self._lock:
            old = self._shown.get((page, player))
            if old is not None and old != file:
                del self._shown[page, player]
                self._delete(old)
            others = {viewer for viewer, one in self._shown.items() if one == file}
            if file is not None and all(viewer[0] == page for viewer in others):
                self._shown[page, player] = file
                self._since[file] = time.monotonic()

    @contextmanager
    def opened(self, page: str) -> Iterator[None]:
        """While a page is open. When it is left, what it shows is deleted.

        Raises
        ------
        NoRoom
        """
        with self._lock:
            if self._open.total() >= MOST_PAGES:
                raise NoRoom
            self._open[page] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[page] -= 1
                if not self._open[page]:
                    del self._open[page]
                    for viewer in [one for one in self._shown if one[0] == page]:
                        self._delete(self._shown.pop(viewer))

    def _sweep(self) -> None:
        """Delete what no open page has shown for long."""
        shown = {file for viewer, file in self._shown.items() if viewer[0] in self._open}
        long_ago = time.monotonic() - UNSHOWN_SECONDS
        for file in [one for one, since in self._since.items() if since < long_ago]:
            if file not in shown:
                self._shown = {viewer: one for viewer, one in self._shown.items() if one != file}
                self._delete(file)

    def _delete(self, file: Path) -> None:
        if file not in self._shown.values():
            self._since.pop(file, None)
            shutil.rmtree(file.parent, ignore_errors=True)
