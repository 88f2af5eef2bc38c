"""Recordings that players still play: each lies on the server until its page is left."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from pathlib import Path


class KeptRecordings:
    """Which page plays which recording; what none plays any more is deleted.

    Gradio names the folder of an upload after its content, so pages that show the same recording
    share one file.

    Parameters
    ----------
    folder : Path
        Where Gradio puts recordings; nothing outside it is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._players: defaultdict[Path, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def show(self, session: str, file: Path) -> None:
        """A page plays a recording, and no longer the one before it."""
        with self._lock:
            self._players[file.resolve()].add(session)
            self._drop(session, but=file.resolve())

    def left(self, session: str) -> None:
        """A page has been closed."""
        with self._lock:
            self._drop(session)

    def _drop(self, session: str, but: Path | None = None) -> None:
        for file in [one for one in self._players if one != but]:
            self._players[file].discard(session)
            if not self._players[file]:
                del self._players[file]
                self._delete(file)

    def _delete(self, file: Path) -> None:
        if file.is_relative_to(self._folder):
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: the same content under another name
                file.parent.rmdir()
