"""Promises of the server to browsers' people: other names and other pages get no answer."""

from __future__ import annotations

import asyncio
import http.client
import socket

import pytest

from emodask.errors import EmodaskError, UsageError
from emodask.page.client import Client
from emodask.page.hosts import HostGuard
from emodask.page.server import make_app
from emodask.page.settings import PageSettings
from tests.page.app_server import running
from tests.page.pretend_judge import PretendJudge
from tests.page.test_http_api import ask, form, serving

PROXIED = PageSettings(
    host="0.0.0.0", allow_hosts=("localhost", "Emotions.example.org", "192.0.2.7")
)


@pytest.fixture(scope="module")
def local(judge):
    with serving(judge, PageSettings(max_seconds=10)) as (port, _):
        yield port


@pytest.fixture(scope="module")
def proxied(judge):
    with serving(judge, PROXIED) as (port, _):
        yield port


@pytest.fixture(scope="module")
def everywhere(judge):
    with serving(judge, PageSettings(host="0.0.0.0")) as (port, _):
        yield port


def status(port: int, method: str = "GET", **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    code, _, said = ask(port, method, "/api/health", None, named)
    return code, said.decode()


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1:7860", "127.1.2.3", "[::1]:7860", "localhost."]
)
def test_on_loopback_its_names_are_answered(local, host):
    assert status(local, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:7860", "0.0.0.0", "10.0.0.1", "127.0.0.1.evil"]
)
def test_on_loopback_a_name_that_was_made_to_point_here_is_not_answered(local, host):
    code, said = status(local, Host=host)
    assert (code, "answers to localhost." in said, "--allow-host" in said) == (421, True, True)


def test_a_name_that_a_proxy_is_said_to_be_asked_by_is_a_name_too(local):
    assert status(local, Host="localhost", X_Forwarded_Host="evil.example")[0] == 421
    assert status(local, Host="localhost", X_Forwarded_Host="localhost:7860")[0] == 200


@pytest.mark.parametrize("host", ["localhost@evil.example", "a/b", "[::1", ""])
def test_what_is_no_host_is_a_400(local, host):
    assert status(local, Host=host)[0] == 400


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"evil.example"]])
def test_two_hosts_and_none_are_a_400(hosts):
    scope = {"type": "http", "headers": [(b"host", host) for host in hosts]}
    assert guarded(scope)[0]["status"] == 400


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:1", "http://127.0.0.1", "null"]
)
def test_pages_of_other_hosts_and_ports_are_refused_wherever_it_listens(
    local, everywhere, method, origin
):
    code, said = status(local, method, Host=f"localhost:{local}", Origin=origin)
    assert (code, "only this one's own" in said) == (403, True)
    assert status(everywhere, method, Host="some.name", Origin=origin)[0] == 403


def test_its_own_page_and_programs_may_ask(local, everywhere, recorded):
    body, headers = form((recorded / "voice.wav").read_bytes(), "voice.wav")
    for origin in ({}, {"Origin": f"http://127.0.0.1:{local}"}):
        assert ask(local, "POST", "/api/predict", body, {**headers, **origin})[0] == 200
    assert Client(f"http://localhost:{local}").predict(recorded / "voice.wav").problem is None
    assert status(everywhere, Host="some.name", Origin="https://some.name")[0] == 200


def test_allowed_names_are_answered_besides_loopback_and_no_others(proxied):
    for host in ("emotions.example.org", "192.0.2.7:8080", f"localhost:{proxied}", "127.0.0.1"):
        assert status(proxied, Host=host)[0] == 200
    code, said = status(proxied, Host="some.name")
    assert (code, "to localhost, 192.0.2.7, emotions.example.org." in said) == (421, True)


def test_behind_a_proxy_pages_of_an_allowed_name_may_ask_whatever_host_it_passes_on(proxied):
    for host in ("emotions.example.org", f"127.0.0.1:{proxied}"):
        assert status(proxied, Host=host, Origin="https://emotions.example.org:8443")[0] == 200
        assert status(proxied, Host=host, Origin="https://evil.example")[0] == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_an_allowed_name_of_loopback_lets_no_other_port_of_it_ask(judge, name):
    settings = PageSettings(host="0.0.0.0", allow_hosts=(name,))
    with serving(judge, settings) as (port, _):
        assert status(port, Host=f"{name}:{port}", Origin=f"http://{name}:3000")[0] == 403
        for host in (f"{name}:{port}", f"{name}:7860"):  # a proxy passes on what it is asked
            assert status(port, Host=host, Origin=f"http://{host}")[0] == 200


def guarded(scope) -> list:
    """What a guard on loopback, or what stands behind it, sends."""
    said: list = []

    async def send(message):
        said.append(message)

    async def reached(scope, receive, send):
        await send("reached")

    asyncio.run(HostGuard(reached, local=True)(scope, None, send))
    return said


def test_sockets_of_other_pages_are_refused():
    def asked(origin: bytes) -> list:
        headers = [(b"host", b"localhost:80"), (b"origin", origin)]
        return guarded({"type": "websocket", "headers": headers})

    assert asked(b"http://evil.example") == [{"type": "websocket.close", "code": 1008}]
    assert asked(b"http://localhost:80") == ["reached"]


def test_the_client_says_which_names_it_answers_to(local, monkeypatch):
    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: found("127.0.0.1", *rest))
    with pytest.raises(EmodaskError, match=r"421: This page answers to localhost\."):
        Client(f"http://evil.example:{local}").health()


@pytest.mark.parametrize("name", ["https://a.example", "a.example:80", "", "a b", "x@y", "a/b"])
def test_names_that_are_none_are_refused_at_the_start(name):
    with pytest.raises(UsageError, match="without a port"):
        PageSettings(allow_hosts=(name,))
    PageSettings(allow_hosts=("a.example", "fd00::5", "[fd00::5]"))


def test_gradios_page_works_behind_it_and_is_closed_to_other_pages(browser, clip):
    settings = PageSettings(max_seconds=10)
    with running(make_app(PretendJudge(), settings)) as port:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            for path in ("/", "/config", "/gradio_api/info"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", path, None, headers)
                answer = connection.getresponse()
                assert answer.status == (421 if "Host" in headers else 403)
                connection.close()
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"http://localhost:{port}/")
        page.locator("#clip input[type=file]").set_input_files(clip)
        page.locator("#clip video").wait_for()
        page.get_by_role("button", name="Judge this clip").click()
        page.locator(".top-two").wait_for()
        page.wait_for_function("document.querySelector('.verdict video').readyState > 0")
        context.close()
