"""openSMILE's own sets of functionals, through its own package, which has a licence of its own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.errors import FeatureError, JobError
from emodask.features import Family
from emodask.features.audio.further_rows import VariantSettings, with_variants
from emodask.features.audio.sound import checked

SIZES = {"eGeMAPSv02": 88, "ComParE_2016": 6373, "GeMAPSv01b": 62, "emobase": 988}
"""Numbers of each set's functionals."""

ABSENT = (
    "opensmile is not installed: pip install 'emodask[opensmile]'. It comes under audEERING's "
    "research licence, not emodask's: commercial products need another from audEERING"
)
SHORTEST = 0.1
"""Seconds that a clip has to have at least: its frames last 60 ms."""

# Its library, and what its Python package imports (pandas and more), come on top of the samples as
# 16-bit numbers and the frames of 60 ms that it keeps. Measured.
_LIBRARIES = 150 << 20
_BYTES_A_SAMPLE = 100


class Settings(VariantSettings):
    """Keys of a job's ``[features.opensmile]`` table.

    Attributes
    ----------
    set : str
        Which of openSMILE's sets of functionals.
    rate : int
        Samples per second.
    """

    set: Literal["eGeMAPSv02", "ComParE_2016", "GeMAPSv01b", "emobase"] = "eGeMAPSv02"
    rate: int = Field(default=16_000, ge=8000, le=192_000)


def opensmile_functionals(
    samples: npt.NDArray[np.floating], rate: int, name: str = "eGeMAPSv02"
) -> npt.NDArray[np.float32]:
    """Functionals of one of openSMILE's sets: one number a name of :func:`feature_names`.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, full scale 1; openSMILE takes 16-bit numbers, what is louder is clipped.
    rate : int
        Samples per second.
    name : str
        A key of :data:`SIZES`.

    Returns
    -------
    float32 array, (SIZES[name],)

    Raises
    ------
    FeatureError
        If the samples are not one finite channel of at least 0.1 s that holds sound, or opensmile
        is not installed here.

    Notes
    -----
    Eyben, Wöllmer & Schuller, "openSMILE: the Munich versatile and fast open-source audio feature
    extractor", ACM Multimedia 2010. The sets: eGeMAPS and GeMAPS, Eyben et al., IEEE Transactions
    on Affective Computing 7 (2016); ComParE, Schuller et al., Interspeech 2016.
    """
    needed = round(SHORTEST * rate)
    sound = checked(samples, rate, needed, "openSMILE needs some of its frames of 60 ms")
    try:
        smile = _smile(name, threading.get_ident())
    except ModuleNotFoundError as error:
        raise FeatureError(ABSENT) from error
    largest = 1 - 2.0**-15  # 1 itself would become the lowest 16-bit number, not the highest
    signal = np.clip(sound, -1, largest)
    return np.asarray(smile(signal, rate), np.float32).reshape(-1)


def feature_names(name: str) -> tuple[str, ...]:
    """What openSMILE calls the functionals of a set.

    Raises
    ------
    JobError
        If opensmile is not installed, or its set has other numbers than emodask knows of.
    """
    try:
        names = tuple(str(label) for label in _smile(name, threading.get_ident()).feature_names)
    except ModuleNotFoundError as error:
        raise JobError(ABSENT) from error
    if len(names) != SIZES[name]:
        raise JobError(
            f"features.opensmile: this opensmile's {name} has {len(names)} functionals, expected "
            f"{SIZES[name]}; install opensmile 2.x"
        )
    return names


@functools.lru_cache(maxsize=16)
def _smile(name: str, thread: int) -> Any:
    """An extractor of a set, for one thread alone."""
    import opensmile

    return opensmile.Smile(
        getattr(opensmile.FeatureSet, name), opensmile.FeatureLevel.Functionals, loglevel=0
    )


def _coords(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    return {"opensmile_functional": feature_names(settings.set)}


FAMILY = with_variants(
    Family(
        modality="audio",
        settings=Settings,
        dims=lambda settings: {"opensmile_functional": SIZES[settings.set]},
        decode=lambda settings: {"rate": settings.rate},
        compute=lambda samples, settings, seed: opensmile_functionals(
            samples, settings.rate, settings.set
        ),
        memory=lambda settings, count: _LIBRARIES + _BYTES_A_SAMPLE * count,
        coords=_coords,
        alike=False,
        extra="opensmile",
    )
)
