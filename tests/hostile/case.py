"""One input of the corpus, and what reading it must come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt

Check = Callable[[npt.NDArray[Any]], bool]


@dataclass(frozen=True)
class Case:
    """Bytes of a video, a sound or a zip.

    Attributes
    ----------
    name : str
    kind : {"video", "sound", "zip"}
        What it is read as. A zip holds the wav of clip ``clip_id``.
    data : bytes
    fails : str
        What the reason must match; empty if it must work.
    either : bool
        It may fail for any named reason or give a valid result: damage that no format can detect.
    check : callable, optional
        What must hold for the decoded frames or samples.
    clip_id : str
    """

    name: str
    kind: Literal["video", "sound", "zip"]
    data: bytes
    fails: str = ""
    either: bool = False
    check: Check | None = None
    clip_id: str = ""
