"""Promises when the command itself is killed, the disk fills up, or two run at once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from emodask.store import StoreAddress, verify
from tests.faults.conftest import committed, family, seconds_of, status_of, wait_until
from tests.faults.test_worker_faults import VICTIM, extraction
from tests.test_extraction import stored

MOMENTS = {
    "before the store is created": {"at": "emodask.extraction:prepare", "does": "kill"},
    "while the store is being created": {
        "at": "zarr.storage._local:LocalStore.set",
        "does": "kill",
        "after": 30,
    },
    "before the first batch": {"at": "emodask.extraction:plan_batches", "does": "kill"},
    "between features and status": {
        "at": "zarr.core.array:Array.__setitem__",
        "when": "status",
        "does": "kill client",
        "after": 1,
    },
    "while a batch is computed": {
        "at": "emodask.batches:compute_clip",
        "when": VICTIM,
        "does": "kill client",
    },
    "at the end": {"at": "emodask.extraction:failures", "does": "kill"},
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_command_killed_at_any_moment_is_resumed_by_running_it_again(
    corpus, job_file, small_store, emodask, tmp_path, moment
):
    store = tmp_path / "s.zarr"
    command = extraction(corpus, job_file, store, "--workers", 1)
    victim = emodask.start(*command, faults=[MOMENTS[moment]])
    everyone: set[psutil.Process] = set()

    def dead() -> bool:
        everyone.update(family(psutil.Process(victim.pid)) if victim.poll() is None else ())
        return victim.poll() is not None

    wait_until(dead, "the command dies")
    assert victim.returncode == -9
    wait_until(lambda: not any(map(alive, everyone)), "its workers and their decoders end", 60)
    done = committed(store)
    before = seconds_of(store) if done else None
    code, output = emodask.run(*command)
    assert code == 0, output
    if done:
        assert f"{done} of 24 clips are already in the store" in output
        assert (seconds_of(store) == before).sum() >= done
    assert stored(store) == stored(small_store.url)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_commands_on_one_store_do_no_harm(corpus, job_file, small_store, emodask, tmp_path):
    store = tmp_path / "s.zarr"
    command = extraction(corpus, job_file, store, "--workers", 1)
    both = [emodask.start(*command) for _ in range(2)]
    outputs = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert stored(store) == stored(small_store.url)
    assert verify(StoreAddress.of(store)).counts["done"] == 24


def test_a_command_started_in_the_middle_of_another_leaves_its_rows_alone(
    corpus, job_file, small_store, emodask, tmp_path
):
    store = tmp_path / "s.zarr"
    command = extraction(corpus, job_file, store, "--workers", 1)
    first = emodask.start(*command)
    wait_until(lambda: committed(store) >= 5 or first.poll() is not None, "a batch is committed")
    done = status_of(store) == 1
    before = seconds_of(store)[done]
    code, output = emodask.run(*command)
    assert code == 0, output
    first.communicate(timeout=240)
    assert first.returncode == 0
    assert (seconds_of(store)[done] == before).all()
    assert stored(store) == stored(small_store.url)


def test_another_job_is_refused_the_store_that_is_being_written(
    corpus, job_file, emodask, tmp_path
):
    store = tmp_path / "s.zarr"
    first = emodask.start(*extraction(corpus, job_file, store, "--workers", 1))
    wait_until((store / "zarr.json").exists, "the store is created")
    other = tmp_path / "other.toml"
    other.write_text(job_file.read_text().replace("seed = 7", "seed = 8"))
    code, output = emodask.run(*extraction(corpus, other, store, "--workers", 1))
    assert code == 2
    assert "written under other settings" in output
    first.communicate(timeout=240)
    assert first.returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of some megabytes, of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "emodask-test", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        message = f"a small disk cannot be mounted: {mounted.stderr.strip()}; run as root"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_the_job_and_space_lets_it_go_on(
    corpus, job_file, small_store, emodask, tmp_path, small_disk
):
    store = small_disk / "s.zarr"
    filler = small_disk / "filler"
    command = extraction(corpus, job_file, store, "--workers", 1)
    files = [path for path in Path(small_store.url).rglob("*") if path.is_file()]
    blocks = {path: -(-path.stat().st_size // 4096) for path in files}
    features = sum(n for path, n in blocks.items() if "hog3d/c" in str(path))
    room = sum(blocks.values()) - features // 2
    filler.write_bytes(b"\0" * 4096 * (os.statvfs(small_disk).f_bavail - room))
    code, output = emodask.run(*command)
    assert code == 1, output
    assert "no space left on device" in output
    assert "Traceback" not in output
    done = committed(store)
    assert done < 24
    before = seconds_of(store)
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    code, output = emodask.run(*command)
    assert code == 0, output
    assert (seconds_of(store) == before).sum() == done
    assert stored(store) == stored(small_store.url)
