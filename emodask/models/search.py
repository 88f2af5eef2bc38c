"""Searching a classifier's parameters inside a training part: what to try, and the best of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

Parameters = Mapping[str, Any]
"""A classifier's parameters by name."""

Values = Annotated[tuple[Any, ...], Field(min_length=1)]


class Range(BaseModel):
    """Numbers from ``low`` to ``high``, whole ones if both are; evenly, or evenly in logarithm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: StrictBool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, found {self.low}")
        return self

    def distribution(self) -> Any:
        """What scikit-learn draws from."""
        from scipy import stats

        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if self.log:
            return stats.loguniform(self.low, self.high)
        if whole:
            return stats.randint(int(self.low), int(self.high) + 1)
        return stats.uniform(self.low, self.high - self.low)


class Search(BaseModel):
    """Parameters to choose on actors left out of the training part, by UAR.

    ``draws`` of ``parameters`` at random, or all their combinations without; then, around the best
    of them, all combinations of ``grid``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Range | Values] = {}
    draws: Annotated[int, Field(ge=1, le=1000)] | None = None
    grid: dict[str, Values] = {}

    @model_validator(mode="after")
    def _searches(self) -> Search:
        if not self.parameters and not self.grid:
            raise ValueError("nothing to search; give parameters or a grid of values")
        ranges = [name for name, value in self.parameters.items() if isinstance(value, Range)]
        if self.draws is None and ranges:
            raise ValueError(f"a range of {ranges[0]} needs draws; or give a list of values")
        return self

    def samples(self) -> Iterator[dict[str, Any]]:
        """Each value that may be tried, alone: a range by its ends."""
        for name, values in (*self.parameters.items(), *self.grid.items()):
            ends = (values.low, values.high) if isinstance(values, Range) else values
            yield from ({name: value} for value in ends)


def best_parameters(
    search: Search, score: Callable[[Mapping[str, Any]], float], seed: int
) -> dict[str, Any]:
    """The parameters of the highest score; of equal ones, those tried first.

    Parameters
    ----------
    search : Search
    score : callable
        Of parameters; the higher the better.
    seed : int
        Of the draws.

    Examples
    --------
    >>> search = Search(parameters={"C": [1, 2, 3]}, grid={"C": [2.0, 2.5], "gamma": [1]})
    >>> best_parameters(search, lambda p: -abs(p["C"] - 2.4), seed=0)
    {'C': 2.5, 'gamma': 1}
    """
    first = first_stage(search, seed)
    best = first[0] if len(first) == 1 else max(first, key=score)
    second = second_stage(search, best)
    return second[0] if len(second) == 1 else max(second, key=score)


def first_stage(search: Search, seed: int) -> list[dict[str, Any]]:
    """The parameters to try first; one set of them needs no trial."""
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    if search.draws is None:
        return list(ParameterGrid({name: list(v) for name, v in search.parameters.items()}))
    spaces = {
        name: values.distribution() if isinstance(values, Range) else list(values)
        for name, values in search.parameters.items()
    }
    draws = search.draws
    if all(isinstance(space, list) for space in spaces.values()):
        draws = min(draws, len(ParameterGrid(spaces)))
    return [
        {name: value.item() if hasattr(value, "item") else value for name, value in drawn.items()}
        for drawn in ParameterSampler(spaces, draws, random_state=seed)
    ]


def second_stage(search: Search, best: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters to try around the best of the first stage; one set of them needs no trial."""
    from sklearn.model_selection import ParameterGrid

    around = ParameterGrid({name: list(values) for name, values in search.grid.items()})
    return [{**best, **chosen} for chosen in around]
