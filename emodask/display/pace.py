"""How fast something goes on, and how long it will still take, by what it did of late."""

from __future__ import annotations

import time
from collections import deque

_EARLIER = 2 / 3
"""The rate is that of the time after this share of it: long enough to count batches that workers
end together, short enough to forget how slowly the first were begun."""


class Pace:
    """The rate of a count that goes up, as it is told of.

    The first batch says little: workers were starting and kernels compiled. So nothing is known of
    what is left until a later third of the time has seen the count go on.

    Attributes
    ----------
    rate : float or None
        A second: of late; while too little is known of that, since the beginning; None before the
        count has gone on.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._news: deque[tuple[float, int]] = deque()
        self._of_late = False
        self.rate: float | None = None

    def take(self, done: int) -> Pace:
        """Take how far the count is; one that is lower than before begins anew."""
        last = self._news[-1][1] if self._news else 0
        if done == last and done:
            return self
        if done < last or not done:
            self._begin()
        if not done:
            return self
        now = time.monotonic() - self._began
        self._news.append((now, done))
        while len(self._news) > 1 and self._news[1][0] <= _EARLIER * now:
            self._news.popleft()
        then, before = self._news[0]
        self._of_late = then <= _EARLIER * now and then < now
        if self._of_late:
            self.rate = (done - before) / (now - then)
        elif now:
            self.rate = done / now
        return self

    def left(self, total: int) -> float | None:
        """Seconds until the count is at its total; None while that cannot be said."""
        done = self._news[-1][1] if self._news else 0
        if not self._of_late or not self.rate or done >= total:
            return None
        return (total - done) / self.rate
