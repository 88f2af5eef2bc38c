"""Bytes -> gray frames and mono samples, decoded from memory with one thread, within limits."""

from emodask.media.blending import interpolate_frames, rgb_to_gray
from emodask.media.sound import mono_samples
from emodask.media.video import gray_frames

__all__ = ["gray_frames", "interpolate_frames", "mono_samples", "rgb_to_gray"]
