"""Judges: processes that hold bundles, what they are asked and what they answer."""
