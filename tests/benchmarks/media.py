"""Clips to measure with: real ones of RAVDESS, or synthetic ones of the same size."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.benchmarks.measuring import MEDIA


def options(parser: argparse.ArgumentParser, clips: int = 5) -> None:
    """Options on which clips to take."""
    parser.add_argument(
        "--source", type=Path, metavar="FOLDER", help="of RAVDESS zips; synthetic clips if absent"
    )
    parser.add_argument("--clips", type=int, default=clips, help="how many to take (%(default)s)")


@contextlib.contextmanager
def full_clips(source: Path | None, count: int) -> Iterator[tuple[list[Any], str]]:
    """Up to some clips that have a video and a wav, and what they are, in words."""
    from emodask import scan
    from emodask.sources.synth import synthesize

    with contextlib.ExitStack() as stack:
        what = "clips"
        if source is None and MEDIA.is_dir():
            source, what = MEDIA, "RAVDESS clips"
        elif source is None:
            source = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            what = "synthetic clips of 1280x720"
            synthesize(source, actors=1, clips=count, size=(1280, 720), seconds=3.6)
        found = [
            clip
            for clip in scan(f"{source}/*.zip").clips
            if clip.media_for("video", "video-only") and clip.media_for("audio", "audio-only")
        ]
        if not found:
            raise SystemExit(f"{source}: no clip with a video and a wav; pass --source")
        taken = found[:count]
        yield taken, f"{len(taken)} {what if len(taken) > 1 else what.replace('clips', 'clip')}"


class Material:
    """One clip at every stage of its extraction, each made when it is first asked for."""

    def __init__(self, clip: Any, job: Any) -> None:
        self.clip = clip
        self.hog3d = job.features["hog3d"].settings
        self.spline = job.features["spline"].settings

    def read(self) -> tuple[bytes, bytes]:
        """The mp4 and the wav, from their zips."""
        return (
            self.clip.media_for("video").read(),
            self.clip.media_for("audio", "audio-only").read(),
        )

    @cached_property
    def files(self) -> tuple[bytes, bytes]:
        return self.read()

    def frames(self, gray: str) -> npt.NDArray[Any]:
        """Gray frames, decoded anew."""
        from emodask import media

        size = {name: getattr(self.hog3d, name) for name in ("height", "width", "frames")}
        return media.gray_frames(self.files[0], **size, gray=gray)  # type: ignore[arg-type]

    def sound(self) -> npt.NDArray[np.float32]:
        """Mono samples, decoded anew."""
        from emodask import media

        return media.mono_samples(self.files[1], rate=self.spline.rate)

    @cached_property
    def samples(self) -> npt.NDArray[np.float32]:
        return self.sound()
