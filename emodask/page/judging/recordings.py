"""Recordings that pages show: each lies on the server until no page shows it any more."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Viewer = tuple[str, str]
"""A page, and which of its players."""

MOST = 100
"""Recordings at a time, shown or on their way; more find no room."""

UNSHOWN_SECONDS = 600.0
"""How long a recording is kept that no page shows, such as one whose page was left meanwhile."""

_MOST_LEFT = 1000


class NoRoom(Exception):
    """There are as many recordings as may be."""


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
        self._since: dict[Path, float] = {}  # that no page shows
        self._shown: dict[Viewer, Path] = {}
        self._left: OrderedDict[str, None] = OrderedDict()
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
            if self._arriving + len(self._since) + len(self._shown) >= MOST:
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
            known = file in self._since or file in self._shown.values()
        return file if known and file.is_file() else None

    def show(self, page: str, player: str, path: str | None) -> None:
        """A player shows a recording, or none, and no longer the one before it."""
        file = self.held(path) if path else None
        with self._lock:
            old = self._shown.get((page, player))
            if old is not None and old != file:
                del self._shown[page, player]
                self._delete(old)
            if file is not None and page not in self._left:
                self._shown[page, player] = file
                self._since.pop(file, None)

    def left(self, page: str) -> None:
        """A page has been closed."""
        with self._lock:
            self._left[page] = None
            while len(self._left) > _MOST_LEFT:
                self._left.popitem(last=False)
            for viewer in [one for one in self._shown if one[0] == page]:
                self._delete(self._shown.pop(viewer))

    def _sweep(self) -> None:
        """Delete what no page has shown for long."""
        long_ago = time.monotonic() - UNSHOWN_SECONDS
        for file in [file for file, since in self._since.items() if since < long_ago]:
            del self._since[file]
            self._delete(file)

    def _delete(self, file: Path) -> None:
        if file not in self._shown.values():
            shutil.rmtree(file.parent, ignore_errors=True)
