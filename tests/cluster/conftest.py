"""Fixtures of clusters: a real Slurm."""

from __future__ import annotations

import pytest

from tests.servers.slurm import slurm


@pytest.fixture(scope="session")
def slurm_environment(tmp_path_factory):
    """Two nodes of Slurm on this machine; the environment in which its commands find it."""
    with slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment
