"""Promises on a real Slurm of two nodes: workers are jobs, and end with the command."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.conftest import SMALL
from tests.test_extraction import as_toml, stored


def test_extraction_on_slurm_gives_the_same_bytes_and_leaves_no_job(
    corpus, small_store, slurm_environment, tmp_path
):
    (tmp_path / "small.toml").write_text(as_toml(SMALL))
    (tmp_path / "cluster.toml").write_text(
        '[cluster]\nscheduler = "slurm"\nworkers = 2\nmemory_limit = "1GiB"\n'
        'worker_timeout = "90s"\n'
        '[slurm]\nqueue = "debug"\nwalltime = "00:05:00"\ninterface = "lo"\n'
        f'local_directory = "{tmp_path}"\nlog_directory = "{tmp_path / "logs"}"\n'
    )
    command = [sys.executable, "-m", "emodask", "extract", "small.toml"]
    command += ["--source", f"{corpus}/*.zip", "--store", "s.zarr"]
    command += ["--cluster-config", "cluster.toml"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=slurm_environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 done" in done.stdout
    assert stored(tmp_path / "s.zarr") == stored(small_store.url)
    logs = list((tmp_path / "logs").iterdir())
    assert len(logs) >= 2
    deadline = time.monotonic() + 60
    while queued(slurm_environment):
        assert time.monotonic() < deadline, "the workers' jobs are still there"
        time.sleep(0.2)


def queued(environment) -> str:
    return subprocess.run(
        ["squeue", "--noheader"], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_slurm_refuses_is_said_in_one_line(corpus, slurm_environment, tmp_path):
    (tmp_path / "small.toml").write_text(as_toml(SMALL))
    (tmp_path / "cluster.toml").write_text(
        '[cluster]\nworkers = 1\nworker_timeout = "5s"\n'
        '[slurm]\nqueue = "nowhere"\nwalltime = "00:05:00"\ninterface = "lo"\n'
    )
    command = [sys.executable, "-m", "emodask", "extract", "small.toml", "--scheduler", "slurm"]
    command += ["--source", f"{corpus}/*.zip", "--store", "s.zarr"]
    command += ["--cluster-config", "cluster.toml"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=slurm_environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Slurm refuses the workers' jobs" in done.stderr
    assert "invalid partition" in done.stderr.lower()
    assert not (tmp_path / "s.zarr").exists()
