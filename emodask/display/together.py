"""Two reporters as one: each hears everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emodask.display.events import EventReporter
    from emodask.display.progress import Reporter


class Together:
    """Passes every call on to one reporter, then to the other."""

    def __init__(self, first: Reporter | EventReporter, second: Reporter | EventReporter) -> None:
        self._both = (first, second)

    @contextmanager
    def bars(self, what: str) -> Iterator[None]:
        """Begin a stage in both."""
        first, second = self._both
        with first.bars(what), second.bars(what):
            yield

    def __getattr__(self, name: str) -> Callable[..., None]:
        calls = [getattr(reporter, name) for reporter in self._both]

        def tell(*news: Any, **facts: Any) -> None:
            for call in calls:
                call(*news, **facts)

        return tell
