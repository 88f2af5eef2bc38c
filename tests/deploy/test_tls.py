"""Promises of the certificates that the script makes, and of the scripts' own style."""

from __future__ import annotations

import stat
import subprocess
from contextlib import ExitStack

import pytest

from emodask.cluster import connect
from emodask.errors import UsageError
from emodask.extraction import extract
from tests.cluster.processes import address, scheduler, worker
from tests.deploy.commands import DEPLOY, check, tool
from tests.test_extraction import stored

LOCAL = DEPLOY / "local"


def test_a_cluster_runs_with_the_certificates_of_the_script(
    corpus, small_job, small_store, tmp_path, monkeypatch
):
    tool("openssl")
    monkeypatch.chdir(tmp_path)
    check(LOCAL / "certificates.sh", "certificates", "localhost", "127.0.0.1")
    for name in ("ca-key.pem", "key.pem"):
        mode = stat.S_IMODE((tmp_path / "certificates" / name).stat().st_mode)
        assert mode == 0o600, f"{name} can be read by others"
    check("openssl", "verify", "-CAfile", "certificates/ca.pem", "certificates/cert.pem")
    places = [tmp_path / "certificates" / f"{name}.pem" for name in ("ca", "cert", "key")]
    options = ["--tls-ca-file", places[0], "--tls-cert", places[1], "--tls-key", places[2]]
    with ExitStack() as stack:
        stack.enter_context(scheduler(tmp_path, "--protocol", "tls", *options))
        where = address(tmp_path)
        stack.enter_context(worker(tmp_path, "--memory-limit", "2GiB", *options))
        with connect(where, config=LOCAL / "tls.toml") as client:
            extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
        with pytest.raises(UsageError, match="an encrypted scheduler"), connect(where):
            pass
    assert stored(tmp_path / "s.zarr") == stored(small_store.url)


@pytest.mark.parametrize("script", ["local/certificates.sh", "slurm/emodask.sbatch"])
def test_scripts_are_clean_under_shellcheck(script):
    subprocess.run(["bash", "-n", DEPLOY / script], check=True)
    check(tool("shellcheck"), DEPLOY / script)
