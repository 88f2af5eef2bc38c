"""Promises of the HTTP API: typed answers, bounded uploads that are deleted, a password on all."""

from __future__ import annotations

import base64
import http.client
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext

import pytest

from emodask.errors import EmodaskError, UsageError
from emodask.page import server
from emodask.page.client import Client
from emodask.page.judges.judgement import Judgement
from emodask.page.server import make_app
from emodask.page.settings import PageSettings
from emodask.page.uploads import UploadFolder
from tests.page.app_server import running
from tests.page.test_judge import wait_until

LIMIT = 1 << 20


@contextmanager
def serving(judge, settings):
    """A server on a free port, without the page; gives its port and its application."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_mount_page", lambda *_: None)
        app = make_app(judge, settings)
    with running(app) as port:
        yield port, app
    assert not app.state.uploads.path.exists()


@pytest.fixture(scope="module")
def served(judge):
    settings = PageSettings(max_upload=LIMIT, max_seconds=10, seconds=60)
    with serving(judge, settings) as (port, app):
        yield port, app


@pytest.fixture
def uploads(served):
    """Where uploads lie; none may be left."""
    folder = served[1].state.uploads.path
    assert folder.stat().st_mode & 0o777 == 0o700
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def client(served, uploads):
    return Client(f"http://127.0.0.1:{served[0]}")


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def form(data: bytes, name: str = "a.mp4", field: str = "file") -> tuple[bytes, dict[str, str]]:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + b"\r\n--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def test_the_client_gets_what_the_judge_says(client, judge, recorded):
    found = client.predict(recorded / "talk.mp4", pictures=True)
    direct = judge.judge(recorded / "talk.mp4", "talk.mp4")
    assert found.as_dict() == direct.as_dict()
    assert dict(found.pictures) == dict(direct.pictures)
    assert client.predict(recorded / "talk.mp4").pictures == {}


def test_bundles_and_health_say_what_judges(client, judge):
    found = client.bundles()
    assert found["bundles"] == [card.as_dict() for card in judge.cards]
    assert found["limits"] == {
        "max_upload": LIMIT,
        "max_seconds": 10,
        "seconds": 60,
        "waiting": 8,
    }
    assert client.health()["status"] == "ok"


@pytest.mark.parametrize("name", ["broken.mp4", "text.mp4", "empty.mp4", "mute.mp4"])
def test_a_recording_without_a_verdict_is_a_422_with_its_problem(client, judge, recorded, name):
    assert client.predict(recorded / name) == judge.judge(recorded / name, name)


def test_the_status_and_shape_of_a_problem(served, uploads):
    status, _, body = ask(served[0], "POST", "/api/predict", *form(b"no recording"))
    assert status == 422
    assert body.startswith(b'{"problem":{"code":"not-media","text":"')


def test_too_large_a_file_is_a_413_before_it_has_arrived(served, client, uploads, tmp_path):
    (tmp_path / "large.mp4").write_bytes(bytes(LIMIT + 1))
    status, _, _ = ask(served[0], "POST", "/api/predict", *form(bytes(LIMIT + 1)))
    assert status == 413
    problem = client.predict(tmp_path / "large.mp4").problem
    assert problem is not None
    assert (problem.code, "1 MiB" in problem.text) == ("too-large", True)

    def endless():  # without a length, more and more
        body, _ = form(b"")
        yield body.partition(b"\r\n--b--")[0]
        while True:
            yield bytes(1 << 16)

    connection = http.client.HTTPConnection("127.0.0.1", served[0], timeout=60)
    with pytest.raises(OSError):  # the server ends the connection
        connection.request("POST", "/api/predict", endless(), form(b"")[1])
    connection.close()


def test_forms_without_a_file_are_refused(served, uploads):
    for body, headers in [
        form(b"x", field="other"),
        (b"x", {"Content-Type": "application/octet-stream"}),
        (b"--b\r\nnonsense", form(b"")[1]),
        (form(b"x")[0][:-12], form(b"")[1]),
    ]:
        status, _, answer = ask(served[0], "POST", "/api/predict", body, headers)
        assert status == 422, answer
        assert b"form" in answer


def test_names_of_uploads_lead_nowhere(served, uploads, recorded, judge):
    data = (recorded / "voice.wav").read_bytes()
    body, headers = form(data, name="../../../etc/passwd.wav")
    status, _, answer = ask(served[0], "POST", "/api/predict", body, headers)
    assert status == 200
    assert b'"name":"passwd.wav"' in answer


def test_uploads_that_break_off_are_deleted(served, uploads):
    with socket.create_connection(("127.0.0.1", served[0])) as connection:
        connection.sendall(
            b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + form(b"half")[0][:60]
        )
        wait_until(lambda: list(uploads.iterdir()))
    wait_until(lambda: not list(uploads.iterdir()))


def test_uploads_that_are_too_slow_are_a_408(judge):
    with serving(judge, PageSettings(seconds=0.3)) as (port, app):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(
                b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
        assert list(app.state.uploads.path.iterdir()) == []


def test_eight_at_once_lose_nothing(client, recorded):
    names = ["talk.mp4", "vp8.webm", "voice.wav", "text.mp4"] * 2
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: client.predict(recorded / name), names))
    assert [answer.name for answer in found] == names
    assert [answer.problem is None for answer in found] == [True, True, True, False] * 2
    assert found[0].as_dict() == found[4].as_dict()


def test_a_full_queue_is_a_503_that_says_when_to_ask_again(served, judge, recorded, uploads):
    (pid,) = judge.pids
    os.kill(pid, signal.SIGSTOP)
    body, headers = form((recorded / "voice.wav").read_bytes(), "voice.wav")
    with ThreadPoolExecutor(12) as pool:
        asked = [
            pool.submit(ask, served[0], "POST", "/api/predict", body, headers) for _ in range(12)
        ]
        wait_until(lambda: sum(future.done() for future in asked) == 3)
        os.kill(pid, signal.SIGCONT)
    answers = [future.result() for future in asked]
    turned_away = [answer for answer in answers if answer[0] == 503]
    assert len(turned_away) == 3
    assert all(head["retry-after"] == "10" for _, head, _ in turned_away)
    assert all(b'"busy"' in said for _, _, said in turned_away)
    assert sorted(answer[0] for answer in answers)[:9] == [200] * 9


def test_uploads_are_let_in_no_more_than_may_be_judged_wait_and_arrive(
    served, judge, recorded, uploads
):
    head = (
        b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + form(b"half")[0][:60]
    )
    body, headers = form((recorded / "voice.wav").read_bytes(), "voice.wav")
    with ExitStack() as slow:
        for number in range(judge.places + 8):
            address = ("127.0.0.1", served[0])
            slow.enter_context(socket.create_connection(address)).sendall(head)
            wait_until(lambda number=number: len(list(uploads.iterdir())) == number + 1)
        status, said, answer = ask(served[0], "POST", "/api/predict", body, headers)
        assert (status, said["retry-after"], b'"busy"' in answer) == (503, "10", True)
    wait_until(lambda: not list(uploads.iterdir()))
    assert ask(served[0], "POST", "/api/predict", body, headers)[0] == 200


def test_a_full_disk_is_a_503_too(served, client, recorded, tmp_path, monkeypatch):
    target = tmp_path / "arriving"
    target.symlink_to("/dev/full")
    full = nullcontext(target)
    monkeypatch.setattr(served[1].state.uploads, "file", lambda: full)
    problem = client.predict(recorded / "voice.wav").problem
    assert problem is not None
    assert (problem.code, "no room" in problem.text) == ("busy", True)
    body, headers = form((recorded / "voice.wav").read_bytes(), "voice.wav")
    assert ask(served[0], "POST", "/api/predict", body, headers)[0] == 503


def test_everything_asks_for_the_password(judge, recorded):
    with serving(judge, PageSettings(password="hush hush")) as (port, _):
        for path in ("/api/health", "/api/bundles", "/openapi.json", "/nothing"):
            status, headers, _ = ask(port, "GET", path)
            assert (status, headers["www-authenticate"].split()[0]) == (401, "Basic")
        wrong = [b"emodask:hush", b"other:hush hush", b"", b"\xff"]
        for said in [base64.b64encode(pair).decode() for pair in wrong] + ["%%%"]:
            assert ask(port, "GET", "/api/health", None, {"Authorization": f"Basic {said}"})[0] == (
                401
            )
        address = f"http://127.0.0.1:{port}"
        assert Client(address, "hush hush").predict(recorded / "voice.wav").problem is None
        with pytest.raises(EmodaskError, match="asks for a password"):
            Client(address, "other").health()


def test_answers_forbid_browsers_to_ask_other_hosts_and_to_frame_them(served):
    headers = ask(served[0], "GET", "/api/health")[1]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_openapi_describes_what_is_sent_and_answered(served):
    import json

    described = json.loads(ask(served[0], "GET", "/openapi.json")[2])
    assert {"Verdict", "Refusal", "Bundles", "Health", "StepAnswer"} <= set(
        described["components"]["schemas"]
    )
    predict = described["paths"]["/api/predict"]["post"]
    assert set(predict["responses"]) == {"200", "408", "413", "422", "503"}
    schema = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["file"]["format"] == "binary"
    verdict = described["components"]["schemas"]["Verdict"]["properties"]
    assert set(Judgement("a").as_dict()) | {"pictures"} == set(verdict)


def test_a_client_says_what_it_cannot_do(tmp_path):
    with pytest.raises(UsageError, match="begins with http"):
        Client("file:///etc/passwd")
    with pytest.raises(UsageError, match="no such file"):
        Client("http://127.0.0.1:9").predict(tmp_path / "absent.mp4")
    with pytest.raises(EmodaskError, match="does not answer"):
        Client("http://127.0.0.1:9").health()


@pytest.mark.parametrize(
    "address", ["http://emodask:hush@127.0.0.1:9", "http://hush@127.0.0.1:9", "ftp://a:hush@b"]
)
def test_a_client_takes_no_password_within_an_address_and_does_not_show_it(address):
    with pytest.raises(UsageError, match="pass password=") as refused:
        Client(address)
    assert "hush" not in str(refused.value)


def test_a_client_sends_its_password_nowhere_else():
    asked = []

    async def elsewhere(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        asked.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    with running(elsewhere) as other:

        async def sending_on(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            there = f"http://localhost:{other}/api/health?key=secret".encode()
            headers = [(b"location", there)]
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

        with running(sending_on) as port:
            told = rf"sends on to http://localhost:{other}/api/health; pass that address"
            with pytest.raises(EmodaskError, match=told):
                Client(f"http://127.0.0.1:{port}", "hush").health()
    assert asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_asks_no_proxy_for_this_machine(served, host, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert Client(f"http://{host}:{served[0]}").health()["status"] == "ok"


def test_the_folder_of_uploads_is_gone_when_it_is_closed():
    folder = UploadFolder()
    with folder.file() as file:
        file.write_bytes(b"x")
    assert not file.exists()
    folder.close()
    assert not folder.path.exists()


def test_settings_that_cannot_be_meant_are_refused():
    for wrong in ({"port": 70000}, {"password": ""}, {"max_upload": 0}, {"seconds": 0.0}):
        with pytest.raises(UsageError):
            PageSettings(**wrong)
    assert "hush" not in repr(PageSettings(password="hush"))
