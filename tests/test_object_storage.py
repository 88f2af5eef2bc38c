"""Promises of object storage, kept on real servers: same bytes, resume, clear errors, options."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import emodask
from emodask.errors import EmodaskError, SourceError, StoreError
from emodask.extraction import extract
from emodask.job import Job
from emodask.prediction import predict
from emodask.sources import retry
from emodask.sources.location import Location, expand
from emodask.store import StoreAddress, describe, open_group, verify
from tests.conftest import SMALL
from tests.servers.object_stores import SECRET, ObjectStore
from tests.servers.processes import free_port
from tests.test_extraction import as_toml

STORES = ["local", "memory", "rclone", "ceph", "azurite", "gcs"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)


@pytest.fixture(scope="module", params=STORES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """A folder, a memory file system, or a bucket on a running server."""
    if request.param == "local":
        return ObjectStore("local", str(tmp_path_factory.mktemp("local")), {})
    if request.param == "memory":
        return ObjectStore("memory", "memory://bucket", {})
    found: ObjectStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def written(place: ObjectStore, corpus: Path, small_job: Job) -> StoreAddress:
    """The corpus extracted under the small job, sources and store both in the place."""
    sources = place.upload(corpus, "corpus")
    address = StoreAddress.of(f"{place.url}/store.zarr", place.options)
    summary = extract(small_job, f"{sources}/*.zip", address, storage_options=place.options)
    assert (summary.done, summary.total) == (24, 24), (summary.failures, summary.errors)
    return address


def arrays(address: StoreAddress) -> dict[str, bytes]:
    """Bytes of all arrays but the timings."""
    group = open_group(address)
    found = {name: np.asarray(array[:]) for name, array in group.arrays() if name != "seconds"}
    return {
        name: json.dumps(values.tolist()).encode()
        if values.dtype.kind in "OT"
        else values.tobytes()
        for name, values in found.items()
    }


def test_sources_and_store_in_the_place_give_the_bytes_of_local_ones(written, small_store):
    ours, theirs = arrays(written), arrays(small_store)
    assert ours.keys() == theirs.keys() >= {"hog3d", "spline", "checksum", "status"}
    assert [name for name in theirs if ours[name] != theirs[name]] == []


def test_running_again_recomputes_nothing(place, written, small_job):
    again = extract(small_job, f"{place.url}/corpus/*.zip", written, storage_options=place.options)
    assert (again.computed, again.done) == (0, 24)


def test_open_describe_and_verify_read_the_store_where_it_lies(written, place):
    dataset = emodask.open(written.url, place.options)
    assert dataset.sizes["clip"] == 24
    assert np.isfinite(dataset["spline"].values).all()
    about = describe(written.url, place.options)
    assert about["counts"]["done"] == 24
    assert verify(written.url, place.options).damage == ()


def test_resume_after_a_stop_computes_only_what_is_left(place, corpus, small_job, small_store):
    sources, address = place.upload(corpus, "corpus"), f"{place.url}/stopped.zarr"

    def stop(progress):
        if progress.counts["done"] >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(
            small_job,
            f"{sources}/*.zip",
            address,
            storage_options=place.options,
            on_progress=stop,
        )
    committed = describe(address, place.options)["counts"]["done"]
    assert 0 < committed < 24
    summary = extract(small_job, f"{sources}/*.zip", address, storage_options=place.options)
    assert (summary.computed, summary.done) == (24 - committed, 24)
    assert arrays(StoreAddress.of(address, place.options)) == arrays(small_store)


@pytest.mark.parametrize("chunk", ["checksum/c/0", "hog3d/c/0/0/0/0/0/0", "spline/c/0/0/0"])
def test_verify_finds_a_flipped_byte_in_a_chunk(place, written, chunk):
    fs, where = place.filesystem(), f"{written.url}/{chunk}"
    sound = fs.cat_file(where)
    flipped = bytearray(sound)
    flipped[len(flipped) // 2] ^= 1
    fs.pipe_file(where, bytes(flipped))
    damage = verify(written.url, place.options).damage
    fs.pipe_file(where, sound)
    assert damage
    assert not verify(written.url, place.options).damage


def test_globs_and_folders_list_what_lies_there(place, corpus):
    folder = place.upload(corpus, "listed")
    zips = expand(f"{folder}/*.zip", place.options)
    assert {Path(str(one)).name for one in zips} == {p.name for p in corpus.glob("*.zip")}
    assert len(expand(folder, place.options)) == len(list(corpus.iterdir()))
    with pytest.raises(SourceError, match="nothing matches this pattern"):
        expand(f"{folder}/*.none", place.options)
    with pytest.raises(SourceError, match="no such file or folder"):
        expand(f"{folder}/absent.zip", place.options)
    first = zips[0]
    size = first.size()
    assert first.read(size - 22, size)[:4] == b"PK\x05\x06"


@pytest.mark.parametrize("name", ["rclone", "azurite", "gcs"])
def test_a_whole_run_from_bucket_to_bucket_and_a_prediction(name, request, corpus, tmp_path):
    store: ObjectStore = request.getfixturevalue(name)
    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    sources, out = store.upload(corpus, "corpus"), f"{store.url}/run"
    # Worker processes of their own for one of them: options and addresses have to reach them.
    scheduler = ["--scheduler", "local", "--workers", "2"] if name == "rclone" else []
    command = ["run", job, "--source", f"{sources}/*.zip", "--out", out, *scheduler]
    done = cli(*command, *store.arguments())
    assert (done.returncode, done.stderr) == (0, "")
    fs = store.filesystem()
    metrics = json.loads(fs.cat_file(f"{out}/report/metrics.json"))
    assert "loso" in metrics["protocols"]
    assert b"<html" in fs.cat_file(f"{out}/report/index.html")
    assert fs.exists(f"{out}/bundle/bundle.json")
    for word in ("info", "verify"):
        shown = cli(word, f"{out}/store.zarr", *store.arguments())
        assert (shown.returncode, shown.stderr) == (0, "")
    verdicts = predict(f"{out}/bundle", [f"{sources}/*Actor_01.zip"], store.options)
    assert len(verdicts) == 8
    said = done.stdout + done.stderr
    assert not [v for v in secrets(store) if v in said]


def cli(*arguments: Any) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in arguments]
    return subprocess.run(
        [sys.executable, "-m", "emodask", *words], capture_output=True, text=True, timeout=300
    )


def secrets(store: ObjectStore) -> list[str]:
    """What no output may show."""
    return [SECRET] if "secret" in store.options else []


def fails(call) -> str:
    """The one line that an error shows, free of secrets."""
    with pytest.raises(EmodaskError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


@pytest.mark.parametrize("name", ["rclone", "ceph"])
def test_a_wrong_secret_is_said_to_be_denied(name, request, corpus):
    store: ObjectStore = request.getfixturevalue(name)
    url = store.upload(corpus, "corpus")
    options = {**store.options, "secret": f"{SECRET}-wrong"}
    for call in (
        lambda: expand(f"{url}/*.zip", options),
        lambda: Location(f"{url}/a.zip", tuple(options.items())).read(0, 9),
        lambda: describe(f"{store.url}/store.zarr", options),
    ):
        text = fails(call)
        assert "access denied" in text, text
        assert f"{store.url}/" in text


@pytest.mark.parametrize("name", ["rclone", "ceph", "azurite", "gcs"])
def test_an_absent_bucket_is_named(name, request, corpus, small_job):
    store: ObjectStore = request.getfixturevalue(name)
    protocol = store.url.partition("://")[0]
    absent = f"{protocol}://no-such-bucket-here"
    text = fails(lambda: expand(f"{absent}/*.zip", store.options))
    assert absent in text
    text = fails(
        lambda: extract(small_job, f"{corpus}/*.zip", f"{absent}/s", storage_options=store.options)
    )
    assert absent in text
    assert "the bucket does not exist" in text or "not found" in text, text


UNREACHABLE = {
    "s3": {"key": "k", "secret": SECRET, "config_kwargs": {"retries": {"max_attempts": 0}}},
    "http": {},
}


@pytest.mark.parametrize("protocol", UNREACHABLE)
def test_an_endpoint_where_nothing_listens_is_told_from_an_absent_file(protocol):
    port = free_port()
    options = dict(UNREACHABLE[protocol])
    url = f"http://127.0.0.1:{port}/a.zip"
    if protocol == "s3":
        url, options["endpoint_url"] = "s3://bucket/a.zip", f"http://127.0.0.1:{port}"
    text = fails(lambda: Location(url, tuple(options.items())).read(0, 9))
    assert "connection refused" in text
    if protocol == "s3":
        assert "connection refused" in fails(lambda: expand("s3://bucket/*.zip", options))
        assert "connection refused" in fails(lambda: describe("s3://bucket/s.zarr", options))


@pytest.fixture
def fresh_configuration() -> Iterator[None]:
    """Whatever a test sets in fsspec's configuration is gone afterwards."""
    before = dict(fsspec.config.conf)
    yield
    fsspec.config.conf.clear()
    fsspec.config.conf.update(before)


def test_environment_and_profiles_work_as_fsspec_and_s3_define_them(rclone, tmp_path, corpus):
    folder = rclone.upload(corpus, "corpus")
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[emodask]\naws_access_key_id = {rclone.options['key']}\n"
        f"aws_secret_access_key = {rclone.options['secret']}\n"
    )
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_PROFILE": "emodask",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "FSSPEC_S3_ENDPOINT_URL": rclone.endpoint,
    }
    command = [sys.executable, "-m", "emodask", "scan", f"{folder}/*.zip"]
    by_environment = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert by_environment.returncode == 0, by_environment.stderr
    assert "24 clips" in by_environment.stdout
    del env["FSSPEC_S3_ENDPOINT_URL"]
    settings = tmp_path / ".config" / "fsspec"
    settings.mkdir(parents=True)
    (settings / "ours.json").write_text(json.dumps({"s3": {"endpoint_url": rclone.endpoint}}))
    by_file = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert by_file.returncode == 0, by_file.stderr
    assert "24 clips" in by_file.stdout


def test_a_store_can_lie_elsewhere_than_the_sources(rclone, azurite, corpus, small_job):
    sources = azurite.upload(corpus, "corpus")
    options = {f"az:{key}": value for key, value in azurite.options.items()}
    options |= {f"s3a:{key}": value for key, value in rclone.options.items()}
    summary = extract(
        small_job,
        f"{sources.replace('az://', 'abfs://')}/*Actor_01.zip",
        f"{rclone.url}/elsewhere.zarr",
        storage_options=options,
    )
    assert (summary.done, summary.failed) == (8, 0), summary.failures


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("s3://bucket/a.zip", "s3fs", "s3"),
        ("abfs://bucket/a.zip", "adlfs", "azure"),
        ("gs://bucket/a.zip", "gcsfs", "gcs"),
    ],
)
def test_a_missing_package_says_what_to_install(url, package, extra):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from emodask.errors import SourceError, StoreError\n"
        "from emodask.sources.location import expand\n"
        "from emodask.store import describe\n"
        "for call in (expand, describe):\n"
        f"    try: call({url!r})\n"
        "    except (SourceError, StoreError) as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    hint = f"{url}: {url[: url.index(':')]}:// needs {package}: pip install 'emodask[{extra}]'"
    assert lines == [hint, hint]


def test_a_store_that_cannot_be_written_says_which_and_why(rclone, corpus, small_job):
    options = {**rclone.options, "secret": "wrong"}
    with pytest.raises(StoreError, match=r"s3://bucket/denied\.zarr.*access denied"):
        extract(
            small_job,
            f"{corpus}/*.zip",
            f"{rclone.url}/denied.zarr",
            storage_options=options,
        )
