"""A feature that costs nothing, for measuring all that is not computing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emodask.features import Family, FamilySettings


class Settings(FamilySettings):
    """How many numbers a clip has."""

    size: int = 4


def compute(samples: npt.NDArray[np.float32], settings: Settings, seed: int) -> npt.NDArray:
    """Numbers that depend on the clip's name alone."""
    return np.full(settings.size, seed % 1000, np.float32)


FAMILY = Family(
    modality="audio",
    settings=Settings,
    dims=lambda settings: {"number": settings.size},
    decode=lambda settings: {"rate": 22_050},
    compute=compute,
)
