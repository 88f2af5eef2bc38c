"""Promises of deploy/slurm on a real Slurm of two nodes: both ways end, also after a stop."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest
import zarr

from emodask.cluster.settings import load_settings
from tests.cluster.conftest import slurm_environment  # noqa: F401
from tests.conftest import SMALL
from tests.deploy.commands import BIN, DEPLOY, LIMIT
from tests.servers.processes import wait_until
from tests.test_extraction import as_toml, stored

FOLDER = DEPLOY / "slurm"


def test_every_setting_of_the_cluster_file_is_one_of_jobqueues():
    import inspect

    from dask_jobqueue.core import Job
    from dask_jobqueue.slurm import SLURMCluster, SLURMJob

    settings = load_settings(FOLDER / "cluster.toml")
    assert settings.cluster.scheduler == "slurm"
    known = {
        name
        for callable_ in (SLURMCluster.__init__, SLURMJob.__init__, Job.__init__)
        for name in inspect.signature(callable_).parameters
    }
    offered = FOLDER.joinpath("cluster.toml").read_text().replace("\n# ", "\n")
    assert set(tomllib.loads(offered)["slurm"]) <= known


def test_a_job_ends_with_workers_that_the_cluster_file_asks_for(
    corpus,
    slurm_environment,  # noqa: F811
    tmp_path,
):
    (tmp_path / "small.toml").write_text(as_toml(SMALL))
    # What every site has to set for itself; the rest stays as it is.
    text = (FOLDER / "cluster.toml").read_text()
    for old, new in {
        "max_workers = 16": "max_workers = 2",
        '"6GiB"': '"1GiB"',
        '# interface = "ib0"': 'interface = "lo"',
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "cluster.toml").write_text(text)
    command = [sys.executable, "-m", "emodask", "run", "small.toml", "--source", f"{corpus}/*.zip"]
    done = subprocess.run(
        [*command, "--out", "result", "--cluster-config", "cluster.toml"],
        cwd=tmp_path,
        env=slurm_environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "result" / "report" / "index.html").is_file()
    assert list((tmp_path / "slurm-logs").iterdir())


class Allocation:
    """One submission of the script."""

    def __init__(self, folder, environment, *arguments: str) -> None:
        self.folder = folder
        path = f"{BIN}{os.pathsep}{environment['PATH']}"
        self.environment = {**environment, "PATH": path, "EMODASK_HOST": "127.0.0.1"}
        self.environment["EMODASK_WORKER_MEMORY"] = "1GiB"
        options = ["--nodes=2", "--ntasks-per-node=1", "--mem-per-cpu=1500M", "--time=20"]
        words = [*options, str(FOLDER / "emodask.sbatch"), *arguments]
        self.number = self.slurm("sbatch", "--parsable", *words).strip()

    def slurm(self, *words: str) -> str:
        done = subprocess.run(
            words,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log(self) -> str:
        path = self.folder / f"emodask-{self.number}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def state(self) -> str:
        shown = self.slurm("scontrol", "--oneliner", "show", "job", self.number)
        return shown.split("JobState=")[1].split()[0]

    def wait(self, condition, what: str) -> None:
        try:
            wait_until(condition, what, LIMIT)
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}\n{self.state()}\n{self.log()[-3000:]}")


def rows(store, name: str):
    return zarr.open_group(store, mode="r")[name][:]


def committed(store) -> int:
    return int((rows(store, "status") == 1).sum()) if (store / "zarr.json").exists() else 0


def test_an_allocation_that_its_walltime_stops_is_requeued_and_ends(
    corpus,
    slurm_environment,  # noqa: F811
    tmp_path,
):
    from emodask.extraction import extract
    from emodask.job import parse_job

    settings = {**SMALL, "data": {"batch": 1}}
    (tmp_path / "small.toml").write_text(as_toml(settings))
    store = tmp_path / "result" / "store.zarr"
    arguments = ["small.toml", "--source", f"{corpus}/*.zip", "--out", "result"]
    job = Allocation(tmp_path, slurm_environment, *arguments)
    try:
        job.wait(lambda: committed(store) > 0, "a first batch was committed")
        # What Slurm sends two minutes before the walltime ends.
        job.slurm("scancel", "--batch", "--signal=USR1", job.number)
        job.wait(lambda: "goes back into the queue" in job.log(), "the script took notice")
        job.wait(lambda: job.state() == "PENDING", "the job was queued again")
        before, status = rows(store, "seconds"), rows(store, "status")
        # Slurm holds a requeued job for two minutes; here some seconds do. Within the same second
        # its nodes would take the second turn for the first, whose credential is revoked.
        job.slurm("scontrol", "update", f"JobId={job.number}", "StartTime=now+5")
        job.wait(lambda: job.state() in ("COMPLETED", "FAILED"), "the second turn ended")
    finally:
        subprocess.run(["scancel", job.number], env=job.environment, check=False)
    assert job.state() == "COMPLETED", job.log()
    assert (tmp_path / "result" / "report" / "index.html").is_file()
    assert (rows(store, "seconds")[status == 1] == before[status == 1]).all()
    assert not list(tmp_path.glob("*.scheduler.json"))
    undisturbed = tmp_path / "undisturbed.zarr"
    extract(parse_job(settings), f"{corpus}/*.zip", undisturbed)
    assert stored(store) == stored(undisturbed)
