"""Session fixtures of the servers: each starts when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import object_stores
from tests.servers.object_stores import ObjectStore


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """S3 as rclone serves it."""
    with object_stores.rclone(tmp_path_factory.mktemp("rclone")) as store:
        yield store


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """S3 as Ceph's radosgw serves it."""
    with object_stores.ceph(tmp_path_factory.mktemp("ceph")) as store:
        yield store


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Azure's blob storage as Azurite serves it."""
    with object_stores.azurite(tmp_path_factory.mktemp("azurite")) as store:
        yield store


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Google Cloud Storage as an emulator serves it."""
    with object_stores.gcs(tmp_path_factory.mktemp("gcs")) as store:
        yield store
