"""Bytes -> gray frames and mono samples, decoded from memory with one thread."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Literal

import av
import cv2
import numba
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from emodask.errors import MediaError

MIN_FRAMES = 2
MAX_SIDE = 8192
MAX_CHANNELS = 64
RATE_RANGE = (1_000, 768_000)

_GRAY_R, _GRAY_G, _GRAY_B = 2989, 5870, 1140
"""Rec. 601 luma weights in ten-thousandths: integers keep equal colours exactly equal."""


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

    Every decoded frame is scaled to ``width`` x ``height`` pixels (OpenCV ``INTER_AREA``), then the
    sequence is interpolated linearly to ``frames`` frames, first and last kept, truncated to uint8.

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
        If there is no video stream, fewer than two frames decode, or decoding breaks off.

    Notes
    -----
    Counts in the container are not trusted: the number of frames is that of frames that decode.
    """
    scaled = list(_scaled_frames(data, (width, height), gray, max_seconds))
    if len(scaled) < MIN_FRAMES:
        raise MediaError(
            f"{len(scaled)} video frame(s) decoded; at least {MIN_FRAMES} are needed to see motion"
        )
    stack = np.stack(scaled)
    if frames is not None:
        stack = interpolate_frames(stack, frames)
    return rgb_to_gray(stack) if gray == "rgb" else stack


def _scaled_frames(
    data: bytes, size: tuple[int, int], gray: str, max_seconds: float
) -> Iterator[npt.NDArray[np.uint8]]:
    with _open(data) as container:
        if not container.streams.video:
            raise MediaError("it has no video stream")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise MediaError("its video stream has no decoder")
        context.thread_count = 1
        count = 0
        limit = int(max_seconds * _frame_rate(stream)) + 1
        try:
            for frame in container.decode(stream):
                count += 1
                if count > limit:
                    raise MediaError(
                        f"the video is longer than {max_seconds:g} s; cut it into clips of one "
                        "utterance, or raise data.max_seconds in the job"
                    )
                if frame.width > MAX_SIDE or frame.height > MAX_SIDE:
                    raise MediaError(
                        f"frames of {frame.width}x{frame.height} pixels; at most {MAX_SIDE} a side"
                    )
                plane = _luma(frame) if gray == "luma" else frame.to_ndarray(format="rgb24")
                if plane.shape[1::-1] != size:
                    plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
                yield plane
        except av.FFmpegError as error:
            raise MediaError(
                f"decoding video broke off after {count} frames: {_why(error)}"
            ) from error
        declared = stream.frames
        if declared > MIN_FRAMES and count < declared // 2:
            raise MediaError(
                f"only {count} of {declared} video frames decoded; the file is truncated or damaged"
            )


def _frame_rate(stream: Any) -> float:
    rate = stream.average_rate or stream.base_rate
    return min(max(float(rate), 1.0), 240.0) if rate else 60.0


def _luma(frame: Any) -> npt.NDArray[np.uint8]:
    """The Y plane as the decoder left it."""
    if not frame.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or (
        frame.format.components[0].bits != 8
    ):
        frame = frame.reformat(format="yuv420p")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
    return rows[:, : frame.width]


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
    n = len(stack)
    if n == count:
        return stack
    result = np.empty((count, *stack.shape[1:]), np.uint8)
    steps = max(count - 1, 1)
    for i in range(count):
        before, fraction = divmod(i * (n - 1), steps)
        if fraction == 0:
            result[i] = stack[before]
        else:
            _blend(
                stack[before].ravel(), stack[before + 1].ravel(), fraction, steps, result[i].ravel()
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
    rgb : ndarray of uint8, shape (..., 3)

    Returns
    -------
    ndarray of float32, shape (...)
        Gray levels, correctly rounded: colours of equal gray give equal numbers.

    Examples
    --------
    >>> import numpy as np
    >>> rgb_to_gray(np.array([[0, 0, 0], [10, 10, 10]], np.uint8)).tolist()
    [0.0, 9.99899959564209]
    """
    gray = np.empty(rgb.shape[:-1], np.float32)
    _weigh(rgb.reshape(-1, 3), gray.reshape(-1))
    return gray


@numba.njit(cache=True, nogil=True)
def _weigh(rgb, gray):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for k in range(gray.size):
        total = _GRAY_R * np.int32(rgb[k, 0]) + _GRAY_G * np.int32(rgb[k, 1])
        total += _GRAY_B * np.int32(rgb[k, 2])
        gray[k] = np.float32(total) / np.float32(10_000.0)


def mono_samples(
    data: bytes, *, rate: int, seconds: float | None = None, max_seconds: float = 60.0
) -> npt.NDArray[np.float32]:
    """Decode the sound of a wav or mp4 to mono at one sampling rate.

    Channels are averaged, then resampled (soxr, high quality), as ``librosa.load`` does.

    Parameters
    ----------
    data : bytes
        A whole media file.
    rate : int
        Sampling rate of the result, in Hz.
    seconds : float, optional
        Decode no more than this from the start; None decodes all.
    max_seconds : float
        Longer sound is refused, unless ``seconds`` asks for less.

    Returns
    -------
    ndarray of float32, shape (n,)
        Samples, full scale at 1.

    Raises
    ------
    MediaError
        If there is no sound stream, no sample decodes, or a sample is not finite.
    """
    limit = max_seconds + 1 if seconds is None else min(seconds, max_seconds)
    decode = _decode_wav if _is_wav(data) else _decode_track
    samples, native = decode(data, limit)
    if samples.size == 0:
        raise MediaError("no sound: zero samples decoded")
    if seconds is None and samples.size > max_seconds * native:
        raise MediaError(
            f"the sound is longer than {max_seconds:g} s; cut it into clips of one utterance, or "
            "raise data.max_seconds in the job"
        )
    if not np.isfinite(samples).all():
        raise MediaError("the sound holds samples that are not finite numbers")
    if native == rate:
        return samples
    resampled = soxr.resample(samples, native, rate, quality="HQ")
    wanted = int(np.ceil(samples.size * rate / native))
    fixed = np.zeros(wanted, np.float32)
    fixed[: min(wanted, resampled.size)] = resampled[:wanted]
    return fixed


def _is_wav(data: bytes) -> bool:
    return data[:4] in (b"RIFF", b"RF64", b"fLaC", b"RIFX")


def _decode_wav(data: bytes, seconds: float) -> tuple[npt.NDArray[np.float32], int]:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels = int(file.samplerate), int(file.channels)
            _check_layout(rate, channels)
            samples = file.read(int(np.ceil(seconds * rate)), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise MediaError(f"not a readable wav file: {_why(error)}") from error
    return _mono(samples.T), rate


def _decode_track(data: bytes, seconds: float) -> tuple[npt.NDArray[np.float32], int]:
    pieces: list[npt.NDArray[np.float32]] = []
    count = 0
    with _open(data) as container:
        if not container.streams.audio:
            raise MediaError("it has no sound stream")
        stream = container.streams.audio[0]
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
        _check_layout(rate, channels)
        stream.codec_context.thread_count = 1
        limit = int(np.ceil(seconds * rate))
        planar = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
        try:
            for frame in container.decode(stream):
                for piece in planar.resample(frame):
                    pieces.append(_mono(piece.to_ndarray().astype(np.float32, copy=False)))
                    count += pieces[-1].size
                if count >= limit:
                    break
        except av.FFmpegError as error:
            raise MediaError(
                f"decoding sound broke off after {count / rate:.2f} s: {_why(error)}"
            ) from error
    samples = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    return samples[:limit], rate


def _check_layout(rate: int, channels: int) -> None:
    if not RATE_RANGE[0] <= rate <= RATE_RANGE[1]:
        raise MediaError(f"sampling rate {rate} Hz; expected {RATE_RANGE[0]} to {RATE_RANGE[1]} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise MediaError(f"{channels} sound channels; expected 1 to {MAX_CHANNELS}")


def _mono(channels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if len(channels) == 1:
        return np.ascontiguousarray(channels[0], np.float32)
    return np.ascontiguousarray(channels.mean(axis=0, dtype=np.float32))


def _open(data: bytes) -> Any:
    if not data:
        raise MediaError("the file is empty")
    try:
        return av.open(io.BytesIO(data), mode="r")
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"not a media file that can be read: {_why(error)}") from error


def _why(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return str(text).splitlines()[0]
