"""Promises when workers and decoders die, stall or run out of memory: one clip at most is lost."""

from __future__ import annotations

import pytest

from tests.faults.conftest import seconds_of, status_of
from tests.test_extraction import stored

VICTIM = "01-04-01-01-01-02"
"""A clip in the middle of the corpus: the twelfth of 24, in the third of five batches."""

SHORT_TTL = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4s"}


def extraction(corpus, job_file, store, *more):
    return ("extract", job_file, "--source", f"{corpus}/*.zip", "--store", store, *more)


@pytest.mark.parametrize("does", ["exit", "kill", "segfault", "memory", "stop"])
def test_a_worker_that_dies_once_loses_nothing(
    corpus, job_file, small_store, emodask, tmp_path, does
):
    store = tmp_path / "s.zarr"
    fault = {
        "at": "emodask.batches:compute_clip",
        "when": VICTIM,
        "does": does,
        "once": str(tmp_path / "happened"),
    }
    command = extraction(corpus, job_file, store, "--workers", 2, "--memory-limit", "700MiB")
    code, output = emodask.run(*command, faults=[fault], environment=SHORT_TTL)
    assert (tmp_path / "happened").exists()
    assert code == 0, output
    assert stored(store) == stored(small_store.url)
    before = seconds_of(store)
    code, output = emodask.run(*command)
    assert code == 0
    assert "24 of 24 clips are already in the store" in output
    assert (seconds_of(store) == before).all()


@pytest.mark.parametrize("does", ["kill"])
def test_a_clip_that_kills_every_worker_is_found_and_the_others_are_kept(
    corpus, job_file, small_store, emodask, tmp_path, does
):
    store = tmp_path / "s.zarr"
    fault = {"at": "emodask.batches:compute_clip", "when": VICTIM, "does": does}
    command = extraction(corpus, job_file, store, "--workers", 2)
    code, output = emodask.run(*command, faults=[fault])
    assert code == 1
    assert "trying its halves" in output
    assert f"failed {VICTIM}: quarantined: every worker that computed this clip died" in output
    assert "23 done, 1 failed" in output
    assert status_of(store).tolist().count(2) == 1
    before = seconds_of(store)
    code, output = emodask.run(*command, "--retry-failed")
    assert code == 0, output
    assert (seconds_of(store) != before).sum() == 1
    assert stored(store) == stored(small_store.url)


DECODER_FAULTS = {
    "segfault": "crashed the decoder (SIGSEGV), 2 times",
    "kill": "crashed the decoder (SIGKILL), 2 times",
    "exit": "ended the decoder (exit code 3), 2 times",
    "hang": "took longer than 2 s (--clip-timeout), 2 times",
    "stop": "took longer than 2 s (--clip-timeout), 2 times",
    "memory": "needs more than 2 GiB of memory",
}


@pytest.mark.parametrize(("does", "reason"), DECODER_FAULTS.items())
def test_a_clip_that_its_decoder_dies_of_costs_its_row_and_no_worker(
    corpus, job_file, emodask, tmp_path, does, reason
):
    store = tmp_path / "s.zarr"
    fault = {
        "at": "emodask.clip_features:features_of_bytes",
        "when": VICTIM,
        "does": does,
        "decoder": True,
    }
    command = extraction(
        corpus, job_file, store, "--workers", 1, "--clip-timeout", 2 if "longer" in reason else 60
    )
    code, output = emodask.run(*command, faults=[fault])
    assert code == 1
    assert "23 done, 1 failed" in output
    assert f"failed {VICTIM}: " in output
    assert reason in output
    assert "halves" not in output


@pytest.mark.parametrize("does", ["segfault", "stop"])
def test_a_decoder_that_dies_once_changes_nothing(
    corpus, job_file, small_store, emodask, tmp_path, does
):
    store = tmp_path / "s.zarr"
    fault = {
        "at": "emodask.media:gray_frames" if does == "segfault" else "emodask.media:mono_samples",
        "does": does,
        "decoder": True,
        "after": 3,
        "once": str(tmp_path / "happened"),
    }
    command = extraction(corpus, job_file, store, "--workers", 1, "--clip-timeout", 20)
    code, output = emodask.run(*command, faults=[fault])
    assert (tmp_path / "happened").exists()
    assert code == 0, output
    assert stored(store) == stored(small_store.url)
