"""What a network's weights must be: names, shapes, numbers; and the part of a file that is used."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import SourceError

Part = Mapping[str, npt.NDArray[np.float32]]
"""The tensors of a file that a network uses, under the names that its module has for them."""

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Layout:
    """The tensors of one network, and the names that files have for them.

    Attributes
    ----------
    name : str
        What messages call the network.
    shapes : mapping of str to tuple of int
        By the names of the module's own parameters.
    namings : mapping of str to mapping
        Conventions that files follow, each as the module's names and the file's; the module's own
        is always one.
    sources : str
        Where such weights are to be had, and under which licence, in plain words.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    namings: Mapping[str, Mapping[str, str]]
    sources: str

    @property
    def size(self) -> int:
        """Bytes of the tensors as float32."""
        return 4 * sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def key(self) -> str:
        """Names the tensors: networks of one name may differ in their sizes."""
        return hashlib.sha256(json.dumps([self.name, self.shapes]).encode()).hexdigest()

    def conventions(self) -> dict[str, Mapping[str, str]]:
        """All namings that are understood, by what they are called."""
        return {"emodask's own": {name: name for name in self.shapes}, **self.namings}


def part_of(tensors: Mapping[str, Any], layout: Layout, where: str) -> dict[str, Any]:
    """The tensors of a file that a layout needs, under the module's names, unread as yet.

    Parameters
    ----------
    tensors : mapping of str to tensors
        Whatever has a ``shape`` and a ``dtype``.
    layout : Layout
    where : str
        What messages call the file.

    Raises
    ------
    SourceError
        If a tensor is absent, or has another shape; the message says what was found, and which
        namings are understood.
    """
    best: tuple[int, str, Mapping[str, str]] = (-1, "", {})
    for convention, names in layout.conventions().items():
        count = sum(theirs in tensors for theirs in names.values())
        if count > best[0]:
            best = (count, convention, names)
    count, convention, names = best
    missing = [theirs for theirs in names.values() if theirs not in tensors]
    if missing:
        raise SourceError(
            f"{where}: these are no weights of {layout.name}: "
            + (
                f"{len(missing)} of its {len(names)} tensors are not there, such as {missing[0]}; "
                if count
                else ""
            )
            + f"found {_some(tensors)}; expected {_understood(layout)}. {layout.sources}"
        )
    for ours, theirs in names.items():
        found, expected = tuple(tensors[theirs].shape), layout.shapes[ours]
        if found != expected:
            raise SourceError(
                f"{where}: {theirs} has shape {found}; {layout.name} needs {expected} "
                f"({convention} naming). {layout.sources}"
            )
    return {ours: tensors[theirs] for ours, theirs in names.items()}


def checked(part: Mapping[str, npt.NDArray[Any]], where: str) -> dict[str, Any]:
    """The tensors of a part as float32, all finite.

    Raises
    ------
    SourceError
        If one holds whole numbers, or numbers that are not finite.
    """
    result = {}
    for name, values in part.items():
        if not np.issubdtype(values.dtype, np.floating):
            raise SourceError(f"{where}: {name} holds {values.dtype}; weights are float numbers")
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(numbers).all():
            raise SourceError(
                f"{where}: {name} holds numbers that are not finite; the file is damaged, or its "
                "training failed"
            )
        result[name] = numbers
    return result


def digest_of(part: Part) -> str:
    """Names a part by its numbers, whatever kind of file they came from.

    Examples
    --------
    >>> one = {"b": np.ones(2, np.float32), "a": np.zeros((1, 2), np.float32)}
    >>> digest_of(one) == digest_of(dict(reversed(one.items())))
    True
    """
    state = hashlib.sha256()
    for name in sorted(part):
        values = np.ascontiguousarray(part[name], "<f4")
        state.update(json.dumps([name, list(values.shape)]).encode() + b"\n")
        state.update(values.tobytes())
    return state.hexdigest()


def _some(tensors: Mapping[str, Any]) -> str:
    if not tensors:
        return "no tensor"
    names = [f"{str(n)[:60]!r} {tuple(t.shape)}" for n, t in list(tensors.items())[:_SHOWN]]
    rest = len(tensors) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def _understood(layout: Layout) -> str:
    ways = []
    for convention, names in layout.conventions().items():
        ours, theirs = next(iter(names.items()))
        ways.append(f"{theirs} {layout.shapes[ours]} and so on ({convention} naming)")
    return " or ".join(ways)
