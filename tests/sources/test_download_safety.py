"""Promises about who is talked to: the token stays with the API, what is no record is refused."""

from __future__ import annotations

import gzip

import pytest

from emodask.errors import SourceError, UnreachableError, UsageError
from emodask.sources.download import fetch
from tests.servers.zenodo import (
    redirecting,
    refusing,
    saying,
    zenodo,
)
from tests.sources.conftest import (
    FILES,
    HURRY,
    ONE,
    News,
    files,
    plan,
    run,
    whole,
)


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
