"""A made-up recording, judged before people come, so that nobody waits for compilers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from emodask.page.judges.bench import Bench

_RATE = 48_000
_FRAMES = 30
_SIDE = 64


def rehearse(bench: Bench, folder: Path) -> None:
    """Judge noise in motion by each bundle, and draw it.

    Parameters
    ----------
    bench : Bench
    folder : Path
        Where the recording may lie.
    """
    file = folder / "rehearsal.avi"
    _write(file)
    for bundle in bench.bundles:
        Bench([bundle]).judge(file, file.name, 60.0)


def _write(file: Path) -> None:
    noise = np.random.default_rng(0)
    frames: npt.NDArray[np.uint8] = noise.integers(0, 255, (_FRAMES, _SIDE, _SIDE, 3), np.uint8)
    samples = (3000 * noise.standard_normal((1, _RATE))).astype(np.int16)
    with av.open(str(file), "w", format="avi") as container:
        video = container.add_stream("mpeg4", rate=_FRAMES)
        video.width = video.height = _SIDE
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=_RATE, layout="mono")
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FRAMES)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        heard.sample_rate, heard.pts = _RATE, 0
        container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
