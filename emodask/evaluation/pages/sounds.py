"""The sound of a few clips, small enough to lie in the report's page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import UnreachableError
from emodask.evaluation.pages.clip_media import by_name, sound_file
from emodask.evaluation.results import headline_row
from emodask.isolation import Decoder
from emodask.job import Job, parse_job
from emodask.sources.catalogue import Clip

MOST_SOUNDS = 8
MOST_SECONDS = 9.5
MOST_BYTES = 20_000
"""Of one sound as MP3, which every browser plays; a page holds a third more, as text."""

_RATE = 24_000
_BIT_RATES = (32_000, 24_000, 16_000)
_DECODE_SECONDS = 30.0
_LISTENING = {  # a job whose feature is computed from what is to be heard
    "name": "sounds",
    "features": {"mfcc": {"rate": _RATE, "seconds": MOST_SECONDS}},
    "models": {"none": {"kind": "lda"}},
}


def sounds_of_mistakes(
    metrics: Mapping[str, Any], job: Job, clips: Sequence[Clip]
) -> dict[str, str]:
    """The sounds of the headline model's surest mistakes.

    What cannot be fetched or heard is left out: the report is worth more than its sounds.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.
    job : Job
    clips : sequence of Clip
        As the sources of the job hold them.

    Returns
    -------
    dict
        ``data:`` address of an MP3 by clip.
    """
    row = headline_row(metrics)
    if row is None or not clips:
        return {}
    mistakes = metrics["protocols"][row.protocol]["models"][row.model].get("mistakes", ())
    found = {}
    decoder = Decoder(parse_job(_LISTENING))  # a process of its own: files may crash codecs
    try:
        for clip in by_name(clips, mistakes[:MOST_SOUNDS]):
            media = sound_file(job, clip)
            if media is None:
                continue
            try:
                samples = decoder.decoded("mfcc", media.read(), _DECODE_SECONDS)
                found[clip.clip_id] = _data_address(samples)
            except UnreachableError:
                break  # each further one would be waited for as long
            except Exception:  # codecs and servers have errors of their own
                continue
    finally:
        decoder.close()
    return found


def _data_address(samples: npt.NDArray[np.float32]) -> str:
    packed = mp3(samples)
    return f"data:audio/mpeg;base64,{base64.b64encode(packed).decode('ascii')}"


def mp3(samples: npt.NDArray[np.float32]) -> bytes:
    """Samples at 24 kHz as an MP3 of at most :data:`MOST_BYTES`.

    Parameters
    ----------
    samples : ndarray of float32, (n,)
        Full scale 1; what is longer than :data:`MOST_SECONDS` is cut.

    Examples
    --------
    >>> tone = np.sin(np.arange(24_000) * 0.1).astype(np.float32)
    >>> 2_000 < len(mp3(tone)) < 8_000
    True
    """
    import av

    kept = samples[: int(MOST_SECONDS * _RATE)]
    seconds = len(kept) / _RATE
    room = [rate for rate in _BIT_RATES if rate / 8 * seconds < 0.95 * MOST_BYTES]
    packed = io.BytesIO()
    with av.open(packed, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=_RATE, layout="mono")
        stream.bit_rate = room[0] if room else _BIT_RATES[-1]
        whole = np.round(np.clip(kept, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(whole, format="s16p", layout="mono")
        frame.sample_rate = _RATE
        for part in (frame, None):
            container.mux(stream.encode(part))
    return packed.getvalue()
