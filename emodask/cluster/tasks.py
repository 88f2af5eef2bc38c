"""Tasks on a cluster: a bag of items, and their results as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_bag(
    function: Callable[[Item], Result], items: Sequence[Item], client: Client | None
) -> Iterator[tuple[Item, Result | Exception]]:
    """Map a function over a Dask bag with one item a partition, and yield as items finish.

    Parameters
    ----------
    function : callable
        Must pickle, and return something small.
    items : sequence
    client : distributed.Client or None
        None computes one after another in this process.

    Yields
    ------
    item, result
        In order of completion; the exception in place of a result if the task failed.
    """
    if not items:
        return
    import dask
    import dask.bag

    bag = dask.bag.from_sequence(items, npartitions=len(items)).map(function)
    parts = bag.to_delayed(optimize_graph=False)
    if client is None:
        for item, part in zip(items, parts, strict=True):
            try:
                yield item, dask.compute(part, scheduler="sync")[0][0]
            except Exception as error:
                yield item, error
        return
    from distributed import as_completed

    futures: list[Any] = client.compute(parts)
    by_key = {future.key: item for future, item in zip(futures, items, strict=True)}
    try:
        for future in as_completed(futures):
            item = by_key[future.key]
            yield item, future.exception() if future.status == "error" else future.result()[0]
    finally:
        client.cancel(futures)
