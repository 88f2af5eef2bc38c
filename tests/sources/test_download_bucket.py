"""Promises of a download to a bucket: whole objects or none, on real object stores."""

from __future__ import annotations

import pytest

from emodask.errors import DownloadError, SourceError, UsageError
from emodask.sources.download import Selection, download, fetch, plan_download
from tests.servers.object_stores import BUCKET, ObjectStore
from tests.servers.zenodo import busy, changed, corrupt
from tests.sources.conftest import AUDIO, FILES, HURRY, ONE, TWO


@pytest.fixture(params=["memory", "rclone", "ceph", "azurite", "gcs"])
def place(request, tmp_path) -> ObjectStore:
    """A folder of a bucket that no other test uses."""
    if request.param == "memory":
        store = ObjectStore("memory", "memory://bucket", {})
    else:
        store = request.getfixturevalue(request.param)
    return ObjectStore(store.name, f"{store.url}/{tmp_path.name}", store.options, store.endpoint)


def objects(place: ObjectStore) -> dict[str, bytes]:
    """What the bucket shows."""
    fs = place.filesystem()
    try:
        names = fs.find(place.url)
    except FileNotFoundError:
        return {}
    return {name.rpartition("/")[2]: fs.cat_file(name) for name in names}


def test_files_arrive_whole_and_a_second_run_fetches_nothing(site, place):
    chosen = Selection(actors=(1, 2))
    summary = download(place.url, chosen, storage_options=place.options)
    assert (set(summary.fetched), summary.failed) == ({ONE, TWO, AUDIO}, ())
    assert objects(place) == {name: FILES[name] for name in (ONE, TWO, AUDIO)}
    before = len(site.requests)
    again = download(place.url, chosen, storage_options=place.options)
    assert set(again.there) == {ONE, TWO, AUDIO}
    assert [request.name for request in site.requests[before:]] == ["record"]


def test_an_object_with_other_bytes_of_the_same_size_is_replaced(site, place):
    fs = place.filesystem()
    fs.pipe_file(f"{place.url}/{ONE}", FILES[ONE][:-1] + b"\0")
    chosen = Selection(modalities=("video",), actors=(1,))
    assert download(place.url, chosen, storage_options=place.options).fetched == (ONE,)
    assert objects(place) == {ONE: FILES[ONE]}


def test_nothing_but_whole_and_right_objects_appears(site, place):
    site.always[ONE] = corrupt
    site.always[TWO] = changed(until=0)
    site.next[AUDIO] = [busy(503), corrupt]
    plan = plan_download(
        place.url, Selection(actors=(1, 2)), storage_options=place.options, patience=HURRY
    )
    summary = fetch(plan, patience=HURRY)
    failed = dict(summary.failed)
    assert summary.fetched == (AUDIO,)
    assert "MD5" in failed[ONE]
    assert f"given up after {HURRY.tries} tries" in failed[TWO]
    assert objects(place) == {AUDIO: FILES[AUDIO]}


@pytest.mark.parametrize("place", ["memory", "rclone"], indirect=True)
def test_ctrl_c_withdraws_what_is_not_whole(site, place):
    site.always[ONE] = changed(until=200_000, then="stall")
    plan = plan_download(
        place.url, Selection(modalities=("video",), actors=(1,)), storage_options=place.options
    )

    def stop(news):
        if news.there == 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(plan, on_news=stop)
    assert objects(place) == {}


@pytest.mark.parametrize("place", ["rclone", "ceph"], indirect=True)
def test_a_large_file_goes_up_in_parts_and_leaves_no_unfinished_upload(site, place, monkeypatch):
    monkeypatch.setattr("emodask.sources.download.bucket._BLOCK", 5 << 20)  # S3's smallest part
    site.files[ONE] = large = bytes(range(256)) * (11 << 12)
    site.next[ONE] = [corrupt]
    chosen = Selection(modalities=("video",), actors=(1,))
    assert download(place.url, chosen, storage_options=place.options).fetched == (ONE,)
    assert objects(place) == {ONE: large}
    unfinished = place.filesystem().call_s3("list_multipart_uploads", Bucket=BUCKET)
    assert unfinished.get("Uploads", []) == []
    assert download(place.url, chosen, storage_options=place.options).there == (ONE,)


@pytest.mark.parametrize("place", ["rclone"], indirect=True)
def test_a_bucket_that_refuses_us_is_said_so_without_the_secret(site, place):
    options = {**place.options, "secret": "planted-wrong-secret"}
    with pytest.raises(DownloadError, match="access denied") as caught:
        plan_download(place.url, storage_options=options)
    assert "planted" not in str(caught.value)
    assert site.asked(ONE) == []


@pytest.mark.parametrize("place", ["rclone"], indirect=True)
def test_a_bucket_that_is_not_there_fails_every_file_in_words(site, place):
    url = "s3://no-such-bucket/x"
    chosen = Selection(modalities=("video",), actors=(1,))
    summary = download(url, chosen, storage_options=place.options)
    assert "bucket does not exist" in dict(summary.failed)[ONE]


@pytest.mark.parametrize("dest", ["https://example.org/x", "http://127.0.0.1/x"])
def test_a_web_address_is_no_destination(site, dest):
    with pytest.raises(UsageError, match="cannot be written to; pass a folder or a bucket"):
        plan_download(dest)
    assert site.requests == []


def test_an_unknown_protocol_is_said_so(site):
    with pytest.raises(SourceError, match="wasabi"):
        plan_download("wasabi://bucket/x")


def test_an_empty_destination_is_refused(site):
    with pytest.raises(UsageError, match="an empty destination"):
        plan_download(" ")
