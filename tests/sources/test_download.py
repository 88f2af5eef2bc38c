"""Promises of a download: whatever the server does, whole and right files or a named failure."""

from __future__ import annotations

import datetime
import email.utils
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emodask.errors import DownloadError, SourceError, UnreachableError, UsageError
from emodask.sources.download import (
    DownloadPlan,
    DownloadSummary,
    FileNews,
    Patience,
    Selection,
    download,
    fetch,
    folder,
    plan_download,
)
from tests.servers.zenodo import (
    Zenodo,
    busy,
    changed,
    corrupt,
    hang_up,
    ravdess_files,
    redirecting,
    refusing,
    saying,
    zenodo,
)

FILES = ravdess_files()
ONE, TWO, AUDIO = (
    "Video_Speech_Actor_01.zip",
    "Video_Speech_Actor_02.zip",
    "Audio_Speech_Actors_01-24.zip",
)
JUST_ONE = Selection(modalities=("video",), actors=(1,))
HURRY = Patience(connect=10, stall=30, tries=4, first_wait=0.0, longest_wait=0.0)


@pytest.fixture
def site(monkeypatch, tmp_path) -> Iterator[Zenodo]:
    def arrived(name: str) -> int:
        part = tmp_path / f"{name}.part"
        return part.stat().st_size if part.exists() else 0

    monkeypatch.delenv("ZENODO_TOKEN", raising=False)
    with zenodo(FILES) as served:
        served.arrived = arrived
        monkeypatch.setenv("EMODASK_ZENODO_URL", served.url)
        yield served


class News(list[FileNews]):
    """All that was told."""

    def notes(self, what: str) -> list[str]:
        return [news.note for news in self if news.what == what]


def plan(dest, selection=JUST_ONE, **given) -> DownloadPlan:
    return plan_download(str(dest), selection, patience=HURRY, **given)


def run(dest, selection=JUST_ONE, patience=HURRY, **given) -> tuple[DownloadSummary, News]:
    news = News()
    return fetch(plan(dest, selection), patience=patience, on_news=news.append, **given), news


def files(dest: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dest.iterdir()}


def whole(*names: str) -> dict[str, bytes]:
    return {name: FILES[name] for name in names}


def test_only_what_was_chosen_is_fetched_and_lies_there_whole(site, tmp_path):
    summary = download(str(tmp_path), Selection(actors=(1, 2)))
    assert set(summary.fetched) == {ONE, TWO, AUDIO}
    assert (summary.there, summary.failed) == ((), ())
    assert files(tmp_path) == whole(ONE, TWO, AUDIO)
    assert {request.name for request in site.requests} == {"record", ONE, TWO, AUDIO}


def test_song_is_a_choice(site, tmp_path):
    download(str(tmp_path), Selection(channels=("song",)))
    assert sorted(files(tmp_path)) == ["Audio_Song_Actors_01-24.zip", "Video_Song_Actor_01.zip"]


def test_a_second_run_fetches_nothing(site, tmp_path):
    download(str(tmp_path))
    before = len(site.requests)
    summary = download(str(tmp_path))
    assert [request.name for request in site.requests[before:]] == ["record"]
    assert (len(summary.there), summary.fetched) == (4, ())


def test_a_file_there_with_other_bytes_is_fetched_again(site, tmp_path):
    (tmp_path / ONE).write_bytes(FILES[ONE][:-1] + b"\0")
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == whole(ONE)


@pytest.mark.parametrize("shape", ["entries", "apart"])
def test_records_of_the_newer_api_are_understood(site, tmp_path, shape):
    site.shape = shape
    assert run(tmp_path)[0].fetched == (ONE,)
    assert files(tmp_path) == whole(ONE)


def test_at_most_as_many_files_as_asked_for_are_in_flight(site, tmp_path):
    flying, most = set(), []

    def watch(news):
        if news.what == "begun":
            flying.add(news.name)
            most.append(len(flying))
        elif news.what == "done":
            flying.discard(news.name)

    fetch(plan(tmp_path, Selection()), parallel=2, on_news=watch)
    assert max(most) == 2
    assert len(most) == 4


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (busy(503), "503"),
        (busy(429), "429"),
        (busy(500), "500"),
        (busy(502), "502"),
        (changed(until=100_000), "the connection broke"),
        (changed(until=0), "the connection broke"),
    ],
)
def test_what_may_pass_is_asked_for_again(site, tmp_path, answer, why):
    site.next[ONE] = [answer, answer]
    summary, news = run(tmp_path)
    assert summary.fetched == (ONE,)
    assert files(tmp_path) == whole(ONE)
    assert len(site.asked(ONE)) == 3
    assert [why in note for note in news.notes("waiting")] == [True, True]


def test_a_connection_closed_without_an_answer_is_made_again(site, tmp_path):
    site.next[ONE] = [hang_up, hang_up]
    assert run(tmp_path)[0].fetched == (ONE,)
    assert len(site.asked(ONE)) == 3


def test_a_broken_connection_goes_on_where_it_broke(site, tmp_path):
    site.next[ONE] = [changed(until=100_000), changed(until=250_000)]
    run(tmp_path)
    starts = [request.start for request in site.asked(ONE)]
    assert starts == [0, 100_000, 250_000]
    assert files(tmp_path) == whole(ONE)


def test_progress_earns_new_tries(site, tmp_path):
    site.next[ONE] = [changed(until=20_000 * i) for i in range(1, 11)]
    assert run(tmp_path)[0].fetched == (ONE,)
    assert len(site.asked(ONE)) == 11 > HURRY.tries


@pytest.mark.parametrize("where", ["record", ONE])
def test_a_server_that_stays_busy_is_given_up_and_named(site, tmp_path, where):
    site.always[where] = busy(503)
    why = f"503 Service Unavailable; given up after {HURRY.tries} tries"
    if where == "record":
        with pytest.raises(UnreachableError, match=why):
            plan(tmp_path)
    else:
        summary, _ = run(tmp_path)
        assert why in dict(summary.failed)[ONE]
    assert len(site.asked(where)) == HURRY.tries


def test_retry_after_is_kept_to(site, tmp_path):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    site.next[ONE] = [busy(429, "1"), busy(503, email.utils.format_datetime(later, usegmt=True))]
    summary, news = run(tmp_path)
    assert summary.fetched == (ONE,)
    first, second = news.notes("waiting")
    assert "again in 1 s" in first
    assert "again in 1 s" in second or "again in 2 s" in second or "again in 0 s" in second


@pytest.mark.parametrize("text", ["soon", "-5", "", "9" * 400])
def test_a_retry_after_that_makes_no_sense_does_no_harm(site, tmp_path, text):
    site.next[ONE] = [busy(503, text)]
    summary, _ = run(tmp_path)
    assert bool(summary.fetched) == (len(text) < 100)


def test_a_server_that_asks_for_hours_is_not_waited_for(site, tmp_path):
    site.next[ONE] = [busy(429, "7200")]
    summary, _ = run(tmp_path)
    assert "asks to wait 7200 s; run the same command then" in dict(summary.failed)[ONE]
    assert len(site.asked(ONE)) == 1


def test_a_stalled_connection_is_left_and_the_file_gone_on_with(site, tmp_path):
    site.next[ONE] = [changed(until=100_000, then="stall")]
    summary, news = run(tmp_path, patience=Patience(stall=1.0, tries=4, first_wait=0.0))
    assert summary.fetched == (ONE,)
    assert [request.start for request in site.asked(ONE)] == [0, 100_000]
    assert "the server does not answer in time" in news.notes("waiting")[0]
    assert files(tmp_path) == whole(ONE)


def test_a_server_that_only_trickles_is_given_up(site, tmp_path):
    site.always[ONE] = lambda exchange: exchange.send_file(
        FILES[ONE], until=exchange.request_.start + 10
    )
    patience = Patience(tries=3, first_wait=0.0, least_rate=1e12)
    summary, _ = run(tmp_path, patience=patience)
    assert "given up after 3 tries" in dict(summary.failed)[ONE]
    assert len(site.asked(ONE)) == 3


def test_a_file_cut_short_by_the_server_is_named_and_not_kept_as_whole(site, tmp_path):
    site.always[ONE] = changed(announce=1000)
    summary, _ = run(tmp_path)
    assert "sends 1000 bytes, and the record says 300000" in dict(summary.failed)[ONE]
    assert ONE not in files(tmp_path)


def test_a_file_longer_than_the_record_says_is_refused_before_it_fills_the_disk(site, tmp_path):
    def endless(exchange):
        exchange.send_response(200)
        exchange.end_headers()
        exchange.close_connection = True
        while True:
            exchange.wfile.write(bytes(1 << 16))

    site.always[ONE] = endless
    summary, _ = run(tmp_path)
    assert "sends more than the 300000 bytes" in dict(summary.failed)[ONE]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 300_000


def test_a_range_other_than_the_one_asked_for_is_not_pasted_in(site, tmp_path):
    site.next[ONE] = [changed(until=100_000), changed(shift=7)]
    summary, news = run(tmp_path)
    assert summary.fetched == (ONE,)
    assert news.notes("again") == ["the server sends another range than the one asked for"]
    assert files(tmp_path) == whole(ONE)


def test_a_server_without_ranges_sends_it_anew(site, tmp_path):
    site.ranges = False
    site.next[ONE] = [changed(until=100_000)]
    summary, news = run(tmp_path)
    assert summary.fetched == (ONE,)
    assert news.notes("again") == ["the server sends it from the start"]
    assert files(tmp_path) == whole(ONE)


def test_a_server_without_etags_is_gone_on_with(site, tmp_path):
    site.etags = False
    site.next[ONE] = [changed(until=100_000)]
    assert run(tmp_path)[0].fetched == (ONE,)
    assert [request.start for request in site.asked(ONE)] == [0, 100_000]
    assert "If-Range" not in site.asked(ONE)[1].headers


def test_wrong_bytes_are_fetched_once_more(site, tmp_path):
    site.next[ONE] = [corrupt]
    summary, news = run(tmp_path)
    assert summary.fetched == (ONE,)
    found = hashlib.md5(FILES[ONE]).hexdigest()
    assert f"the record says {found}" in news.notes("again")[0]
    assert files(tmp_path) == whole(ONE)


def test_bytes_that_stay_wrong_fail_their_file_and_no_other(site, tmp_path):
    site.always[ONE] = corrupt
    summary, _ = run(tmp_path, Selection(actors=(1, 2)))
    assert set(summary.fetched) == {TWO, AUDIO}
    ((name, why),) = summary.failed
    assert name == ONE
    assert "its bytes have the MD5" in why
    assert "twice; nothing of it is kept" in why
    assert len(site.asked(ONE)) == 2
    left = files(tmp_path)
    assert left.pop(f"{ONE}.part", b"") == b""
    assert {name: left[name] for name in (TWO, AUDIO)} == whole(TWO, AUDIO)


@pytest.mark.parametrize(
    ("status", "why"), [(404, "no such record or file"), (403, "ZENODO_TOKEN"), (410, "withdrawn")]
)
def test_a_refusal_is_final(site, tmp_path, status, why):
    site.always[ONE] = site.always["record"] = refusing(status)
    with pytest.raises(SourceError, match=why):
        plan(tmp_path)
    del site.always["record"]
    assert why in dict(run(tmp_path)[0].failed)[ONE]
    assert len(site.asked(ONE)) == 1


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
    import asyncio

    assert asyncio.run(in_a_loop(str(tmp_path))).fetched == (ONE,)


def test_the_token_goes_to_the_api_alone(site, tmp_path, monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", "planted-token")
    with zenodo(FILES) as elsewhere:
        target = f"{elsewhere.url}/api/records/1188976/files/{ONE}/content?sig=planted"
        site.always[ONE] = redirecting(target)
        summary, _ = run(tmp_path)
        assert summary.fetched == (ONE,)
        assert {request.headers["Authorization"] for request in site.requests} == {
            "Bearer planted-token"
        }
        assert [dict(request.headers).get("Authorization") for request in elsewhere.requests] == [
            None
        ]
    assert files(tmp_path) == whole(ONE)


def test_the_token_is_not_sent_to_a_link_of_another_host(site, tmp_path, monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", "planted-token")
    with zenodo(FILES) as elsewhere:
        site.edit = lambda entries: [
            {**entry, "links": {"self": entry["links"]["self"].replace(site.url, elsewhere.url)}}
            for entry in entries
        ]
        elsewhere.always["record"] = lambda exchange: exchange.send_file(FILES[ONE])
        run(tmp_path)
        (request,) = elsewhere.requests
    assert "Authorization" not in request.headers


def test_no_token_no_authorization(site, tmp_path):
    run(tmp_path)
    assert all("Authorization" not in request.headers for request in site.requests)


@pytest.mark.parametrize("token", ["planted\nX: y", "planted token", "plänted"])
def test_a_token_that_is_none_is_refused_without_showing_it(site, tmp_path, monkeypatch, token):
    monkeypatch.setenv("ZENODO_TOKEN", token)
    with pytest.raises(UsageError, match="ZENODO_TOKEN") as caught:
        plan(tmp_path)
    assert token[:2] not in str(caught.value)
    assert site.requests == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("file:///etc/passwd", "not safe"),
        ("ftp://127.0.0.1/x", "not safe"),
        ("http://[", "not safe"),
        ("", "more than 5 redirects"),
    ],
)
def test_a_redirect_to_what_is_no_web_address_is_refused(site, tmp_path, target, why):
    site.always[ONE] = redirecting(target)
    assert why in dict(run(tmp_path)[0].failed)[ONE]


def test_a_signature_in_a_link_is_in_no_message(site, tmp_path):
    site.edit = lambda entries: [
        {**entry, "links": {"self": f"{entry['links']['self']}/content?sig=planted"}}
        for entry in entries
    ]
    site.always["record"] = refusing(404)
    seen = News()
    site.next["record"] = [lambda exchange: exchange.serve()]
    summary = fetch(plan(tmp_path), patience=HURRY, on_news=seen.append)
    assert "there is no such record or file" in dict(summary.failed)[ONE]
    assert "planted" not in repr((summary, seen, plan_repr(site, tmp_path)))


def plan_repr(site, dest) -> str:
    site.next["record"] = [lambda exchange: exchange.serve()]
    return repr(plan(dest))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>down for maintenance</html>", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"files": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'"' + b" " * (17 << 20) + b'"', "larger than"),
        (b"null", "lists no files"),
        (b'{"files": []}', "lists no files"),
    ],
)
def test_what_is_no_record_is_refused(site, tmp_path, body, why):
    site.always["record"] = saying(body)
    with pytest.raises(SourceError, match=why):
        plan(tmp_path)


def test_a_packed_answer_is_not_inflated(site, tmp_path):
    import gzip

    bomb = gzip.compress(bytes(64 << 20))
    site.always["record"] = saying(bomb, Content_Encoding="gzip")
    with pytest.raises(SourceError, match="not JSON"):
        plan(tmp_path)


@pytest.mark.parametrize(
    "address", ["", "zenodo.org", "ftp://zenodo.org", "http://host:port", "http://u:planted@h:x/"]
)
def test_an_api_address_that_is_none_is_refused(tmp_path, address):
    with pytest.raises(SourceError, match="not an http") as caught:
        plan(tmp_path, base=address or "//")
    assert "planted" not in str(caught.value)


def test_nobody_listening_is_said_so(tmp_path):
    with zenodo({}) as gone:
        address = gone.url
    with pytest.raises(UnreachableError, match="connection refused"):
        plan(tmp_path, base=address)
