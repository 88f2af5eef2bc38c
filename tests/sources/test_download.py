"""Promises of a download: whatever the server does, whole and right files or a named failure."""

from __future__ import annotations

import datetime
import email.utils
import hashlib

import pytest

from emodask.errors import SourceError, UnreachableError
from emodask.sources.download import Patience, Selection, download, fetch
from tests.servers.zenodo import (
    busy,
    changed,
    corrupt,
    hang_up,
    refusing,
)
from tests.sources.conftest import (
    AUDIO,
    FILES,
    HURRY,
    ONE,
    TWO,
    files,
    plan,
    run,
    whole,
)


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
