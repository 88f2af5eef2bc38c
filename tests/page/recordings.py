"""Recordings as browsers make them, and files that are none."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt


class _Unseekable(io.RawIOBase):
    """Where a browser writes: it cannot go back to say how long the recording is."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += bytes(data)
        return len(data)


def webm(
    frames: npt.NDArray[np.uint8] | None,
    sound: npt.NDArray[np.float32] | None,
    codec: str = "libvpx",
    rate: int = 30,
) -> bytes:
    """A webm as ``MediaRecorder`` writes it: VP8 or VP9, Opus, live, without a duration."""
    target = _Unseekable()
    with av.open(target, "w", format="webm", options={"live": "1"}) as container:
        video = audio = None
        if frames is not None:
            video = container.add_stream(codec, rate=rate, options={"deadline": "realtime"})
            video.height, video.width = frames.shape[1:3]
            video.pix_fmt = "yuv420p"
        if sound is not None:
            audio = container.add_stream("libopus", rate=48_000, layout="mono")
        for number, image in enumerate(frames if frames is not None else ()):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        if sound is not None:
            for at in range(0, sound.size - 959, 960):
                piece = np.ascontiguousarray(sound[np.newaxis, at : at + 960])
                frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
                frame.sample_rate, frame.pts = 48_000, at
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return bytes(target.written)
