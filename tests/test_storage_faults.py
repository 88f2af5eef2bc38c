"""Promises when an object store falters: the same bytes in the end, and nothing done twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from emodask.errors import EmodaskError, StoreError, UnreachableStoreError
from emodask.extraction import extract
from emodask.job import Job, parse_job
from emodask.sources import retry
from emodask.sources.catalogue import scan
from emodask.sources.synth import synthesize
from emodask.store import Status, StoreAddress, describe, open_group, read_status, verify
from emodask.store.address import existing
from tests.conftest import SMALL
from tests.servers.faulty_proxy import (
    FAULTS,
    FaultyProxy,
    Request,
    at_random,
    faulty_proxy,
    no_faults,
    outage_from,
)
from tests.servers.object_stores import SECRET, ObjectStore, s3_options
from tests.test_extraction import as_toml, stored
from tests.test_object_storage import cli

SPLINE = {
    **{key: SMALL[key] for key in ("name", "seed")},
    "data": {"batch": 3},
    "features": {"spline": SMALL["features"]["spline"]},
    "reductions": {"spline": SMALL["reductions"]["spline"]},
    "models": {"svc": SMALL["models"]["svc"]},
    "evaluation": {"protocols": ["within-actor"]},
}

CLIPS = 8

TIMEOUT = 0.5
"""Seconds after which a client of these tests takes an answer for lost."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)


@pytest.fixture(scope="module")
def spline_job() -> Job:
    return parse_job(SPLINE)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of the voices of one synthetic actor."""
    folder = tmp_path_factory.mktemp("audio")
    synthesize(folder, actors=1, clips=CLIPS, size=(64, 36), seconds=0.5, workers=1)
    for video in folder.glob("Video*.zip"):
        video.unlink()
    return folder


@pytest.fixture(scope="module")
def undisturbed(
    audio: Path, spline_job: Job, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What a store on a disk holds that nothing befell."""
    store = tmp_path_factory.mktemp("undisturbed") / "s.zarr"
    assert extract(spline_job, f"{audio}/*.zip", store).done == CLIPS
    return stored(store)


@pytest.fixture(scope="module")
def bucket(rclone: ObjectStore, audio: Path) -> ObjectStore:
    """A bucket with the zip in its folder ``faults``."""
    rclone.upload(audio, "faults")
    return rclone


@pytest.fixture
def proxy(bucket: ObjectStore) -> Iterator[FaultyProxy]:
    with faulty_proxy(bucket.endpoint) as running:
        yield running


def through(proxy: FaultyProxy) -> dict[str, Any]:
    """Storage options that lead through the proxy; botocore itself does not ask again."""
    return s3_options(
        proxy.port, read_timeout=TIMEOUT, connect_timeout=5, retries={"max_attempts": 0}
    )


def stored_in(bucket: ObjectStore, url: str) -> dict[str, bytes]:
    """The objects of a store in the bucket, timings aside, read past the proxy."""
    fs = bucket.filesystem()
    root = fs._strip_protocol(url)
    keys = {path: path.removeprefix(f"{root}/") for path in fs.find(root)}
    return {key: fs.cat_file(path) for path, key in keys.items() if not key.startswith("seconds/")}


def seconds_in(bucket: ObjectStore, url: str) -> np.ndarray:
    """What each row took to compute: it changes when a row is computed again."""
    return np.asarray(open_group(StoreAddress.of(url, bucket.options))["seconds"][:])


def committed(bucket: ObjectStore, url: str) -> np.ndarray:
    """Which rows are done; none while there is no store."""
    address = StoreAddress.of(url, bucket.options)
    if existing(address) is None:
        return np.zeros(CLIPS, bool)
    return read_status(open_group(address)) == Status.DONE


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_a_tenth_of_the_requests_change_nothing(
    bucket, proxy, spline_job, undisturbed, fault
):
    url = f"{bucket.url}/{fault.replace(' ', '-')}.zarr"
    proxy.plan = at_random(4, [fault])
    summary = extract(spline_job, f"{bucket.url}/faults/*.zip", url, storage_options=through(proxy))
    assert proxy.faults[fault] >= 5
    assert (summary.done, summary.computed, summary.errors) == (CLIPS, CLIPS, ())
    assert stored_in(bucket, url) == undisturbed


def test_faults_of_all_kinds_at_once_are_survived_by_the_command_line_and_its_workers(
    bucket, proxy, undisturbed, tmp_path
):
    job = tmp_path / "spline.toml"
    job.write_text(as_toml(SPLINE))
    url = f"{bucket.url}/command.zarr"
    through_proxy = ObjectStore("rclone", bucket.url, through(proxy))
    proxy.plan = at_random(5)
    command = ["extract", job, "--source", f"{bucket.url}/faults/*.zip", "--store", url]
    done = cli(*command, "--workers", 1, *through_proxy.arguments())
    assert done.returncode == 0, done.stderr
    assert len(proxy.faults) >= 4, proxy.faults
    assert stored_in(bucket, url) == undisturbed
    assert SECRET not in done.stdout + done.stderr


def test_describe_and_verify_read_through_faults(bucket, proxy, spline_job, audio):
    url = f"{bucket.url}/verified.zarr"
    extract(spline_job, f"{audio}/*.zip", url, storage_options=bucket.options)
    proxy.plan = at_random(6, [fault for fault in FAULTS if fault != "stall"], rate=0.2)
    for _ in range(2):
        assert describe(url, through(proxy))["counts"]["done"] == CLIPS
        checked = verify(url, through(proxy))
        assert (checked.damage, checked.counts["done"]) == ((), CLIPS)
    assert proxy.faults.total() >= 5


OUTAGES = {
    "in the listing of sources": (r"GET /bucket\?list", "503 empty", 0),
    "in the directory of a zip": (r"GET /bucket/faults/Audio", "503 empty", 0),
    "before the store is created": (r"PUT .*/emodask-creating.json", "503 empty", 0),
    "while the store is created": (r"PUT .*/clip_id/c/0", "503 empty", 0),
    "before the first features": (r"PUT .*/spline/c/0/0/0", "503 empty", 0),
    "between features and status": (r"PUT .*/status/c/1", "503 empty", 3),
    "as the status is written": (r"PUT .*/status/c/1", "lost", 6),
    "as the last status is written": (r"PUT .*/status/c/2", "lost", 8),
}
"""Where an outage starts, what befalls that request, and how many rows are committed by then."""


@pytest.mark.parametrize("moment", OUTAGES)
def test_an_outage_ends_the_run_and_the_next_one_goes_on(
    bucket, proxy, spline_job, undisturbed, monkeypatch, moment
):
    url = f"{bucket.url}/outage/{moment.replace(' ', '-')}.zarr"
    monkeypatch.setattr(retry, "TRIES", 2)
    options = through(proxy)
    sources = f"{bucket.url}/faults/*.zip"
    pattern, first, expected = OUTAGES[moment]
    proxy.plan = outage_from(pattern, first)
    try:
        summary = extract(spline_job, sources, url, storage_options=options)
    except EmodaskError as error:
        said = str(error)
    else:
        assert summary.pending > 0
        assert (summary.failed, summary.incomplete) == (0, 0)
        said = " ".join(summary.errors)
    assert proxy.faults["503 empty"] > 0
    assert "the server is overloaded (503)" in said
    done = committed(bucket, url)
    assert done.sum() == expected
    before = seconds_in(bucket, url) if expected else np.zeros(CLIPS)
    proxy.plan = no_faults
    summary = extract(spline_job, sources, url, storage_options=options)
    assert (summary.done, summary.computed) == (CLIPS, CLIPS - expected)
    assert stored_in(bucket, url) == undisturbed
    assert (seconds_in(bucket, url)[done] == before[done]).all()


def test_an_outage_is_said_by_the_command_line_and_its_next_run_goes_on(
    bucket, proxy, undisturbed, tmp_path
):
    job = tmp_path / "spline.toml"
    job.write_text(as_toml(SPLINE))
    url = f"{bucket.url}/outage/command.zarr"
    options = ObjectStore("rclone", bucket.url, through(proxy)).arguments()
    command = ["extract", job, "--source", f"{bucket.url}/faults/*.zip", "--store", url]
    command += ["--scheduler", "sync", *options]
    proxy.plan = outage_from(r"PUT .*/spline/c/2/0/0")
    done = cli(*command)
    assert done.returncode == 1, done.stderr
    said = done.stdout + done.stderr
    assert "the server is overloaded (503)" in said
    assert "Traceback" not in said
    assert "Task was destroyed" not in said
    assert SECRET not in said
    rows = committed(bucket, url)
    before = seconds_in(bucket, url)
    assert rows.sum() == 6
    proxy.plan = no_faults
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    assert f"6 of {CLIPS} clips are already in the store" in done.stdout
    assert (seconds_in(bucket, url)[rows] == before[rows]).all()
    assert stored_in(bucket, url) == undisturbed


def test_a_place_that_cannot_be_looked_at_is_not_taken_for_an_empty_one(
    bucket, proxy, spline_job, audio
):
    url = f"{bucket.url}/others"
    fs = bucket.filesystem()
    fs.pipe_file(f"{url}/folder/theirs.txt", b"not ours")
    proxy.plan = unlisted
    with pytest.raises(UnreachableStoreError, match=r"others: cannot be listed: .*overloaded"):
        extract(spline_job, f"{audio}/*.zip", url, storage_options=through(proxy))
    assert proxy.faults["503 empty"] == retry.TRIES
    proxy.plan = no_faults
    with pytest.raises(StoreError, match="something that is not an emodask store lies there"):
        extract(spline_job, f"{audio}/*.zip", url, storage_options=through(proxy))
    fs.invalidate_cache()
    assert fs.find(url) == ["bucket/others/folder/theirs.txt"]


def unlisted(request: Request) -> str | None:
    """Let the folder ``others`` fail to be listed, and nothing else."""
    return "503 empty" if re.search(r"prefix=others(%2F|/)(&|$)", request.target) else None


def test_a_listing_does_not_hide_what_others_write_afterwards(bucket):
    one, other = (
        StoreAddress.of(f"{bucket.url}/shared", bucket.options).zarr_store() for _ in range(2)
    )
    prototype = default_buffer_prototype()

    async def keys(store: ZarrStore) -> list[str]:
        return [key async for key in store.list()]

    sync(one.set("status/c/0", prototype.buffer.from_bytes(b"done")))
    assert sync(keys(one)) == ["status/c/0"]
    bucket.filesystem().pipe_file(f"{bucket.url}/shared/status/c/1", b"done")
    found = sync(one.get("status/c/1", prototype))
    assert found is not None
    assert found.to_bytes() == b"done"
    assert sync(keys(other)) == ["status/c/0", "status/c/1"]


def test_a_wrong_secret_is_said_after_one_try(bucket, proxy, spline_job, audio):
    options = {**through(proxy), "secret": "wrong"}
    for call in (
        lambda: scan(f"{bucket.url}/faults/*.zip", options),
        lambda: scan(f"{bucket.url}/faults/Audio_Speech_Actors_01-01.zip", options),
        lambda: describe(f"{bucket.url}/any.zarr", options),
        lambda: extract(
            spline_job, f"{audio}/*.zip", f"{bucket.url}/denied.zarr", storage_options=options
        ),
    ):
        before = proxy.requests
        with pytest.raises(EmodaskError, match=r"s3://bucket/.*access denied.*credentials"):
            call()
        assert proxy.requests - before <= 4
