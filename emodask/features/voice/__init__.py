"""Low-level descriptors of a voice, a value every 10 ms, and functionals of them over a clip."""
