"""The grammar of the file names of TESS, the Toronto emotional speech set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from emodask.emotions import CODES
from emodask.sources.names import NameRejected

SPEAKERS: dict[str, int] = {"OAF": 101, "YAF": 102}
"""Actor codes of the older and the younger woman: no code of RAVDESS's actors, 1 to 24."""

EMOTION_WORDS: dict[str, str] = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fearful",
    "disgust": "disgust",
    "ps": "surprised",
}
"""What names call the emotions (ps: pleasant surprise), and their names here."""

# Some copies have OA_bite_neutral.wav among the OAF_ files.
_WRITTEN = {"OAF": "OAF", "OA": "OAF", "YAF": "YAF", "YA": "YAF"}


@dataclass(frozen=True)
class TessName:
    """What a TESS name says: who says "Say the word ..." with which word, and how.

    Attributes
    ----------
    speaker : {"OAF", "YAF"}
    word : str
        In small letters.
    emotion_word : str
        A key of :data:`EMOTION_WORDS`.

    Examples
    --------
    >>> name = parse_tess("TESS/OAF_neutral/OA_bite_neutral.wav")
    >>> name.clip_id, name.actor, name.emotion
    ('OAF_bite_neutral', 101, 1)
    """

    speaker: str
    word: str
    emotion_word: str

    @property
    def clip_id(self) -> str:
        """The name in its usual spelling, such as ``YAF_dog_ps``."""
        return f"{self.speaker}_{self.word}_{self.emotion_word}"

    @property
    def actor(self) -> int:
        """Code of the speaker."""
        return SPEAKERS[self.speaker]

    @property
    def emotion(self) -> int:
        """RAVDESS code of the emotion."""
        return CODES[EMOTION_WORDS[self.emotion_word]]


def looks_like_tess(path: str) -> bool:
    """Whether a file name begins as those of TESS do."""
    return PurePosixPath(path).stem.partition("_")[0].upper() in _WRITTEN


def parse_tess(path: str) -> TessName:
    """Read a TESS file name; folders before it are ignored, and so is the case of letters.

    Raises
    ------
    NameRejected
        If the name is not one of TESS; the message says why.

    Notes
    -----
    Pichora-Fuller & Dupuis (2020), Toronto emotional speech set (TESS), doi:10.5683/SP2/E8H2MF.
    """
    file = PurePosixPath(path)
    parts = file.stem.split("_")
    if len(parts) != 3:
        raise NameRejected(
            "not a TESS name: a speaker, a word and an emotion joined by '_' are expected, as in "
            f"OAF_back_angry.wav, but it has {len(parts)} part(s)"
        )
    speaker, word, emotion = parts
    if speaker.upper() not in _WRITTEN:
        raise NameRejected(f"speaker {speaker!r} is not one of {', '.join(SPEAKERS)}")
    if not re.fullmatch("[A-Za-z]+", word):
        raise NameRejected(f"{word!r} is not a word of letters a to z")
    if emotion.lower() not in EMOTION_WORDS:
        raise NameRejected(f"emotion {emotion!r} is not one of {', '.join(EMOTION_WORDS)}")
    if file.suffix.lower() != ".wav":
        raise NameRejected(f"TESS is .wav files, not {file.suffix or 'bare'}")
    return TessName(_WRITTEN[speaker.upper()], word.lower(), emotion.lower())
