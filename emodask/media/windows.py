"""A recording of any length -> overlapping windows of its frames and sound, decoded once."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from emodask.errors import MediaError
from emodask.media.limits import MAX_HELD
from emodask.media.sound import joined, samples_at, sound_pieces
from emodask.media.video import Picture, PlanesByPicture, gray_of, planes_in_time
from emodask.sources.names import Modality

_NEAR = 1e-6
"""Seconds by which times that are the same may differ."""
_TAIL = 0.1
"""Seconds at the end that are worth no window of their own."""
_STILL = 0.04
"""Seconds that a video of a single frame is taken to be shown for: nothing says how long."""
_SLACK = 1.0
"""Seconds kept beyond the length of a window: the last one ends where the recording does."""


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a recording, decoded.

    Attributes
    ----------
    start, stop : float
        Seconds from the beginning.
    covered : mapping of "video" or "audio" to float
        Seconds of the window that each of them has: less where its track has ended.
    planes : sequence of mapping
        Frames, as :func:`emodask.media.video.planes_in_time` gives them.
    samples : ndarray of float32, shape (n,)
        Mono, at the rate of the recording.
    rate : int
    """

    start: float
    stop: float
    covered: Mapping[Modality, float]
    planes: Sequence[PlanesByPicture]
    samples: npt.NDArray[np.float32]
    rate: int

    def gray_frames(
        self,
        *,
        height: int,
        width: int,
        frames: int | None = None,
        gray: Literal["rgb", "luma"] = "rgb",
        every: int | None = None,
        fit: bool = False,
    ) -> npt.NDArray[Any]:
        """What :func:`emodask.media.gray_frames` gives for a clip of these frames."""
        picture = Picture(height, width, gray, fit)
        return gray_of([planes[picture] for planes in self.planes], frames, gray, every)

    def mono_samples(self, *, rate: int, seconds: float | None = None) -> npt.NDArray[np.float32]:
        """What :func:`emodask.media.mono_samples` gives for a clip of this sound."""
        samples = self.samples
        if seconds is not None:
            samples = samples[: int(np.ceil(seconds * self.rate))]
        return samples_at(samples, self.rate, rate)


class _Track(ABC):
    """What has been decoded of one stream and is still needed.

    Attributes
    ----------
    until : float
        Seconds up to which it is decoded; its length once it has ended.
    ended : bool
    """

    def __init__(self, length: float) -> None:
        self.until = 0.0
        self.ended = False
        self._length = length
        self._wanted = 0.0

    def reach(self, moment: float) -> None:
        """Decode until there is something beyond a moment, or nothing more comes."""
        while not self.ended and self.until <= moment + _NEAR:
            self._advance()
            self._drop(min(self._wanted, self.until - self._length - _SLACK))

    def release(self, moment: float) -> None:
        """Let go of what lies before a moment, but for what the last window may need."""
        self._wanted = moment

    def covered(self, start: float, stop: float) -> float:
        """Seconds of a window that the stream lasts for."""
        return max(0.0, min(stop, self.until) - start) if self.ended else stop - start

    @abstractmethod
    def _advance(self) -> None:
        """Decode the next frame or piece."""

    @abstractmethod
    def _drop(self, moment: float) -> None:
        """Forget what lies before a moment."""


class _Video(_Track):
    def __init__(
        self, media: bytes | Path, pictures: Sequence[Picture], length: float, every: int
    ) -> None:
        super().__init__(length)
        self._frames = planes_in_time(media, pictures)
        self._held: deque[tuple[float, PlanesByPicture]] = deque()
        self._bytes = sum(p.height * p.width * (3 if p.gray == "rgb" else 1) for p in pictures)
        self._count = 0
        self._every = every
        self._marks: list[float] = []

    def mark(self, number: int) -> float | None:
        """When the frame ``number * every`` is shown; None if there are not as many."""
        while not self.ended and len(self._marks) <= number:
            self.release(np.inf)  # the windows before it have been cut
            self.reach(self.until)
        return self._marks[number] if number < len(self._marks) else None

    def between(self, start: float, stop: float) -> list[PlanesByPicture]:
        return [planes for seconds, planes in self._held if start - _NEAR <= seconds < stop - _NEAR]

    def _advance(self) -> None:
        found = next(self._frames, None)
        if found is None:
            self.ended = True
            if not self._count:
                raise MediaError("no video frame decoded")
            if len(self._held) > 1:  # the last frame is shown for as long as the one before it
                self.until += self._held[-1][0] - self._held[-2][0]
            elif self._count == 1:
                self.until += _STILL
            return
        self.until = found[0]
        if self._every and self._count % self._every == 0:
            self._marks.append(self.until)
        self._count += 1
        self._held.append(found)
        if len(self._held) * self._bytes > MAX_HELD:
            raise MediaError(
                f"windows of {self._length:g} s of this video take more memory than the "
                f"{MAX_HELD >> 20} MiB that frames may; choose a shorter --window"
            )

    def _drop(self, moment: float) -> None:
        while len(self._held) > 2 and self._held[0][0] < moment - _NEAR:
            self._held.popleft()


class _Sound(_Track):
    def __init__(self, media: bytes | Path, length: float) -> None:
        super().__init__(length)
        self._source = sound_pieces(media)
        self._held: deque[npt.NDArray[np.float32]] = deque()
        self._first = 0  # number of the first sample that is held
        self._count = 0
        self.rate = 0

    def between(self, start: float, stop: float) -> npt.NDArray[np.float32]:
        held = joined(list(self._held))
        first = max(round(start * self.rate) - self._first, 0)
        last = held.size if stop == np.inf else round(stop * self.rate) - self._first
        return held[first:last]

    def _advance(self) -> None:
        found = next(self._source, None)
        if found is None:
            self.ended = True
            if not self._count:
                raise MediaError("no sound: zero samples decoded")
            return
        self.rate, piece = found
        self._held.append(piece)
        self._count += piece.size
        self.until = self._count / self.rate

    def _drop(self, moment: float) -> None:
        while self._held and self._first + self._held[0].size <= moment * self.rate:
            self._first += self._held.popleft().size


def windows(
    media: Mapping[Modality, bytes | Path],
    pictures: Sequence[Picture],
    length: float,
    step: float | None = None,
    every: int | None = None,
) -> Iterator[Window]:
    """Cut a recording into overlapping windows while it is decoded, once.

    Windows begin every ``step`` seconds, or at every ``every``-th video frame. The last one ends
    where the recording does (give or take a tenth of a second), and is as long as the others: so it
    begins less than a step after the one before. A recording no longer than a window is one window.
    Video and sound are taken to begin together, and a recording to be as long as the longer of the
    two.

    Parameters
    ----------
    media : mapping of "video" or "audio" to bytes or Path
        Where each is read from; one of them may be absent.
    pictures : sequence of Picture
        What frames are scaled to.
    length : float
        Seconds of a window.
    step : float, optional
        Seconds.
    every : int, optional
        Frames, in place of a step; the media must have video.

    Yields
    ------
    Window

    Raises
    ------
    MediaError
        Where decoding breaks off: what came before has been given.

    Notes
    -----
    Memory holds the frames and samples of one window and a second: whatever the length.
    """
    tracks: dict[Modality, _Track] = {}
    video = sound = None
    if "video" in media:
        tracks["video"] = video = _Video(media["video"], pictures, length, every or 0)
    if "audio" in media:
        tracks["audio"] = sound = _Sound(media["audio"], length)

    def cut(start: float, stop: float, last: bool = False) -> Window:
        end = np.inf if last else stop
        return Window(
            start,
            stop,
            {name: track.covered(start, stop) for name, track in tracks.items()},
            video.between(start, end) if video else (),
            sound.between(start, end) if sound else np.empty(0, np.float32),
            sound.rate if sound else 0,
        )

    stop = -np.inf
    begins = _beginnings(video, step, every)
    while (start := next(begins, None)) is not None:
        for track in tracks.values():
            track.release(start)
            track.reach(start + length)
        if all(track.ended for track in tracks.values()) and (
            max(track.until for track in tracks.values()) <= start + length + _NEAR
        ):
            break
        stop = start + length
        yield cut(start, stop)
    for track in tracks.values():
        track.release(np.inf)
        track.reach(np.inf)
    end = max(track.until for track in tracks.values())
    if end - stop > _TAIL:
        yield cut(max(0.0, end - length), end, last=True)


def _beginnings(video: _Video | None, step: float | None, every: int | None) -> Iterator[float]:
    """When windows begin, one after the other; video may have no frame more."""
    for number in itertools.count():
        if every is None:
            yield number * (step or 0.0)
        elif video is not None and (shown := video.mark(number)) is not None:
            yield shown
        else:
            return
