"""A synthetic corpus: RAVDESS-shaped actor zips of animated faces with voices."""

from __future__ import annotations

from emodask.sources.synth.corpus import clip_bytes, clip_order, synthesize

__all__ = ["clip_bytes", "clip_order", "synthesize"]
