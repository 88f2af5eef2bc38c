"""The eight emotions of RAVDESS: their codes, names and order."""

from __future__ import annotations

EMOTIONS: tuple[str, ...] = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
)
"""Names in code order: the code of ``EMOTIONS[i]`` is ``i + 1``."""

CODES: dict[str, int] = {name: code for code, name in enumerate(EMOTIONS, start=1)}


def emotion_name(code: int) -> str:
    """Name of a RAVDESS emotion code.

    Examples
    --------
    >>> emotion_name(5)
    'angry'
    """
    if not 1 <= code <= len(EMOTIONS):
        raise ValueError(f"emotion code {code} is not between 1 and {len(EMOTIONS)}")
    return EMOTIONS[code - 1]
