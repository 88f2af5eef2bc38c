"""Promises when a scheduler dies, or all its workers do: one line, and nothing lost."""

from __future__ import annotations

from contextlib import ExitStack

from tests.cluster.processes import address, scheduler, worker
from tests.faults.conftest import committed, seconds_of, status_of, wait_until
from tests.faults.test_worker_faults import extraction
from tests.test_extraction import stored


def test_a_scheduler_that_dies_is_named_and_another_goes_on(
    corpus, job_file, small_store, emodask, tmp_path
):
    store = tmp_path / "s.zarr"
    with ExitStack() as stack:
        running = stack.enter_context(scheduler(tmp_path))
        where = address(tmp_path)
        stack.enter_context(worker(tmp_path, "--no-nanny", "--death-timeout", 5))
        command = emodask.start(
            *extraction(corpus, job_file, store, "--scheduler", where),
            environment={"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"},
        )
        wait_until(lambda: committed(store) >= 5 or command.poll() is not None, "a batch is there")
        running.kill()
        output, _ = command.communicate(timeout=120)
    assert command.returncode == 1, output
    assert f"emodask: {where}: the scheduler went away; what was committed is kept" in output
    assert "Traceback" not in output
    done = status_of(store) == 1
    before = seconds_of(store)
    again = tmp_path / "again"
    again.mkdir()
    with scheduler(again), worker(again):
        code, output = emodask.run(
            *extraction(corpus, job_file, store, "--scheduler", address(again))
        )
    assert code == 0, output
    assert (seconds_of(store)[done] == before[done]).all()
    assert stored(store) == stored(small_store.url)


def test_a_cluster_that_loses_all_workers_is_waited_for_and_then_given_up(
    corpus, job_file, small_store, emodask, tmp_path
):
    store = tmp_path / "s.zarr"
    config = tmp_path / "cluster.toml"
    config.write_text('[cluster]\nworker_timeout = "15s"\n')
    with scheduler(tmp_path):
        where = address(tmp_path)
        command = extraction(
            corpus, job_file, store, "--scheduler", where, "--cluster-config", config
        )
        with worker(tmp_path, "--no-nanny", name="first") as first:
            alone = emodask.start(*command)
            wait_until(lambda: committed(store) >= 5 or alone.poll() is not None, "a batch")
            first.kill()
        output, _ = alone.communicate(timeout=120)
        assert alone.returncode == 1, output
        assert f"{where}: no worker for 15s; what was committed is kept" in output
        assert "Traceback" not in output
        with worker(tmp_path, name="second"):
            code, output = emodask.run(*command)
    assert code == 0, output
    assert stored(store) == stored(small_store.url)
