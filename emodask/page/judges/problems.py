"""Why a recording has no verdict, in words for people who have never heard of a codec."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from emodask.page.judges.judgement import Problem, ProblemCode

if TYPE_CHECKING:
    from emodask.models.bundle import Bundle

_TYPES = "mp4, webm, mov, mkv, avi, wav, mp3, m4a, ogg or flac"

NO_VOICE = Problem(
    "no-voice",
    "The recording is silent, and a voice is needed. Is the microphone on, and allowed in the "
    "browser?",
)
_NO_FACE = (
    "No face was found in the video. The face should be large in the picture, seen from the front, "
    "and in the light."
)
NO_FACE_SEEN = (
    "No face was found at the liveliest moment of the video: without a face this verdict means "
    "nothing."
)
_TOO_SHORT = "The recording is too short to judge. A second or more of speech would be right."
_NO_FRAME = "The video holds no picture that can be read. Recording it again may help."

_KNOWN: tuple[tuple[str, ProblemCode, str], ...] = (
    ("no face found", "no-face", _NO_FACE),
    ("silence: ", "no-voice", NO_VOICE.text),
    ("zero samples decoded", "no-voice", NO_VOICE.text),
    ("too short", "too-short", _TOO_SHORT),
    ("do not determine the", "too-short", _TOO_SHORT),
    ("are needed to see motion", "too-short", _TOO_SHORT),
    ("no video frame decoded", "not-media", _NO_FRAME),
    ("the file is empty", "not-media", "The file is empty. Recording it again may help."),
    ("not a media file", "not-media", f"This is no video or sound file; {_TYPES} are understood."),
    (
        "the file breaks off",
        "not-media",
        "The end of the file is missing. Copying or recording it again may help.",
    ),
)
"""Parts of emodask's own messages, and what they mean to people."""


def problem_of(message: str) -> Problem:
    """The problem that a message of a timeline, or of a media file that cannot be read, tells of.

    Examples
    --------
    >>> problem_of("no window could be judged: silence: all 9 samples (0.1 s) are zero").code
    'no-voice'
    >>> problem_of("the file breaks off: its mdat declares 500 bytes and 100 are there").text
    'The end of the file is missing. Copying or recording it again may help.'
    >>> problem_of("read up to 3.0 s: decoding video broke off after 90 frames").code
    'not-media'
    """
    for phrase, code, text in _KNOWN:
        if phrase in message:
            return Problem(code, text)
    if message.startswith("no window could be judged"):
        why = message.partition(": ")[2]
        return Problem("failed", f"No part of the recording could be judged: {_sentence(why)}")
    return Problem(
        "not-media",
        f"This is no recording that can be read to its end: {_sentence(message)} Recordings as "
        f"{_TYPES} are understood.",
    )


def too_long(limit: float) -> Problem:
    """Longer than recordings may be here."""
    return Problem(
        "too-long", f"The recording is longer than {limit:g} seconds. Please cut it, and try again."
    )


def too_large(limit: int) -> Problem:
    """More bytes than an upload may have."""
    text = f"The file is larger than {size_text(limit)}, the most that is taken here."
    return Problem("too-large", text)


def size_text(limit: int) -> str:
    """Bytes in words.

    Examples
    --------
    >>> size_text(200 << 20), size_text(900)
    ('200 MiB', '900 bytes')
    """
    return f"{limit / (1 << 20):.0f} MiB" if limit >= 1 << 20 else f"{limit} bytes"


def took_too_long(limit: float) -> Problem:
    """More time than a judgement may take."""
    return Problem(
        "took-too-long",
        f"Judging the recording took longer than {limit:g} seconds and was stopped. A shorter one, "
        "or a smaller picture, would be faster.",
    )


BUSY = Problem("busy", "Too many recordings wait to be judged. Please try again in a minute.")
NO_ROOM = Problem(
    "busy",
    "There is no room for the recording now: others are being kept. Please try again in a minute.",
)
NO_MEMORY = Problem(
    "failed",
    "The recording takes more memory than a judgement may. A shorter one, or a smaller picture, "
    "would take less.",
)


def failed(why: str) -> Problem:
    """Something that is not the person's fault."""
    return Problem("failed", f"The recording could not be judged: {_sentence(why)}")


def missing_modality(has: Collection[str], bundles: Sequence[Bundle]) -> Problem:
    """A recording of which no bundle can say anything."""
    needs = sorted({wording(bundle.modalities) for bundle in bundles}, key=len)
    return Problem(
        "missing-modality",
        f"This recording has {wording(has)}, and what is needed here is {', or '.join(needs)}.",
    )


def wording(modalities: Collection[str]) -> str:
    """Modalities in words.

    Examples
    --------
    >>> wording({"audio", "video"}), wording(["audio"]), wording([])
    ('video and sound', 'sound alone', 'neither video nor sound')
    """
    if not modalities:
        return "neither video nor sound"
    if len(modalities) > 1:
        return "video and sound"
    return "sound alone" if "audio" in modalities else "video alone"


def _sentence(text: str) -> str:
    """A message of emodask as a sentence."""
    return f"{text.rstrip('.')}."
