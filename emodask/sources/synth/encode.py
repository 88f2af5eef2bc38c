"""Frames and samples into the bytes of RAVDESS's kinds of file: mp4 with H.264 and AAC, and wav."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import soundfile

# Without these the file would name the muxer's version and could carry the time of day.
_BITEXACT = {"fflags": "+bitexact"}


def encode_video(
    frames: Iterable[npt.NDArray[np.uint8]], size: tuple[int, int], fps: Fraction
) -> bytes:
    """Encode planar YUV 4:2:0 frames as H.264 in an mp4 without sound.

    One encoder thread: x264 divides its work by thread, and so would its bytes be. No lookahead:
    what x264 decides in it depends on what was in memory before, so that bytes would differ from
    run to run.

    Parameters
    ----------
    frames : iterable of ndarray, shape (3 * height / 2, width), uint8
        I420 pictures, as of ``cv2.COLOR_BGR2YUV_I420``.
    size : (int, int)
        Width and height in pixels, both even.
    fps : Fraction
        Frames a second.

    Returns
    -------
    bytes
        The mp4.
    """
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4", options=_BITEXACT) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {
            "preset": "veryfast",
            "crf": "20",
            "flags": "+bitexact",
            "x264-params": "rc-lookahead=0",
        }
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return sink.getvalue()


def add_sound(video: bytes, samples: npt.NDArray[np.float32], rate: int) -> bytes:
    """Put an AAC track beside a video that is already encoded; its pictures are copied as they are.

    Parameters
    ----------
    video : bytes
        What `encode_video` returned.
    samples : ndarray, shape (n,), float32
        Mono sound within -1 to 1; it becomes both channels of a stereo track, as in RAVDESS.
    rate : int
        Samples per second.

    Returns
    -------
    bytes
        The mp4.
    """
    sink = io.BytesIO()
    with (
        av.open(io.BytesIO(video), "r") as source,
        av.open(sink, "w", format="mp4", options=_BITEXACT) as container,
    ):
        pictures = container.add_stream_from_template(source.streams.video[0])
        sound = container.add_stream("aac", rate=rate, layout="stereo")
        sound.bit_rate = 128_000
        sound.options = {"flags": "+bitexact", "aac_coder": "fast"}
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                container.mux(packet)
        for start in range(0, len(samples), 1024):
            block = samples[start : start + 1024]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(np.stack([block, block])), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = rate, start
            frame.time_base = Fraction(1, rate)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return sink.getvalue()


def wav_bytes(samples: npt.NDArray[np.float32], rate: int) -> bytes:
    """Mono samples within -1 to 1 as a 16-bit wav.

    Examples
    --------
    >>> len(wav_bytes(np.zeros(10, np.float32), 48_000)) - 2 * 10
    44
    """
    sink = io.BytesIO()
    soundfile.write(sink, samples, rate, format="WAV", subtype="PCM_16")
    return sink.getvalue()
