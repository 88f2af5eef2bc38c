"""The table of arrays: what a store holds, of which shape, and what a row says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.codecs import ZstdCodec

from emodask.errors import StoreError
from emodask.features import family
from emodask.job import Job

FORMAT = 1
CODES = ("actor", "emotion", "intensity", "statement", "repetition", "channel")
NAMES = ("clip_id", "corpus")
IDENTITY = (*NAMES, *CODES)

# Lossless. Of real HOG3D it leaves 45 %, at half the time of zarr's own zstd level 0 (= 3), which
# leaves 1 point less; levels 5 and 9 take 4 and 7 times as long for 1 and 2 points more. Shuffles
# make it larger: half of the numbers are exact zeros, and the rest repeat whole. Blosc with threads
# gives other bytes at each run. The table is in tests/benchmarks/README.md.
CODEC = ZstdCodec(level=1)


class Status(IntEnum):
    """What has become of a row: the commit record."""

    PENDING = 0
    DONE = 1
    FAILED = 2
    INCOMPLETE = 3


@dataclass(frozen=True)
class ArraySpec:
    """One stored array. The first dimension is ``clip``, except for labels of a dimension."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    fill: Any
    description: str


@dataclass(frozen=True)
class Row:
    """What a worker found out about one clip.

    ``features`` holds the arrays that could be computed; what stands for the others is
    :func:`absent`. ``checksum`` is that of a row read back from a store, None for one that has just
    been computed. ``steps`` are seconds of wall time by what was done; they are not stored.
    """

    status: Status
    features: Mapping[str, npt.NDArray[np.float32]]
    error: str = ""
    seconds: float = 0.0
    frames: int = 0
    checksum: int | None = None
    steps: Mapping[str, float] = field(default_factory=dict)


def absent(dtype: str) -> float | int:
    """What stands in the place of a clip's feature that could not be computed.

    NaN; 0 where only gray levels can be stored: whether there is a feature, ``status`` and
    ``error`` say.

    Examples
    --------
    >>> absent("float16"), absent("uint8")
    (nan, 0)
    """
    return 0 if dtype == "uint8" else float("nan")


def specs(job: Job, n_clips: int) -> tuple[ArraySpec, ...]:
    """Every array of a job's store.

    Raises
    ------
    StoreError
        If two features give one dimension different sizes.
    """
    clip = ("clip",)
    table = [
        ArraySpec("clip_id", clip, (n_clips,), "str", "", "name without the modality"),
        ArraySpec("corpus", clip, (n_clips,), "str", "", "corpus it belongs to; empty = not known"),
        *(ArraySpec(code, clip, (n_clips,), "int16", 0, f"RAVDESS {code} code") for code in CODES),
    ]
    sizes: dict[str, int] = {"clip": n_clips}
    labels: dict[str, tuple[str, ...]] = {}
    for name, feature in job.features.items():
        found = family(feature.kind)
        dims = dict(found.dims(feature.settings))
        for dim, size in dims.items():
            if sizes.setdefault(dim, size) != size:
                raise StoreError(
                    f"features.{name}: dimension {dim} has size {size} here and {sizes[dim]} in "
                    "another feature; give them equal settings, or stores of their own"
                )
        labels.update(found.coords(feature.settings))
        table.append(
            ArraySpec(
                name,
                ("clip", *dims),
                (n_clips, *dims.values()),
                feature.settings.precision,
                absent(feature.settings.precision),
                "rows of a table"
                if found.modality == "table"
                else f"{feature.kind} features of the {found.modality}",
            )
        )
    table += [
        ArraySpec(dim, (dim,), (len(values),), "str", "", f"labels of {dim}")
        for dim, values in labels.items()
    ]
    return (
        *table,
        ArraySpec("status", clip, (n_clips,), "uint8", 0, "0 pending 1 done 2 failed 3 incomplete"),
        ArraySpec("error", clip, (n_clips,), "str", "", "file, stage and reason"),
        ArraySpec("seconds", clip, (n_clips,), "float32", 0.0, "time that the clip took (s)"),
        ArraySpec("frames", clip, (n_clips,), "int32", 0, "video frames used"),
        ArraySpec("checksum", clip, (n_clips,), "uint64", 0, "BLAKE2b-64 of the features' bytes"),
    )


def checksum(features: Sequence[npt.NDArray[np.float32]]) -> int:
    """BLAKE2b-64 of a clip's feature arrays as float32, little-endian C order, in the job's order.

    Examples
    --------
    >>> import numpy as np
    >>> checksum([np.zeros(2, np.float32)]) == checksum([np.zeros(1, np.float32)] * 2)
    True
    """
    state = hashlib.blake2b(digest_size=8)
    for array in features:
        state.update(np.ascontiguousarray(array, "<f4").data)
    return int.from_bytes(state.digest(), "little")


def incomplete_reason(missing: Sequence[str]) -> str:
    """What ``error`` says of a clip that lacks media, or rows of tables.

    Examples
    --------
    >>> incomplete_reason(["video", "table action_units"])
    'no media for: video; no row in: table action_units'
    >>> missing_modalities("no media for: video; no row in: table action_units")
    ('video', 'table action_units')
    """
    media = [what for what in missing if not what.startswith("table ")]
    tables = [what for what in missing if what not in media]
    parts = zip(_LACKS, (media, tables), strict=True)
    return "; ".join(f"{words}{', '.join(names)}" for words, names in parts if names)


_LACKS = ("no media for: ", "no row in: ")


def missing_modalities(error: str) -> tuple[str, ...]:
    """What :func:`incomplete_reason` names; nothing for any other text."""
    found: list[str] = []
    for part in error.split("; "):
        for words in _LACKS:
            if part.startswith(words):
                found += part.removeprefix(words).split(", ")
    return tuple(found)
