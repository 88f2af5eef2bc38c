"""Memory, planned before the start: what a worker takes at its peak, and what its limit allows."""

from emodask.memory.clips import LOOKED_AT, ClipShape, largest_clip
from emodask.memory.limits import Workers, clip_memory, refuse, workers_of
from emodask.memory.plan import MemoryPlan, bytes_text, plan_memory

__all__ = [
    "LOOKED_AT",
    "ClipShape",
    "MemoryPlan",
    "Workers",
    "bytes_text",
    "clip_memory",
    "largest_clip",
    "plan_memory",
    "refuse",
    "workers_of",
]
