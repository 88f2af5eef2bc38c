"""Families of sound whose arrays can hold variants of each clip too, as further training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import field_validator

from emodask.errors import FeatureError
from emodask.features import VARIANT, Family, FamilySettings
from emodask.features.audio.augmentation import ORIGINAL, augmented, longest, parsed

# A phase vocoder's spectrum of 1025 complex numbers every 512 samples, in its parts and between
# them, for a sound of the same length and twice for one that is stretched. An estimate.
_BYTES_A_SAMPLE = 250


class VariantSettings(FamilySettings):
    """Settings of a family that can be computed of variants of each clip's sound too.

    Attributes
    ----------
    variants : tuple of str
        Such as ``noise20``, ``pitch+2``, ``speed1.25``, ``resample0.9``; see
        :func:`emodask.features.audio.augmentation.parsed`. With any, the array has a dimension
        ``variant`` after ``clip``, whose first is the clip itself.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"variants"})

    variants: tuple[str, ...] = ()

    @field_validator("variants")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            parsed(name)
        if len(set(names)) != len(names):
            raise ValueError("variants names one twice")
        return names


def with_variants(family: Family) -> Family:
    """The family that gives the array of each variant where its settings name any.

    Parameters
    ----------
    family : Family
        Of sound; its settings derive from :class:`VariantSettings`.

    Returns
    -------
    Family
        Equal to the one given for settings without variants.
    """

    def dims(settings: Any) -> Mapping[str, int]:
        own = family.dims(settings)
        return {VARIANT: 1 + len(settings.variants), **own} if settings.variants else own

    def coords(settings: Any) -> Mapping[str, tuple[str, ...]]:
        own = family.coords(settings)
        return {**own, VARIANT: (ORIGINAL, *settings.variants)} if settings.variants else own

    def compute(samples: npt.NDArray[Any], settings: Any, seed: int) -> npt.NDArray[np.float32]:
        original = family.compute(samples, settings, seed)
        if not settings.variants:
            return original
        rate = family.decode(settings)["rate"]
        sound = np.asarray(samples, np.float32)
        rows = [original]
        made = augmented(sound, rate, settings.variants, seed)
        for name, variant in zip(settings.variants, made, strict=True):
            try:
                rows.append(family.compute(variant, settings, seed))
            except FeatureError as error:
                raise FeatureError(f"variant {name}: {error}") from error
        return np.stack(rows)

    def memory(settings: Any, count: int) -> int:
        if not settings.variants:
            return family.memory(settings, count)
        most = round(count * longest(settings.variants))
        return family.memory(settings, most) + _BYTES_A_SAMPLE * most

    return replace(family, dims=dims, coords=coords, compute=compute, memory=memory)
