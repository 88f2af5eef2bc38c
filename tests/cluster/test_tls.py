"""Promises of encrypted clusters: those with a certificate get in, others are told why not."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import dask
import pytest
import trustme

from emodask.cluster import connect
from emodask.errors import UsageError
from emodask.extraction import extract
from tests.cluster.processes import address, scheduler, worker
from tests.test_extraction import stored


def certificates(folder: Path, prefix: str = "") -> dict[str, Path]:
    """A certificate authority, and a certificate and key of it for everyone on the loopback."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    paths = {name: folder / f"{prefix}{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    issued.private_key_pem.write_to_path(paths["key"])
    issued.cert_chain_pems[0].write_to_path(paths["cert"])
    return paths


def tls_options(paths: dict[str, Path]) -> list[object]:
    return ["--tls-ca-file", paths["ca"], "--tls-cert", paths["cert"], "--tls-key", paths["key"]]


def cluster_file(path: Path, paths: dict[str, Path]) -> Path:
    path.write_text("[tls]\n" + "".join(f'{name} = "{file}"\n' for name, file in paths.items()))
    return path


def test_an_encrypted_cluster_takes_those_with_its_certificates_alone(
    corpus, small_job, small_store, tmp_path
):
    ours = certificates(tmp_path)
    with ExitStack() as stack:
        stack.enter_context(scheduler(tmp_path, "--protocol", "tls", *tls_options(ours)))
        where = address(tmp_path)
        assert where.startswith("tls://127.0.0.1:")
        for name in ("a", "b"):
            stack.enter_context(worker(tmp_path, *tls_options(ours), name=name))
        config = cluster_file(tmp_path / "cluster.toml", ours)
        with connect(where, config=config) as client:
            client.wait_for_workers(2, timeout=60)
            extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
        assert stored(tmp_path / "s.zarr") == stored(small_store.url)
        dasks_own = {
            "distributed.comm.tls.ca-file": str(ours["ca"]),
            "distributed.comm.tls.client.cert": str(ours["cert"]),
            "distributed.comm.tls.client.key": str(ours["key"]),
        }
        with dask.config.set(dasks_own), connect(where) as client:
            assert len(client.nthreads()) == 2
        foreign = cluster_file(tmp_path / "foreign.toml", certificates(tmp_path, "foreign-"))
        for options, says in (
            ({}, "an encrypted scheduler"),
            ({"config": foreign}, "no Dask sched"),
        ):
            with (
                pytest.raises(UsageError, match=rf"{where}: {says}.* into \[tls\]"),
                connect(where, **options),
            ):
                pass


def test_a_certificate_that_is_not_there_is_named(tmp_path):
    paths = certificates(tmp_path)
    paths["key"].unlink()
    config = cluster_file(tmp_path / "cluster.toml", paths)
    with (
        pytest.raises(UsageError, match=r"key\.pem: no such file; \[tls\] in the cluster file"),
        connect("tls://127.0.0.1:1", config=config),
    ):
        pass
