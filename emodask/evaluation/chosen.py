"""What searches chose in the folds, counted and in words."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emodask.evaluation.results import ordered_protocols

_MOST_VALUES = 4
"""Numbers of more values than this are told by their range."""


@dataclass(frozen=True)
class Chosen:
    """What one model's search chose under one protocol.

    Attributes
    ----------
    protocol, model : str
    n_folds : int
    parameters : tuple of (str, str)
        Name, and what was chosen how often, in words.
    folds : tuple of (str, str)
        Each fold, and its parameters in words.
    """

    protocol: str
    model: str
    n_folds: int
    parameters: tuple[tuple[str, str], ...]
    folds: tuple[tuple[str, str], ...]

    @property
    def line(self) -> str:
        """All of it in one line."""
        words = "; ".join(f"{name} {counts}" for name, counts in self.parameters)
        return f"{self.protocol}: the search of {self.model} chose {words}"


def searched(folds: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What ``metrics.json`` holds of the searches of a model; nothing where there were none.

    Parameters
    ----------
    folds : sequence of (str, mapping)
        Name of each fold, and the parameters that its search chose.

    Examples
    --------
    >>> searched([("actor-01", {"C": 1})])
    {'search': [{'fold': 'actor-01', 'chosen': {'C': 1}}]}
    >>> searched([("actor-01", {})])
    {}
    """
    found = [
        {"fold": fold, "chosen": json.loads(json.dumps(dict(chosen)))}
        for fold, chosen in folds
        if chosen
    ]
    return {"search": found} if found else {}


def choices(metrics: Mapping[str, Any]) -> Iterator[Chosen]:
    """Everything that searches chose, in the order of the report's protocols.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.
    """
    for protocol, entry in ordered_protocols(metrics):
        for model, summary in (entry.get("models") or {}).items():
            folds = summary.get("search")
            if not folds:
                continue
            values: dict[str, list[Any]] = {}
            for fold in folds:
                for name, value in fold["chosen"].items():
                    values.setdefault(name, []).append(value)
            yield Chosen(
                protocol,
                model,
                len(folds),
                tuple((name, in_words(found)) for name, found in values.items()),
                tuple((fold["fold"], _listed(fold["chosen"])) for fold in folds),
            )


def in_words(values: Sequence[Any]) -> str:
    """How often each value was chosen; of many different numbers, their range and median.

    Examples
    --------
    >>> in_words([1, 1, 10, 1])
    '1 in 3 of 4 folds, 10 in 1'
    >>> in_words([0.11, 0.02, 0.05, 0.3, 0.07])
    '0.02 to 0.3 in 5 folds, median 0.07'
    >>> in_words(["rbf"])
    'rbf'
    """
    counts = Counter(_value(value) for value in values)
    if len(counts) == 1:
        text = next(iter(counts))
        return text if len(values) == 1 else f"{text} in all {len(values)} folds"
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    scattered = len(counts) > _MOST_VALUES or (len(counts) == len(values) > 2)
    if scattered and len(numbers) == len(values):
        low, middle, high = min(numbers), statistics.median(numbers), max(numbers)
        return f"{_value(low)} to {_value(high)} in {len(values)} folds, median {_value(middle)}"
    (first, often), *others = counts.most_common()
    return ", ".join(
        [
            f"{first} in {often} of {len(values)} folds",
            *(f"{value} in {n}" for value, n in others),
        ]
    )


def _listed(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in chosen.items())


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.3g}"
    return json.dumps(value)
