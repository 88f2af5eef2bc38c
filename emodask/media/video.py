"""Videos -> gray frames of one size, upright, as many as are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from emodask.errors import MediaError, TooLongError
from emodask.media.blending import interpolated, places, rgb_to_gray
from emodask.media.choosing import chosen
from emodask.media.decoding import VIDEO_DECODERS, decode, open_media
from emodask.media.limits import (
    LONGEST_GAP,
    MAX_FRAME_RATE,
    MAX_HELD,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_FRAMES,
)
from emodask.media.planes import Planes


def gray_frames(
    data: bytes,
    *,
    height: int,
    width: int,
    frames: int | None = None,
    gray: Literal["rgb", "luma"] = "rgb",
    every: int | None = None,
    fit: bool = False,
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
    every : int, optional
        Choose ``frames`` frames as they are (:func:`emodask.media.choosing.chosen`) in place of
        interpolating: a video of a single frame has it as often as is asked for.
    fit : bool
        Keep the video's proportions, its edges going on where it does not fill the result.
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
        If there is no video stream, no frame decodes, or a single one where none are chosen,
        decoding breaks off, a frame is damaged, or a limit of :mod:`emodask.media.limits` is
        passed; TooLongError if it is too long.

    Notes
    -----
    Counts in the container are not trusted: the number of frames is that of frames that decode.
    Their times are not used either, other than to tell how long the video is. Of several video
    streams the first is read; pictures attached to sound are not video. A video whose scaled frames
    take more than ``MAX_HELD`` bytes is decoded twice: to count, and to keep those that matter. Of
    frames chosen ``every`` so many, no others are scaled or held.
    """
    size = (width, height)
    room = MAX_HELD // (width * height * (3 if gray == "rgb" else 1))
    planes = Planes(size, gray, fit)
    held: list[npt.NDArray[np.uint8]] = []
    count = 0
    for _, frame in _decoded(data, max_seconds):
        count += 1
        if every and frames is not None:  # which are kept does not depend on how many come
            if (count - 1) % every == 0 and len(held) < frames:
                held.append(planes.of(frame))
        elif count <= room:
            held.append(planes.of(frame))
        elif frames is None:
            raise MediaError(
                f"more than {room} frames of {width}x{height} pixels, which take too much memory; "
                "say how many frames are wanted"
            )
        else:
            held.clear()
    if every and frames is not None:
        _check_count(count, every)
        return _gray(np.stack([held[i // every] for i in chosen(count, frames, every)]), gray)
    if count <= room or frames is None:
        return gray_of(held, frames, gray, every)
    _check_count(count, every)
    if every is None:
        needed = {i for b, f in places(count, frames) for i in (b, b + 1) if i == b or f}
    else:
        needed = set(chosen(count, frames, every))
    kept = {
        i: planes.of(frame)
        for i, (_, frame) in enumerate(_decoded(data, max_seconds))
        if i in needed
    }
    if every is None:
        return _gray(interpolated(kept, count, frames), gray)
    return _gray(np.stack([kept[i] for i in chosen(count, frames, every)]), gray)


def gray_of(
    planes: Sequence[npt.NDArray[np.uint8]],
    frames: int | None,
    gray: Literal["rgb", "luma"],
    every: int | None = None,
) -> npt.NDArray[np.float32] | npt.NDArray[np.uint8]:
    """Consecutive frames of a video as gray frames: what :func:`gray_frames` makes of a whole one.

    Parameters
    ----------
    planes : sequence of ndarray of uint8, shape (3 or 1, height, width)
        As :func:`planes_in_time` gives them for this ``gray``.
    frames : int or None
        Frames of the result; None keeps those that there are.
    gray : {"rgb", "luma"}
    every : int, optional
        Choose frames as they are, in place of interpolating.

    Returns
    -------
    ndarray, shape (frames, height, width)

    Raises
    ------
    MediaError
        If there is no frame, or a single one where none are chosen.
    """
    count = len(planes)
    _check_count(count, every)
    if every is not None and frames is not None:
        return _gray(np.stack([planes[i] for i in chosen(count, frames, every)]), gray)
    whole = frames is None or frames == count
    return _gray(np.stack(planes) if whole else interpolated(planes, count, frames or 0), gray)


def _check_count(count: int, every: int | None) -> None:
    """Refuse too few frames; those that are chosen as they are need not move."""
    if not count:
        raise MediaError("no video frame decoded")
    if count < MIN_FRAMES and every is None:
        raise MediaError(
            f"{count} video frame(s) decoded; at least {MIN_FRAMES} are needed to see motion"
        )


def _gray(stack: npt.NDArray[np.uint8], gray: str) -> npt.NDArray[Any]:
    return rgb_to_gray(stack) if gray == "rgb" else stack[:, 0]


class Picture(NamedTuple):
    """What the frames of one feature are scaled to."""

    height: int
    width: int
    gray: Literal["rgb", "luma"] = "rgb"
    fit: bool = False


PlanesByPicture = Mapping[Picture, npt.NDArray[np.uint8]]


def planes_in_time(
    media: bytes | Path, pictures: Sequence[Picture]
) -> Iterator[tuple[float, PlanesByPicture]]:
    """Decode a video frame by frame, however long it is; nothing but one frame is held.

    Parameters
    ----------
    media : bytes or Path
        A whole media file, or where one lies on disk.
    pictures : sequence of Picture
        What each frame is scaled to.

    Yields
    ------
    seconds : float
        When the frame is shown, from the first one on; never less than for the frame before.
    planes : mapping of picture to ndarray of uint8, shape (3 or 1, height, width)

    Raises
    ------
    MediaError
        If there is no video stream, decoding breaks off, a frame is damaged, a time stamp leaps
        more than a minute ahead, or frames are too large.
    """
    scalers = {
        picture: Planes((picture.width, picture.height), picture.gray, picture.fit)
        for picture in pictures
    }
    latest = 0.0
    for seconds, frame in _decoded(media, None):
        if seconds > latest + LONGEST_GAP:
            raise MediaError(
                f"its time stamps leap from {latest:.1f} s to {seconds:.1f} s; the file is damaged"
            )
        latest = max(latest, seconds)
        yield latest, {picture: planes.of(frame) for picture, planes in scalers.items()}


def _decoded(media: bytes | Path, max_seconds: float | None) -> Iterator[tuple[float, Any]]:
    """Seconds from the first frame on and each frame of the first video stream, checked."""
    with open_media(media) as container:
        stream = _video_stream(container)
        if stream.codec_context is not None:
            _check_size(stream.codec_context.width, stream.codec_context.height)
        rate = _frame_rate(stream)
        first = None
        count = 0
        for frame in decode(container, stream, VIDEO_DECODERS, "video"):
            count += 1
            first = frame.time if first is None else first
            known = first is not None and frame.time is not None
            span = frame.time - first if known else (count - 1) / rate
            if max_seconds is not None and (
                count > int(max_seconds * rate) + 1 or (known and span > max_seconds)
            ):
                raise TooLongError(
                    f"the video is longer than {max_seconds:g} s; cut it into clips of one "
                    "utterance, or raise data.max_seconds in the job"
                )
            _check_size(frame.width, frame.height)
            yield span, frame
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
