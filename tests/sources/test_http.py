"""Promises of sources on web servers: few requests, few bytes, one version, faults survived."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emodask.errors import SourceError, UnreachableError
from emodask.extraction import extract
from emodask.job import Job, parse_job
from emodask.sources import retry
from emodask.sources.catalogue import scan
from emodask.sources.location import Location
from emodask.store import failures, open_group
from emodask.store.address import StoreAddress
from tests.media_files import moving_bars, mp4, tone, wav, zip_of
from tests.servers.faulty_proxy import FAULTS, at_random, faulty_proxy
from tests.servers.web_files import WebFiles, web_files
from tests.test_extraction import as_toml, stored
from tests.test_object_storage import cli
from tests.test_storage_faults import SPLINE

ZIP = "Actor_01.zip"
CLIPS = 8
SECONDS, RATE = 2.0, 48_000


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)


@pytest.fixture(scope="module")
def spline_job() -> Job:
    return parse_job(SPLINE)


def voices(pitch: float) -> dict[str, bytes]:
    """One noisy voice a clip, which deflates badly, as recordings do; and what no clip is."""
    rng = np.random.default_rng(int(pitch))
    t = np.arange(round(SECONDS * RATE)) / RATE
    media = {
        f"Actor_01/03-01-0{i + 1}-01-01-01-01.wav": wav(
            (0.3 * np.sin(6.28 * (pitch + 20 * i) * t) + rng.normal(0, 0.1, t.size)).astype("f4"),
            RATE,
        )
        for i in range(CLIPS)
    }
    return {**media, "Actor_01/unwanted.bin": rng.bytes(3_000_000)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 4.5 MB, a third of it clips."""
    return zip_of(tmp_path_factory.mktemp("http") / ZIP, voices(150.0))


@pytest.fixture(scope="module")
def undisturbed(
    archive: Path, spline_job: Job, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The store of the zip read from a disk."""
    store = tmp_path_factory.mktemp("undisturbed") / "s.zarr"
    assert extract(spline_job, str(archive), store).done == CLIPS
    return stored(store)


@pytest.fixture
def site(archive: Path) -> Iterator[WebFiles]:
    with web_files({ZIP: archive.read_bytes()}) as running:
        yield running


def needed(archive: Path) -> int:
    """Bytes of the wanted members and of the directory."""
    with zipfile.ZipFile(archive) as listing:
        media = [info for info in listing.infolist() if info.filename.endswith(".wav")]
        directory = archive.stat().st_size - listing.start_dir
    return directory + sum(info.compress_size for info in media)


@pytest.mark.parametrize("form", ["plain", "record", "api"])
def test_a_zip_is_read_where_it_lies_with_few_requests_and_bytes(
    site, archive, spline_job, undisturbed, tmp_path, form
):
    address = getattr(site, form)(ZIP)
    store = tmp_path / "s.zarr"
    summary = extract(spline_job, address, store)
    assert (summary.done, summary.total) == (CLIPS, CLIPS), summary.failures
    assert stored(store) == undisturbed
    assert len(site.requests) <= CLIPS + 3
    assert site.sent <= 1.02 * needed(archive)


def test_large_zips_cost_what_their_wanted_members_do(spline_job, tmp_path):
    media = {f"Actor_01/03-01-0{i + 1}-01-01-01-01.wav": noise(40.0) for i in range(2)}
    archive = zip_of(tmp_path / ZIP, {**media, "more.bin": bytes(50_000_000)})
    job = spline_job
    with web_files({ZIP: archive.read_bytes()}) as site:
        summary = extract(job, site.api(ZIP), tmp_path / "s.zarr")
        assert summary.done == 2
        assert len(site.requests) <= 2 + 3
        assert site.sent <= 1.02 * needed(archive)


def noise(seconds: float) -> bytes:
    return wav(np.random.default_rng(3).normal(0, 0.1, round(seconds * RATE)).astype("f4"), RATE)


def test_a_file_with_picture_and_sound_is_fetched_once(small_job, tmp_path):
    clip = mp4(moving_bars(), sound=tone())
    archive = zip_of(tmp_path / ZIP, {"Actor_01/01-01-03-01-01-01-01.mp4": clip})
    with web_files({ZIP: archive.read_bytes()}) as site:
        summary = extract(small_job, site.plain(ZIP), tmp_path / "s.zarr")
        assert (summary.done, summary.failures) == (1, ())
        assert len(site.requests) == 3


def test_the_command_line_scans_and_extracts_an_address_of_zenodo(site, undisturbed, tmp_path):
    job = tmp_path / "spline.toml"
    job.write_text(as_toml(SPLINE))
    done = cli("scan", site.record(ZIP))
    assert done.returncode == 0, done.stderr
    assert f"{CLIPS} clips" in done.stdout
    store = tmp_path / "s.zarr"
    done = cli("extract", job, "--source", site.api(ZIP), "--store", store, "--scheduler", "sync")
    assert done.returncode == 0, done.stderr
    assert stored(store) == undisturbed


@pytest.mark.parametrize("sizes", [True, False])
def test_a_server_without_ranges_is_refused_before_the_zip_is_sent(spline_job, tmp_path, sizes):
    size = 64 << 20
    with web_files({ZIP: bytes(size)}, ranges=False, sizes=sizes) as site:
        catalogue = scan(site.plain(ZIP))
        with pytest.raises(SourceError, match=r"Actor_01\.zip: .*ignores range requests"):
            extract(spline_job, site.plain(ZIP), tmp_path / "s.zarr")
        assert site.sent < size // 4
    assert not (tmp_path / "s.zarr").exists()
    assert [problem.what for problem in catalogue.problems] == ["unreadable"]


def test_loose_files_and_manifests_need_no_ranges(archive, spline_job, tmp_path):
    name = "03-01-05-01-01-01-01.wav"
    with zipfile.ZipFile(archive) as listing:
        voice = listing.read(f"Actor_01/{name}")
    manifest = f"path,clip_id,actor,emotion\n{name},one,1,angry\n".encode()
    with web_files({name: voice, "m.csv": manifest}, ranges=False, sizes=True) as site:
        alone = extract(spline_job, site.api(name), tmp_path / "a.zarr")
        listed = extract(spline_job, site.plain("m.csv"), tmp_path / "b.zarr")
    assert (alone.done, listed.done) == (1, 1)


@pytest.mark.parametrize("change", ["size", "date", "shorter"])
def test_a_zip_that_changes_during_the_run_is_a_named_failure(
    site, archive, spline_job, undisturbed, tmp_path, change
):
    other = zip_of(tmp_path / "other.zip", voices(190.0)).read_bytes()
    if change == "date":
        other = archive.read_bytes()
    elif change == "shorter":
        other = other[:100_000]
    store = tmp_path / "s.zarr"

    def replaces(progress):
        if progress.counts["done"] == 3:
            site.replace(ZIP, other)

    summary = extract(spline_job, site.plain(ZIP), store, on_progress=replaces)
    assert (summary.done, summary.failed, summary.pending) == (3, CLIPS - 3, 0)
    for _, why in failures(open_group(StoreAddress.of(store))):
        assert "it has changed on the server since it was listed" in why
    site.replace(ZIP, archive.read_bytes())
    again = extract(spline_job, site.plain(ZIP), store, retry_failed=True)
    assert (again.done, again.computed) == (CLIPS, CLIPS - 3)
    assert stored(store) == undisturbed


def test_a_tag_alone_that_differs_between_servers_of_one_address_is_no_change(site, tmp_path):
    where = Location(site.plain(ZIP)).pinned()
    assert where.version is not None
    site.versions[ZIP] = 1
    site.dated = False
    with pytest.raises(SourceError, match="has changed"):
        where.read(0, 4)
    site.versions[ZIP], site.dated, site.tagged = 0, True, False
    assert where.read(0, 4) == b"PK\x03\x04"


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_a_tenth_of_the_requests_change_nothing(
    site, spline_job, undisturbed, tmp_path, monkeypatch, fault
):
    monkeypatch.setattr(retry, "PATIENCE", 0.5)
    store = tmp_path / "s.zarr"
    with faulty_proxy(site.url, at_random(2, [fault], rate=0.2)) as proxy:
        summary = extract(spline_job, f"{proxy.endpoint}/data/{ZIP}", store)
        assert proxy.faults[fault] >= 1
    assert (summary.done, summary.failures, summary.errors) == (CLIPS, (), ())
    assert stored(store) == undisturbed


def test_an_archive_that_cannot_be_reached_is_not_taken_for_an_empty_one(
    site, spline_job, tmp_path
):
    site.files["Actor_02.zip"] = site.files[ZIP]

    def without_the_second(request):
        return "503" if "Actor_02" in request.target else None

    with faulty_proxy(site.url, without_the_second) as proxy:
        sources = [f"{proxy.endpoint}/data/Actor_0{i}.zip" for i in (1, 2)]
        with pytest.raises(UnreachableError, match=r"Actor_02\.zip.*the server is overloaded"):
            extract(spline_job, sources, tmp_path / "s.zarr")
        assert proxy.faults["503"] == retry.TRIES
    assert not (tmp_path / "s.zarr").exists()


def test_what_is_absent_or_forbidden_is_asked_for_once(site):
    site.files["secret.zip"] = b""
    with pytest.raises(SourceError, match=r"absent\.zip: cannot be read: not found"):
        Location(site.plain("absent.zip")).pinned()
    assert len(site.requests) == 1
    assert Location(site.plain("secret.zip")).size() == 0
    assert len(site.requests) == 2


def test_bytes_past_the_end_are_left_out_as_on_a_disk(site, archive):
    whole = archive.read_bytes()
    for where in (Location(site.plain(ZIP)), Location(site.plain(ZIP)).pinned()):
        assert where.size() == len(whole)
        assert where.read(len(whole) - 5, len(whole) + 100) == whole[-5:]
        assert where.read(7, 7) == b""
        assert where.read(len(whole) - 5) == whole[-5:]
        assert where.read() == whole
