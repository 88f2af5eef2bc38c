"""Feature families: one module each, found by name; arrays in, array out."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from emodask.errors import JobError, UsageError
from emodask.nearest import meant
from emodask.sources.names import Modality

VARIANT = "variant"
"""The dimension after ``clip`` of arrays that hold variants of each clip, the clip itself first."""


Precision = Literal["float32", "float16"]
"""Types that numbers can be stored in."""


class FamilySettings(BaseModel):
    """Base of each family's settings: frozen, and unknown keys are refused.

    Attributes
    ----------
    precision : "float32" or "float16"
        Type of the stored numbers. float16 rounds what was computed to 11 significant bits, so
        that a chunk takes half the memory and about half the bytes; training and prediction see
        the rounded numbers alike. A family of gray levels has "uint8" in their place: rounded to
        whole levels.
    LATER : frozenset of str
        Keys that stores from before them lack: written out where they differ from their defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    LATER: ClassVar[frozenset[str]] = frozenset()

    precision: Precision = "float32"

    @model_serializer(mode="wrap")
    def _written_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            key: value
            for key, value in handler(self).items()
            if key not in self.LATER or getattr(self, key) != fields[key].default
        }


@dataclass(frozen=True)
class Family:
    """What a module of this package declares about itself, under the name ``FAMILY``.

    Attributes
    ----------
    modality : "video", "audio" or "table"
        Which medium the family is computed from; a row of a table is taken as it is.
    settings : type of FamilySettings
        The keys that a job's ``[features.NAME]`` table may hold, with defaults.
    dims : callable
        ``dims(settings)`` gives ``{dimension name: size}`` of one clip's array, in order.
    decode : callable
        ``decode(settings)`` gives the keyword arguments for :func:`emodask.media.gray_frames`
        (video) or :func:`emodask.media.mono_samples` (audio).
    compute : callable
        ``compute(decoded, settings, seed)`` turns the decoded media (frames or samples) into one
        float32 array of the declared shape, or raises :class:`~emodask.errors.FeatureError`.
        ``seed`` is a non-negative integer fixed by the job's seed and the clip's name.
    memory : callable, optional
        ``memory(settings, count)`` gives the most bytes that ``compute`` takes of its own, for as
        many decoded gray levels or samples; by default four times those that they take as float32.
    coords : callable, optional
        ``coords(settings)`` gives labels of dimensions: ``{dimension name: sequence of str}``.
    alike : bool
        Whether the numbers are of one order of magnitude, so that one mean can be taken from all of
        them. Single precision would lose those that are far smaller than it.
    streamed : bool
        Whether the array is too large to hold of all clips at once, as pictures are. Networks read
        it batch by batch as it is stored; nothing else can read it, and nothing reduces it.
    prepare : callable, optional
        ``prepare(settings)`` loads what ``compute`` needs, such as the weights of a network or a
        detector of faces, once in each process that computes, before its memory is limited.
    resident : callable, optional
        ``resident(settings)`` gives the bytes that a process holds on to after ``prepare``.
    extra : str
        The extra of emodask that installs what the family needs; empty if it needs none.
    """

    modality: Modality | Literal["table"]
    settings: type[FamilySettings]
    dims: Callable[[Any], Mapping[str, int]]
    decode: Callable[[Any], Mapping[str, Any]]
    compute: Callable[[npt.NDArray[Any], Any, int], npt.NDArray[np.float32]]
    memory: Callable[[Any, int], int] = field(default=lambda settings, count: 16 * count)
    coords: Callable[[Any], Mapping[str, tuple[str, ...]]] = field(default=lambda settings: {})
    alike: bool = True
    streamed: bool = False
    prepare: Callable[[Any], None] = field(default=lambda settings: None)
    resident: Callable[[Any], int] = field(default=lambda settings: 0)
    extra: str = ""


def family_names() -> tuple[str, ...]:
    """Names of the families that exist: the modules of this package that are not packages.

    Examples
    --------
    >>> "hog3d" in family_names() and "spline" in family_names()
    True
    """
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg))


@functools.cache
def family(name: str) -> Family:
    """Look a family up by name.

    Raises
    ------
    JobError
        If no module of that name exists here.
    UsageError
        If there is no folder for the kernels that Numba compiles: each process would compile anew.
    """
    if name not in family_names():
        known = family_names()
        raise JobError(
            f"unknown feature family {name!r}; there are {', '.join(known)}{meant(name, known)}"
        )
    try:
        found: Family = importlib.import_module(f"{__name__}.{name}").FAMILY
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        raise UsageError(
            "no folder can be written in which Numba keeps compiled kernels, neither beside "
            "emodask's modules nor in the user's cache; set NUMBA_CACHE_DIR to one that can"
        ) from error
    return found
