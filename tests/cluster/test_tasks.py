"""Promises of the bag: few tasks at a time, however many items there are, and none left behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import dask
import pytest
from distributed import Client, LocalCluster

from emodask.cluster import Tasks, run_bag
from emodask.cluster.tasks import window
from emodask.errors import ClusterError
from tests.benchmarks.simulated import MostTasks
from tests.cluster.processes import address, scheduler, worker

LIMIT = 90


@pytest.fixture
def client() -> Iterator[Client]:
    """One worker with one thread, in this process, and a count of tasks on its scheduler."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(MostTasks())
        yield client


def on_scheduler(client: Client):
    return client.cluster.scheduler


def most_tasks(client: Client) -> int:
    return on_scheduler(client).plugins[MostTasks.name].most


RELEASED = 1
"""Tasks whose release may be on its way to the scheduler when others are submitted."""


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def double(item: int) -> int:
    return 2 * item


def test_many_items_are_drawn_and_submitted_a_window_at_a_time(client):
    drawn, finished, ahead = itertools.count(), 0, 0

    def items() -> Iterator[int]:
        nonlocal ahead
        for i in range(1500):
            ahead = max(ahead, next(drawn) + 1 - finished)
            yield i

    total = 0
    for item, outcome in run_bag(double, items(), client):
        assert outcome == 2 * item
        finished += 1
        total += outcome
    assert (finished, total) == (1500, 1499 * 1500)
    assert ahead <= window(1)
    assert 0 < most_tasks(client) <= window(1) + RELEASED
    wait_until(lambda: not on_scheduler(client).tasks, "the scheduler has forgotten all tasks")
    wait_until(lambda: not client.futures, "the client has forgotten all tasks")


def test_the_window_grows_with_the_workers_that_join(client):
    results = run_bag(double, itertools.count(), client)
    next(results)
    client.cluster.scale(4)
    deadline = time.monotonic() + LIMIT
    for _ in results:
        if most_tasks(client) > window(1) + RELEASED:
            break
        assert time.monotonic() < deadline, "four workers are given no more than one"
    results.close()
    assert most_tasks(client) <= window(4) + RELEASED


def test_what_is_given_up_leaves_no_task_and_draws_no_item(client):
    drawn = []

    def items() -> Iterator[int]:
        for i in itertools.count():
            drawn.append(i)
            yield i

    results = run_bag(double, items(), client)
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    wait_until(lambda: not on_scheduler(client).tasks, "the scheduler has forgotten all tasks")
    wait_until(lambda: not client.futures, "the client has forgotten all tasks")
    assert len(drawn) <= window(1) + 1


def test_cancelled_tasks_end_the_iteration(client):
    tasks = Tasks(double, client, itertools.count())
    results = iter(tasks)
    next(results)
    tasks.add(5)
    tasks.cancel()
    assert list(results) == []
    wait_until(lambda: not on_scheduler(client).tasks, "the scheduler has forgotten all tasks")


@pytest.mark.parametrize("here", [True, False], ids=["in this process", "on a cluster"])
def test_an_added_item_comes_before_those_that_wait(client, here):
    tasks = Tasks(double, None if here else client, range(100))
    order = []
    for item, _ in tasks:
        if not order:
            tasks.add(1000)
        order.append(item)
    assert sorted(order) == [*range(100), 1000]
    assert order.index(1000) <= window(1)


running: set[int] = set()
beside: list[set[int]] = []
lock = threading.Lock()


def watched(item: int) -> int:
    """Say what ran beside the item that is negative."""
    with lock:
        running.add(item)
    time.sleep(0.002)
    with lock:
        if item < 0:
            beside.append(set(running))
        running.remove(item)
    return item


def test_an_item_that_has_to_be_alone_waits_until_no_other_is_under_way():
    beside.clear()
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        tasks = Tasks(watched, client, range(60))
        seen = []
        for item, _ in tasks:
            if len(seen) in (5, 20):
                tasks.add(-len(seen), alone=True)
            seen.append(item)
    assert sorted(seen) == [-20, -5, *range(60)]
    assert beside == [{-5}, {-20}]
    assert seen.index(-20) < len(seen) - 1


def fails(item: int) -> int:
    if item % 2:
        raise ValueError(item)
    return item


@pytest.mark.parametrize("here", [True, False], ids=["in this process", "on a cluster"])
def test_an_error_is_an_outcome_and_the_others_go_on(client, here):
    outcomes = dict(run_bag(fails, range(20), None if here else client))
    assert all(outcomes[i] == i for i in range(0, 20, 2))
    assert all(isinstance(outcomes[i], ValueError) for i in range(1, 20, 2))


@pytest.mark.parametrize("another_comes", [False, True])
def test_a_worker_that_dies_with_what_it_has_computed_is_no_reason_to_wait_for_ever(
    tmp_path, another_comes
):
    class DiesOnItsWay:
        """Ends the process that sends it, the first time."""

        def __init__(self, folder):
            self.folder = folder

        def __reduce__(self):
            import os
            from pathlib import Path

            mark = Path(self.folder, "sent")
            if not mark.exists():
                mark.touch()
                os._exit(1)
            return Path, (str(mark),)

    folder = str(tmp_path)
    with (
        scheduler(tmp_path),
        worker(tmp_path, "--nanny" if another_comes else "--no-nanny"),
        Client(address(tmp_path), set_as_default=False) as client,
        dask.config.set({"emodask.worker-timeout": "60s" if another_comes else "3s"}),
    ):
        client.wait_for_workers(1, timeout=LIMIT)
        found = run_bag(lambda item: DiesOnItsWay(folder), ["only"], client)
        if another_comes:
            assert list(found) == [("only", tmp_path / "sent")]
        else:
            with pytest.raises(ClusterError, match="no worker for 3s"):
                list(found)
    assert (tmp_path / "sent").exists()
