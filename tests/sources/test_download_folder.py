"""Promises of a download to a folder: parts are gone on with, full and odd disks do no harm."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from emodask.errors import DownloadError, UsageError
from emodask.sources.download import DownloadSummary, Selection, download, fetch, folder
from tests.servers.zenodo import (
    busy,
    changed,
)
from tests.sources.conftest import (
    FILES,
    HURRY,
    JUST_ONE,
    ONE,
    TWO,
    files,
    plan,
    run,
    whole,
)


def test_a_part_of_an_earlier_run_is_gone_on_with(site, tmp_path):
    site.next[ONE] = [changed(until=200_000), *[busy(503)] * HURRY.tries]
    assert run(tmp_path)[0].failed
    assert (tmp_path / f"{ONE}.part").stat().st_size == 200_000
    site.next[ONE] = []
    (planned,) = plan(tmp_path).files
    assert (planned.state, planned.present, planned.missing) == ("part", 200_000, 100_000)
    assert run(tmp_path)[0].fetched == (ONE,)
    last = site.asked(ONE)[-1]
    assert (last.start, last.headers["If-Range"]) == (200_000, site.etag(ONE))
    assert files(tmp_path) == whole(ONE)


def test_a_part_of_another_version_is_thrown_away(site, tmp_path):
    site.next[ONE] = [changed(until=200_000), *[busy(503)] * HURRY.tries]
    run(tmp_path)
    site.next[ONE] = []
    site.files[ONE] = FILES[TWO]
    assert plan(tmp_path).files[0].state == "to fetch"
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == {ONE: FILES[TWO]}
    assert site.asked(ONE)[-1].start == 0


@pytest.mark.parametrize("part", [b"other bytes", b"x" * 300_000, b"x" * 400_000])
@pytest.mark.parametrize("notes", [None, b"{}", b"[1]", b"\xff\x00", b'{"etag": 5}'])
def test_a_part_of_unknown_origin_does_no_harm(site, tmp_path, part, notes):
    (tmp_path / f"{ONE}.part").write_bytes(part)
    if notes is not None:
        (tmp_path / f"{ONE}.part.json").write_bytes(notes)
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == whole(ONE)


def test_a_whole_part_is_checked_and_not_fetched(site, tmp_path):
    (tmp_path / f"{ONE}.part").write_bytes(FILES[ONE])
    assert run(tmp_path)[0].fetched == (ONE,)
    assert site.asked(ONE) == []
    assert files(tmp_path) == whole(ONE)


def test_a_file_of_no_bytes_is_written_without_a_request(site, tmp_path):
    site.files[ONE] = b""
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == {ONE: b""}
    assert site.asked(ONE) == []
    assert plan(tmp_path).to_fetch == ()


def test_a_full_disk_is_named_and_what_came_is_kept(site, tmp_path, monkeypatch):
    real, room = os.write, [150_000]

    def write(fd, data):
        if len(data) < 10_000:  # not the file: the notes beside it
            return real(fd, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(fd, data[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(folder.os, "write", write)
        summary, _ = run(tmp_path)
    assert "the disk is full" in dict(summary.failed)[ONE]
    assert (tmp_path / f"{ONE}.part").read_bytes() == FILES[ONE][:150_000]
    assert run(tmp_path)[0].fetched == (ONE,)
    assert site.asked(ONE)[-1].start == 150_000
    assert files(tmp_path) == whole(ONE)


def test_too_little_space_is_refused_before_anything_is_fetched(site, tmp_path, monkeypatch):
    monkeypatch.setattr(folder.Folder, "free", lambda place: 299_999)
    with pytest.raises(DownloadError, match=r"300.0 kB are to be fetched and 300.0 kB are free"):
        run(tmp_path / "new")
    assert site.asked(ONE) == []
    assert not (tmp_path / "new").exists()


def test_a_folder_without_permission_is_refused_before_anything_is_fetched(
    site, tmp_path, monkeypatch
):
    monkeypatch.setattr(folder.os, "access", lambda place, mode: False)  # root may write anywhere
    with pytest.raises(DownloadError, match="no permission"):
        run(tmp_path / "new")
    assert site.asked(ONE) == []


def test_a_destination_that_is_a_file_is_refused(site, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for dest in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="a file, not a folder"):
            plan(dest)
    assert site.requests == []


def test_a_folder_in_a_files_place_is_refused(site, tmp_path):
    (tmp_path / ONE).mkdir()
    with pytest.raises(DownloadError, match="a folder, where a file"):
        plan(tmp_path)


def test_a_file_that_another_download_writes_is_left_to_it(site, tmp_path):
    planned = plan(tmp_path)
    sink = planned.place.open(planned.files[0].file)
    sink.write(FILES[ONE][:1000])
    summary, _ = run(tmp_path)
    assert "another download is writing it" in dict(summary.failed)[ONE]
    sink.close()
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == whole(ONE)


def test_a_file_system_without_locks_is_written_to(site, tmp_path, monkeypatch):
    def flock(fd, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == whole(ONE)


def test_a_link_in_a_parts_place_is_not_written_through(site, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / f"{ONE}.part").symlink_to(tmp_path / "mine")
    summary, _ = run(dest)
    assert ONE in dict(summary.failed)
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_ctrl_c_keeps_the_part(site, tmp_path):
    site.always[ONE] = changed(until=200_000, then="stall")

    def stop(news):
        if news.there == 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(plan(tmp_path), patience=HURRY, on_news=stop)
    assert (tmp_path / f"{ONE}.part").read_bytes() == FILES[ONE][:200_000]


def test_what_the_listener_raises_is_raised(site, tmp_path):
    def fail(news):
        raise ZeroDivisionError(news.name)

    with pytest.raises(ZeroDivisionError):
        fetch(plan(tmp_path, Selection()), on_news=fail)


async def in_a_loop(dest: str) -> DownloadSummary:
    return download(dest, JUST_ONE)


def test_it_works_where_an_event_loop_runs_as_in_a_notebook(site, tmp_path):
    assert asyncio.run(in_a_loop(str(tmp_path))).fetched == (ONE,)
