"""Decoding in a process of its own: a hostile file costs its clip, never the worker.

A worker keeps one decoder process and passes it the bytes of each media file. The decoder has a
limit on its memory and on its time; if it dies, of a segmentation fault inside a codec say, the
worker knows exactly which clip did it, starts another, and goes on.
"""

from emodask.isolation.worker_side import (
    CLIP_MEMORY,
    CLIP_TIMEOUT,
    Decoder,
    close_decoders,
    decoder_of_this_thread,
)

__all__ = [
    "CLIP_MEMORY",
    "CLIP_TIMEOUT",
    "Decoder",
    "close_decoders",
    "decoder_of_this_thread",
]
