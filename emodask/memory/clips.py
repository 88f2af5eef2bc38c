"""The largest of the clips that a plan is for: from the sizes of their files, and one header."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emodask.clip_rows import media_of
from emodask.job import Job
from emodask.sources.addresses import is_url
from emodask.sources.archive import Member
from emodask.sources.catalogue import Clip, MediaFile

LOOKED_AT = 10_000
"""Files whose sizes are compared: more of them, evenly spread, tell no more."""

_READ_AT_MOST = 64 << 20
"""Bytes of a file that is read for its header."""

_PCM = 96_000
"""Bytes of sound a second, where a wav's header is not read: 16 bits at 48 kHz, as RAVDESS has."""


@dataclass(frozen=True)
class ClipShape:
    """What a clip is taken to be: by default a long one of RAVDESS.

    Attributes
    ----------
    width, height : int
        Pixels of a decoded frame.
    frames : int
        Decoded frames.
    seconds : float
        Of sound.
    size : int
        Bytes of its largest file.
    assumed : bool
        Whether no header has been read.
    """

    width: int = 1280
    height: int = 720
    frames: int = 160
    seconds: float = 5.4
    size: int = 5_000_000
    assumed: bool = True

    def __str__(self) -> str:
        """Show what costs memory, such as ``110 frames of 1280x720, 3.7 s of sound``."""
        parts = []
        if self.frames:
            parts.append(f"{self.frames} frames of {self.width}x{self.height}")
        if self.seconds:
            parts.append(f"{self.seconds:.1f} s of sound")
        return ", ".join(parts) or "rows of tables alone"


def largest_clip(job: Job, clips: Sequence[Clip]) -> ClipShape:
    """The shape of the largest of some clips.

    Catalogues know the sizes of members of zips; files of their own are asked for theirs where they
    lie on a disk. Of each modality the largest file on a disk is read for its header. Of remote
    media nothing is fetched: frames are taken to be those of RAVDESS.
    """
    if not job.modalities:
        return ClipShape(0, 0, 0, 0.0, 0, assumed=False)
    shape = ClipShape()
    sizes = []
    for modality in job.modalities:
        files = [media_of(job, clip, modality) for clip in clips[:: 1 + len(clips) // LOOKED_AT]]
        sized = [(size, media) for media in files if media and (size := _size(media))]
        if not sized:
            continue
        size, media = max(sized, key=lambda pair: pair[0])
        sizes.append(size)
        shape = _with_header(shape, job, modality == "video", media, size)
    if "video" not in job.modalities:
        shape = replace(shape, width=0, height=0, frames=0)
    if "audio" not in job.modalities:
        shape = replace(shape, seconds=0.0)
    return replace(shape, size=max(sizes, default=shape.size))


def _size(media: MediaFile) -> int:
    """Bytes of a file as far as no server has to be asked; 0 if one had to."""
    if isinstance(media.where, Member):
        return media.where.size
    if is_url(media.where.url):
        return 0
    with contextlib.suppress(Exception):  # whatever it is, the batch that reads it says so
        return media.where.size()
    return 0


def _with_header(shape: ClipShape, job: Job, video: bool, media: MediaFile, size: int) -> ClipShape:
    from emodask.media.header import Header, header
    from emodask.media.limits import MAX_FRAME_RATE, MAX_PIXELS

    found = None
    place = media.where.archive if isinstance(media.where, Member) else media.where
    if not is_url(place.url) and size <= _READ_AT_MOST:
        with contextlib.suppress(Exception):
            found = header(media.read())
    longest = job.data.max_seconds
    if found is None:
        sound = size / _PCM if media.kind == "audio-only" else shape.seconds
        found = Header(seconds=min(sound, longest))
        assumed = True
    else:
        assumed = False
    seconds = min(found.seconds, longest) or shape.seconds
    if not video:
        return replace(shape, seconds=seconds)
    shape = replace(
        shape,
        seconds=max(seconds, shape.seconds),
        frames=min(found.frames or shape.frames, math.ceil(longest * MAX_FRAME_RATE)),
        assumed=assumed,
    )
    # A decoder refuses frames that are larger than its limit, before it has memory for one.
    if 0 < found.width * found.height <= MAX_PIXELS:
        return replace(shape, width=found.width, height=found.height)
    return shape
