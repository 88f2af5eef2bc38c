"""Videos -> gray frames of one size, upright, as many as are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import av
import numba
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from emodask.errors import MediaError
from emodask.media.decoding import VIDEO_DECODERS, decode, open_media, why
from emodask.media.limits import (
    MAX_FRAME_RATE,
    MAX_HELD,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_FRAMES,
)
from emodask.media.scaling import scaled

_GRAY_R, _GRAY_G, _GRAY_B = 2989, 5870, 1140
"""Rec. 601 luma weights in ten-thousandths: integers keep equal colours exactly equal."""

_WHOLE_BLOCKS = 16
"""Columns that swscale converts to planes at a time; it garbles what is left of a last block."""


Frames = (
    npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]] | Mapping[int, npt.NDArray[np.uint8]]
)
"""Frames by number."""


def gray_frames(
    data: bytes,
    *,
    height: int,
    width: int,
    frames: int | None = None,
    gray: Literal["rgb", "luma"] = "rgb",
    max_seconds: float = 60.0,
) -> npt.NDArray[np.float32] | npt.NDArray[np.uint8]:
    """Decode a video to gray frames of one size.

    Every decoded frame is scaled to ``width`` x ``height`` pixels, each the mean of the area that
    it covers (:func:`emodask.media.scaling.scaled`), and turned upright where the file says how (a
    display matrix, as phones write for portrait). Then the sequence is interpolated linearly to
    ``frames`` frames, first and last kept, truncated to uint8.

    Parameters
    ----------
    data : bytes
        A whole media file, such as an mp4.
    height, width : int
        Pixels of the result, whatever the shape of the video.
    frames : int, optional
        Frames of the result; None keeps those that were decoded.
    gray : {"rgb", "luma"}
        ``rgb`` scales and interpolates RGB, then takes 0.2989 R + 0.587 G + 0.114 B (ITU-R BT.601).
        ``luma`` scales the decoder's Y plane, in its own range (16 to 235 as a rule): faster.
    max_seconds : float
        Longer videos are refused.

    Returns
    -------
    ndarray, shape (frames, height, width)
        float32 gray levels from 0 to 255 for ``rgb``, uint8 for ``luma``.

    Raises
    ------
    MediaError
        If there is no video stream, fewer than two frames decode, decoding breaks off, a frame is
        damaged, or a limit of :mod:`emodask.media.limits` is passed.

    Notes
    -----
    Counts in the container are not trusted: the number of frames is that of frames that decode.
    Their times are not used either, other than to tell how long the video is. Of several video
    streams the first is read; pictures attached to sound are not video. A video whose scaled frames
    take more than ``MAX_HELD`` bytes is decoded twice: to count, and to keep those that matter.
    """
    size = (width, height)
    room = MAX_HELD // (width * height * (3 if gray == "rgb" else 1))
    planes = _Planes(size, gray)
    held: list[npt.NDArray[np.uint8]] = []
    count = 0
    for frame in _decoded(data, max_seconds):
        count += 1
        if count <= room:
            held.append(planes.of(frame))
        elif frames is None:
            raise MediaError(
                f"more than {room} frames of {width}x{height} pixels, which take too much memory; "
                "say how many frames are wanted"
            )
        else:
            held.clear()
    if count < MIN_FRAMES:
        raise MediaError(
            f"{count} video frame(s) decoded; at least {MIN_FRAMES} are needed to see motion"
        )
    if frames is None or frames == count <= room:
        stack = np.stack(held)
    elif count <= room:
        stack = _interpolated(held, count, frames)
    else:
        needed = {i for b, f in _places(count, frames) for i in (b, b + 1) if i == b or f}
        kept = {
            i: planes.of(frame)
            for i, frame in enumerate(_decoded(data, max_seconds))
            if i in needed
        }
        stack = _interpolated(kept, count, frames)
    return rgb_to_gray(stack) if gray == "rgb" else stack[:, 0]


def _decoded(data: bytes, max_seconds: float) -> Iterator[Any]:
    """Frames of the first video stream, each checked; no more than may be."""
    with open_media(data) as container:
        stream = _video_stream(container)
        if stream.codec_context is not None:
            _check_size(stream.codec_context.width, stream.codec_context.height)
        limit = int(max_seconds * _frame_rate(stream)) + 1
        first = None
        count = 0
        for frame in decode(container, stream, VIDEO_DECODERS, "video"):
            count += 1
            first = frame.time if first is None else first
            span = 0.0 if first is None or frame.time is None else frame.time - first
            if count > limit or span > max_seconds:
                raise MediaError(
                    f"the video is longer than {max_seconds:g} s; cut it into clips of one "
                    "utterance, or raise data.max_seconds in the job"
                )
            _check_size(frame.width, frame.height)
            yield frame
        declared = _declared_frames(container, stream)
        if declared > MIN_FRAMES and count < declared // 2:
            raise MediaError(
                f"only {count} of {declared} video frames decoded; the file is truncated or damaged"
            )


def _video_stream(container: Any) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise MediaError(
        "it has no video stream, only an attached picture"
        if container.streams.video
        else "it has no video stream"
    )


def _declared_frames(container: Any, stream: Any) -> int:
    """Frames that should decode: what an edit list cuts away is not among them."""
    if "mov" not in container.format.name:
        return int(stream.frames)
    return sum(not entry.is_discard for entry in stream.index_entries)


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise MediaError(
            f"frames of {width}x{height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} in all"
        )


def _frame_rate(stream: Any) -> float:
    rate = stream.average_rate or stream.base_rate
    return min(max(float(rate), 1.0), MAX_FRAME_RATE) if rate else 60.0


class _Planes:
    """Turns decoded frames into planes of one size, upright: red, green and blue, or luma alone."""

    def __init__(self, size: tuple[int, int], gray: str) -> None:
        self._size = size
        self._gray = gray
        self._reformatter = VideoReformatter()  # sets its conversion up once, not for each frame

    def of(self, frame: Any) -> npt.NDArray[np.uint8]:
        """The planes of a frame, shape (3 or 1, height, width)."""
        try:
            planes = [self._luma(frame)] if self._gray == "luma" else self._rgb(frame)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise MediaError(
                f"frames in pixel format {frame.format.name} cannot be converted: {why(error)}"
            ) from error
        transposed, flip_y, flip_x = _orientation(frame)
        width, height = self._size[::-1] if transposed else self._size
        found = np.empty((len(planes), height, width), np.uint8)
        for plane, target in zip(planes, found, strict=True):
            scaled(plane, (width, height), frame.width, target)
        if transposed:
            found = found.swapaxes(1, 2)
        return np.ascontiguousarray(found[:, :: -1 if flip_y else 1, :: -1 if flip_x else 1])

    def _as(self, frame: Any, pixels: str) -> Any:
        """A frame in another pixel format; in one thread: starting more takes longer."""
        return self._reformatter.reformat(frame, format=pixels, threads=1)

    def _rgb(self, frame: Any) -> list[npt.NDArray[np.uint8]]:
        if frame.width % _WHOLE_BLOCKS:
            packed = _rows(self._as(frame, "rgb24").planes[0])[:, : 3 * frame.width]
            return [np.ascontiguousarray(packed[:, colour::3]) for colour in range(3)]
        green, blue, red = (_rows(plane) for plane in self._as(frame, "gbrp").planes)
        return [red, green, blue]

    def _luma(self, frame: Any) -> npt.NDArray[np.uint8]:
        """The Y plane as the decoder left it."""
        if not frame.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or (
            frame.format.components[0].bits != 8
        ):
            frame = self._as(frame, "yuv420p")
        if frame.planes[0].line_size < frame.width:  # stored bottom up
            frame = self._as(self._as(frame, "rgb24"), "yuv420p")
        return _rows(frame.planes[0])


def _rows(plane: Any) -> npt.NDArray[np.uint8]:
    """The lines of a plane where they lie, padding included."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)


def _orientation(frame: Any) -> tuple[bool, bool, bool]:
    """How a frame is turned upright: swap its sides first, then flip up and down, left and right.

    A display matrix maps a pixel (x, y) to (a x + c y, b x + d y), as ISO 14496-12, 6.2.2 has it.
    """
    # Not frame.side_data: the frame would keep what keeps the frame, and so all of a video's frames
    # would stay in memory until Python looks for cycles.
    data = SideDataContainer(frame).get(Type.DISPLAYMATRIX)  # type: ignore[call-arg]
    if data is None:
        return False, False, False
    a, b, _, c, d, *_ = np.frombuffer(data, np.int32, 9).tolist()
    if (a and d and not b and not c) or not (a or b or c or d):
        return False, d < 0, a < 0
    if b and c and not a and not d:
        return True, b < 0, c < 0
    raise MediaError(
        "its display matrix turns the picture by other than quarter turns and mirrors; "
        "the file is damaged, or should be re-encoded upright"
    )


def interpolate_frames(stack: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Interpolate a sequence of frames linearly along time, truncated to uint8.

    Frame ``i`` of the result lies at ``i * (n - 1) / (count - 1)`` among the ``n`` frames given.
    The arithmetic is in integers, so the truncation is exact.

    Parameters
    ----------
    stack : ndarray of uint8, shape (n, ...)
    count : int

    Returns
    -------
    ndarray of uint8, shape (count, ...)

    Examples
    --------
    >>> import numpy as np
    >>> interpolate_frames(np.array([[0], [10], [21]], np.uint8), 5).ravel().tolist()
    [0, 5, 10, 15, 21]
    """
    return stack if len(stack) == count else _interpolated(stack, len(stack), count)


def _places(n: int, count: int) -> Iterator[tuple[int, int]]:
    """For each frame of the result: the frame before it, and the rest in steps of count - 1."""
    return (divmod(i * (n - 1), max(count - 1, 1)) for i in range(count))


def _interpolated(
    frames: Frames,
    n: int,
    count: int,
) -> npt.NDArray[np.uint8]:
    """Interpolate from frames by number, of which only those needed have to be there."""
    result = np.empty((count, *frames[0].shape), np.uint8)
    steps = max(count - 1, 1)
    for i, (before, fraction) in enumerate(_places(n, count)):
        if fraction == 0:
            result[i] = frames[before]
        else:
            _blend(
                frames[before].ravel(),
                frames[before + 1].ravel(),
                fraction,
                steps,
                result[i].ravel(),
            )
    return result


@numba.njit(cache=True, nogil=True)
def _blend(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    before, after, fraction, steps, out
):
    # (before * (steps - fraction) + after * fraction) // steps; half a unit in the numerator keeps
    # the float32 quotient off the integers, so truncating it is that integer division.
    scale = np.float32(1.0) / np.float32(steps)
    for k in range(out.size):
        total = np.int32(before[k]) * np.int32(steps - fraction) + np.int32(after[k]) * np.int32(
            fraction
        )
        out[k] = np.uint8((np.float32(total) + np.float32(0.5)) * scale)


def rgb_to_gray(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """0.2989 R + 0.587 G + 0.114 B of uint8 RGB, in float32.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (frames, 3, height, width)

    Returns
    -------
    ndarray of float32, shape (frames, height, width)
        Gray levels, correctly rounded: colours of equal gray give equal numbers.

    Examples
    --------
    >>> import numpy as np
    >>> rgb_to_gray(np.array([0, 10], np.uint8).repeat(3).reshape(2, 3, 1, 1)).ravel().tolist()
    [0.0, 9.99899959564209]
    """
    frames, _, height, width = rgb.shape
    gray = np.empty((frames, height, width), np.float32)
    _weigh(rgb.reshape(frames, 3, -1), gray.reshape(frames, -1))
    return gray


@numba.njit(cache=True, nogil=True)
def _weigh(rgb, gray):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for i in range(len(gray)):
        red, green, blue, out = rgb[i, 0], rgb[i, 1], rgb[i, 2], gray[i]
        for k in range(len(out)):
            total = np.int32(_GRAY_R) * np.int32(red[k]) + np.int32(_GRAY_G) * np.int32(green[k])
            total += np.int32(_GRAY_B) * np.int32(blue[k])
            out[k] = np.float32(total) / np.float32(10_000.0)
