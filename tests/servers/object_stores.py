"""Object stores on loopback: rclone and Ceph for S3, Azurite for Azure, an emulator for GCS."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.processes import (
    INSTALLED,
    free_port,
    listens,
    missing,
    program,
    running,
    wait_for_port,
    wait_until,
)

KEY, SECRET = "EMODASKTESTKEY", "planted-secret-of-the-tests"
BUCKET = "bucket"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The key that Azurite ships for everybody: a public constant, no secret."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket on a running server, and the storage options that open it."""

    name: str
    url: str
    options: dict[str, Any] = field(repr=False)
    endpoint: str = ""

    def filesystem(self) -> Any:
        """The fsspec file system, with nothing remembered of earlier listings."""
        import fsspec

        protocol, mark, _ = self.url.partition("://")
        fs = fsspec.filesystem(protocol if mark else "file", **self.options)
        fs.invalidate_cache()
        return fs

    def upload(self, folder: Path, prefix: str) -> str:
        """Put the files of a folder below a prefix; its URL."""
        fs = self.filesystem()
        for path in sorted(folder.iterdir()):
            if self.name == "local":
                Path(self.url, prefix).mkdir(exist_ok=True)
            fs.pipe_file(f"{self.url}/{prefix}/{path.name}", path.read_bytes())
        return f"{self.url}/{prefix}"

    def arguments(self) -> list[str]:
        """The storage options as a command line takes them."""
        protocol = self.url.partition("://")[0]
        return [
            word
            for key, value in self.options.items()
            for word in (
                "--storage-option",
                f"{protocol}:{key}={value if isinstance(value, str) else json.dumps(value)}",
            )
        ]


def s3_options(port: int, secret: str = SECRET, **config: Any) -> dict[str, Any]:
    """Storage options for an S3 server on loopback."""
    return {
        "key": KEY,
        "secret": secret,
        "endpoint_url": f"http://127.0.0.1:{port}",
        # rclone answers range reads with the checksum of the whole object
        "config_kwargs": {"response_checksum_validation": "when_required", **config},
    }


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[ObjectStore]:
    """``rclone serve s3`` over a folder."""
    served = folder / "served"
    (served / BUCKET).mkdir(parents=True)
    port = free_port()
    command = [
        *(program("rclone", where=Path(sys.executable).parent), "serve", "s3"),
        *("--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"),
        *("--force-path-style=true", "--config", "", served),
    ]
    log = folder / "rclone.log"
    with running(command, log) as process:
        wait_for_port(process, port, log)
        yield ObjectStore("rclone", f"s3://{BUCKET}", s3_options(port), f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[ObjectStore]:
    """Azurite's blob service, in memory."""
    port = free_port()
    binary = program("azurite-blob", where=INSTALLED / "node_modules" / ".bin")
    command = [
        *(binary, "--inMemoryPersistence", "--skipApiVersionCheck", "--silent"),
        *("--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)),
    ]
    log = folder / "azurite.log"
    with running(command, log) as process:
        wait_for_port(process, port, log)
        endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        connection = (
            f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
            f"BlobEndpoint={endpoint};"
        )
        store = ObjectStore(
            "azurite", f"az://{BUCKET}", {"connection_string": connection}, endpoint
        )
        store.filesystem().mkdir(BUCKET)
        yield store


@contextlib.contextmanager
def gcs(folder: Path) -> Iterator[ObjectStore]:
    """The emulator of Google Cloud Storage, in memory."""
    # Without this, gcsfs asks Google's gRPC service for the kind of bucket, which no emulator has.
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    port = free_port()
    command = [
        *(program("gcp-storage-emulator", where=Path(sys.executable).parent), "start"),
        *("--host", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet"),
        *("--default-bucket", BUCKET),
    ]
    log = folder / "gcs.log"
    with running(command, log) as process:
        wait_for_port(process, port, log)
        endpoint = f"http://127.0.0.1:{port}"
        options = {"token": "anon", "endpoint_url": endpoint}
        yield ObjectStore("gcs", f"gs://{BUCKET}", options, endpoint)


_CEPH_CONF = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
keyring = {folder}/keyring
run dir = {folder}
pid file = {folder}/$name.pid
admin socket = {folder}/$cluster-$name.asok
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
crash dir = {folder}/crash
mon data = {folder}/mon
mgr data = {folder}/mgr
osd data = {folder}/osd
rgw data = {folder}/rgw
ms bind ipv6 = false
ms bind msgr2 = false
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
mon warn on pool no redundancy = false
mgr modules =
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw enable usage log = false
"""


@contextlib.contextmanager
def ceph(folder: Path) -> Iterator[ObjectStore]:
    """Ceph's radosgw before one monitor, one manager and one object store in memory."""
    tools = {
        name: program(name)
        for name in ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "ceph", "monmaptool")
    }
    if os.getuid() != 0:
        missing("Ceph's daemons are started as root alone; run make servers and the tests as root")
    mon, port, fsid = free_port(), free_port(), str(uuid.uuid4())
    for name in ("mgr", "osd", "rgw", "crash"):
        (folder / name).mkdir()
    conf = folder / "ceph.conf"
    conf.write_text(_CEPH_CONF.format(fsid=fsid, mon=mon, port=port, folder=folder))
    (folder / "keyring").touch()

    def do(*command: str | Path, **given: Any) -> str:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=120, **given
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
        return done.stdout

    conf_option = ("--conf", conf)
    monmap = folder / "monmap"
    address = f"[v1:127.0.0.1:{mon}]"
    do(tools["monmaptool"], "--create", "--addv", "a", address, "--fsid", fsid, monmap)
    keyring = folder / "mon.keyring"
    do(
        "ceph-authtool",
        "--create-keyring",
        keyring,
        "--gen-key",
        "-n",
        "mon.",
        "--cap",
        "mon",
        "allow *",
    )
    do(
        tools["ceph-mon"],
        *conf_option,
        "--mkfs",
        "-i",
        "a",
        "--monmap",
        monmap,
        "--keyring",
        keyring,
    )
    with contextlib.ExitStack() as stack:

        def daemon(name: str, *words: str, again: bool = False) -> subprocess.Popen[bytes]:
            command = [tools[name], *conf_option, "-f", *words]
            if again:
                loop = 'trap "end=1" TERM; until "$@" || [ $end ]; do sleep 0.2; done'
                command = ["sh", "-c", loop, "sh", *command]
            return stack.enter_context(running(command, folder / f"{name}.out"))

        def asks(*command: str | Path) -> bool:
            words = [str(word) for word in command]
            return subprocess.run(words, capture_output=True, timeout=120).returncode == 0

        process = daemon("ceph-mon", "-i", "a")
        wait_for_port(process, mon, folder / "ceph-mon.out")
        daemon("ceph-mgr", "-i", "x")
        osd = str(uuid.uuid4())
        # A monitor may refuse the first commands ("wrong fsid"), before it has sent out its map.
        new = (tools["ceph"], *conf_option, "osd", "new", osd)
        wait_until(lambda: asks(*new), "Ceph's monitor took no command")
        do(tools["ceph-osd"], *conf_option, "-i", "0", "--mkfs", "--osd-uuid", osd)
        daemon("ceph-osd", "-i", "0", again=True)
        gateway = daemon("radosgw", "-n", "client.rgw")
        wait_for_port(gateway, port, folder / "radosgw.out")
        do(
            *("radosgw-admin", *conf_option, "user", "create", "--uid=test", "--display-name=test"),
            *(f"--access-key={KEY}", f"--secret-key={SECRET}"),
        )
        options = {"key": KEY, "secret": SECRET, "endpoint_url": f"http://127.0.0.1:{port}"}
        store = ObjectStore("ceph", f"s3://{BUCKET}", options, options["endpoint_url"])
        store.filesystem().mkdir(BUCKET)
        yield store
    wait_until(lambda: not listens(port), "radosgw did not stop")
