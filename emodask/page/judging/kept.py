"""Recordings that pages show: each lies on the server until no page shows it any more."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

Viewer = tuple[str, str]
"""A page, and which of its players."""


class KeptRecordings:
    """Which player of which page shows a recording; what none shows any more is deleted.

    Gradio names the folder of an upload after its content, so pages that show the same recording
    share one file.

    Parameters
    ----------
    folder : Path
        Where Gradio puts recordings; nothing outside it is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._viewers: defaultdict[Path, set[Viewer]] = defaultdict(set)
        self._lock = threading.Lock()

    def show(self, page: str, player: str, file: Path | None) -> None:
        """A player shows a recording, or none, and no longer the one before it."""
        viewer = page, player
        with self._lock:
            shown = file.resolve() if file else None
            if shown:
                self._viewers[shown].add(viewer)
            self._drop(lambda path, one: one == viewer and path != shown)

    def left(self, page: str) -> None:
        """A page has been closed."""
        with self._lock:
            self._drop(lambda path, one: one[0] == page)

    def _drop(self, gone: Callable[[Path, Viewer], bool]) -> None:
        for file, viewers in list(self._viewers.items()):
            viewers -= {one for one in viewers if gone(file, one)}
            if not viewers:
                del self._viewers[file]
                self._delete(file)

    def _delete(self, file: Path) -> None:
        if file.is_relative_to(self._folder):
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: the same content under another name
                file.parent.rmdir()
