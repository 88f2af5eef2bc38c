"""The arithmetic of a worker's peak memory, and of the largest batch within a limit."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from emodask.features import family
from emodask.job import Job
from emodask.memory.clips import ClipShape

_MIB = 1 << 20

# At rest: the resident memory (VmHWM in /proc) of processes that had computed a first small batch,
# less what that batch took, on Linux with CPython 3.11, NumPy 2, Numba 0.6x and PyAV 15 to 18;
# files that libraries map are in it, though processes share them. tests/test_memory.py measures
# them again, with everything else.
_WORKER = 200 * _MIB
"""A Dask worker's process: Python, Dask, Zarr, emodask."""

_NANNY = 95 * _MIB
"""The process that watches a worker, where its limit is a container's and so holds for both."""

_HEAP = 64 * _MIB
"""Freed memory that glibc keeps at most, once it has seen blocks of 32 MiB come and go."""

_DECODER = 320 * _MIB + _HEAP
"""A decoder's process: Python, FFmpeg, OpenCV, SciPy, the compiled kernels."""

_IN_PROCESS = 380 * _MIB + _HEAP
"""One process that does everything."""

_OBJECT_STORE = 40 * _MIB
"""The client of an object store."""

_REFERENCES = 17
"""Frames that a decoder keeps at once: 16 that others refer to, and the one that it works on."""

_FRAME = _REFERENCES * 1.5 + 6
"""Bytes a pixel of full-size frames: each in 4:2:0, and one as RGB planes, converted twice."""

_PLANES = {"rgb": 3, "luma": 1}

_NATIVE_RATE = 48_000
_SAMPLE = 8
"""Bytes a sample of sound as it is decoded: float32, in pieces and joined."""

_MEDIA = 3
"""Copies of a media file in a worker: as it arrives in pieces, as stored, and inflated."""

_ROW = 4
"""Copies of a batch's rows: computed, stacked to a chunk, compressed, and read back before, where
another run has filled part of the chunk."""

_PAUSE = 0.8
"""Dask gives no more tasks to a worker whose own process takes more than this of its limit."""


@dataclass(frozen=True)
class MemoryPlan:
    """What one worker takes at its peak, in bytes, part by part.

    Attributes
    ----------
    batch : int
        Clips a batch.
    threads : int
        Batches that a worker computes at a time.
    isolated : bool
        Whether decoding has a process of its own.
    clip : ClipShape
        What the clips are taken to be.
    rest : int
        The worker's process before its first batch: interpreter and libraries.
    decoder : int
        The same of a decoder's process; 0 where there is none.
    media : int
        Copies of one clip's largest file in the worker's process.
    rows : int
        All copies of one clip's row: a batch takes that times its clips.
    file, codec, frames, samples, kernels : int
        Where the clip is decoded: its file, full-size frames, scaled frames, samples of sound, and
        what the features' kernels take.
    """

    batch: int
    threads: int
    isolated: bool
    clip: ClipShape
    rest: int
    decoder: int
    media: int
    rows: int
    file: int
    codec: int
    frames: int
    samples: int
    kernels: int

    @property
    def decoding(self) -> int:
        """What one clip takes where it is decoded, beyond what that process takes at rest."""
        return self.file + max(self.codec + self.frames, self.samples) + self.kernels

    @property
    def own(self) -> int:
        """The peak of the worker's own process."""
        return self._fixed(own=True) + self.threads * self.batch * self.rows

    @property
    def peak(self) -> int:
        """The peak of a worker: its process and those of its decoders."""
        return self._fixed() + self.threads * self.batch * self.rows

    @property
    def needed(self) -> int:
        """The smallest limit of a worker that this plan keeps within."""
        return max(self.peak, math.ceil(self.own / _PAUSE)) if self.isolated else self.peak

    def largest_batch(self, limit: int) -> int:
        """The most clips a batch that keep a worker within a limit; 0 if not even one does."""
        room = limit - self._fixed()
        if self.isolated:
            room = min(room, math.floor(limit * _PAUSE) - self._fixed(own=True))
        return max(room, 0) // (self.threads * self.rows)

    def _fixed(self, own: bool = False) -> int:
        """What does not depend on the size of a batch."""
        decoded = self.decoder + self.decoding
        if own and self.isolated:
            decoded = 0
        return self.rest + self.threads * (self.media + decoded)

    def as_dict(self) -> dict[str, Any]:
        """The parts and their sums as plain JSON values."""
        sums = {"peak": self.peak, "needed": self.needed, "own": self.own}
        return {**sums, "decoding": self.decoding, **asdict(self)}


def plan_memory(
    job: Job,
    clip: ClipShape,
    batch: int,
    *,
    threads: int = 1,
    isolated: bool = True,
    nanny: bool = False,
    remote: bool = False,
) -> MemoryPlan:
    """Plan the memory of a worker.

    Parameters
    ----------
    job : Job
    clip : ClipShape
        What each clip is taken to be.
    batch : int
        Clips a batch.
    threads : int
        Batches that a worker computes at a time.
    isolated : bool
        Whether decoding has a process of its own.
    nanny : bool
        Whether the limit also has to hold the process that watches the worker.
    remote : bool
        Whether media or store lie in an object store.

    Examples
    --------
    >>> from emodask.job import load_job
    >>> plan = plan_memory(load_job("hog3d-spline"), ClipShape(), batch=12)
    >>> plan.largest_batch(plan.needed), plan.largest_batch(plan.needed - 1)
    (12, 11)
    """
    rest = _WORKER if isolated else _IN_PROCESS
    row = sum(_bytes_of(feature) for feature in job.features.values())
    given = sum(_bytes_of(job.features[name]) for name in job.tables)  # they come with the task
    video, sound = (modality in job.modalities for modality in ("video", "audio"))
    frames, samples, kernels = _decoded(job, clip)
    resident = sum(family(f.kind).resident(f.settings) for f in job.features.values())
    if not isolated:
        rest += resident
    return MemoryPlan(
        batch=batch,
        threads=threads,
        isolated=isolated,
        clip=clip,
        rest=rest + nanny * _NANNY + remote * _OBJECT_STORE,
        decoder=_DECODER + resident if isolated and job.modalities else 0,
        media=_MEDIA * clip.size,
        rows=row * (_ROW + remote) + given,
        file=clip.size,
        codec=round(_FRAME * clip.width * clip.height) if video else 0,
        frames=frames,
        samples=samples + (round(clip.seconds * _NATIVE_RATE) * _SAMPLE if sound else 0),
        kernels=kernels + 2 * row,
    )


def bytes_text(size: int) -> str:
    """Bytes as people read them.

    Examples
    --------
    >>> bytes_text(412_345_678), bytes_text(2_000_000_000)
    ('412 MB', '2.0 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 995_000_000 else f"{size / 1e6:.0f} MB"


def _bytes_of(feature: Any) -> int:
    return 4 * math.prod(family(feature.kind).dims(feature.settings).values())


def _decoded(job: Job, clip: ClipShape) -> tuple[int, int, int]:
    """Most bytes of frames, of samples, and of what kernels add."""
    from emodask.media.limits import MAX_HELD

    held = samples = 0
    results: dict[str, int] = {}
    kernels = 0
    for feature in job.features.values():
        found = family(feature.kind)
        if found.modality == "table":
            continue
        settings = found.decode(feature.settings)
        key = repr(sorted(settings.items()))
        if found.modality == "video":
            wanted = settings.get("frames") or clip.frames
            pixels = settings["width"] * settings["height"]
            planes = pixels * _PLANES[settings.get("gray", "rgb")]
            count = wanted * pixels
            room = max(MAX_HELD, 2 * wanted * planes)
            scaled = wanted if settings.get("every") else clip.frames
            held = max(held, min(scaled * planes, room) + wanted * planes)
            results[key] = 4 * count if planes > pixels else 0
        else:
            count = round(clip.seconds * settings["rate"])
            samples += 4 * count
        kernels = max(kernels, found.memory(feature.settings, count))
    return held + sum(results.values()), samples, kernels
