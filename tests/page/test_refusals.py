"""Promises to who sends a recording that is refused: the answer arrives, and says why."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from emodask.page import http_api
from emodask.page.judging import recordings
from emodask.page.server import make_app
from emodask.page.settings import PageSettings
from tests.page.app_server import running
from tests.page.pretend_judge import PretendJudge
from tests.page.test_http_api import ask, form
from tests.servers.processes import wait_until

pytest.importorskip("gradio")

LARGE = bytes(32 << 20)
"""More than sockets hold: who sends it waits until it is read."""

CLOSE = {"Connection": "close"}
"""What a server ends the connection for as soon as it has answered."""


@contextmanager
def served() -> Iterator[tuple[int, Any]]:
    """The whole application on a free port."""
    app = make_app(PretendJudge(), PageSettings(max_upload=2 * len(LARGE), seconds=60))
    with running(app) as port:
        yield port, app


def status(port: int, path: str, field: str, **headers: str) -> int:
    """Of the answer to a large recording, which is read once the whole of it is sent."""
    body, kind = form(LARGE, "a.wav", field)
    return int(ask(port, "POST", path, body, kind | CLOSE | headers)[0])


@pytest.mark.parametrize("path", ["/api/predict", "/gradio_api/upload", "/api/predict?pictures=zz"])
def test_a_form_that_cannot_be_read_is_refused_in_words(path: str) -> None:
    with served() as (port, _):
        nameless = {"Content-Type": "multipart/form-data"}
        assert status(port, path, "file", **nameless) == 422


@pytest.mark.parametrize(
    ("path", "field"), [("/api/predict", "file"), ("/gradio_api/upload", "files")]
)
def test_a_full_disk_is_told_to_who_sends_a_large_recording(
    path: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "arriving"
    target.symlink_to("/dev/full")
    full = nullcontext(target)
    monkeypatch.setattr(recordings.Recordings, "arriving", lambda _: full)
    with served() as (port, app):
        monkeypatch.setattr(app.state.uploads, "file", lambda: full)
        assert status(port, path, field) == 503


def test_as_many_recordings_as_may_be_are_told_to_who_sends_one_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recordings, "MOST", 0)
    with served() as (port, _):
        assert status(port, "/gradio_api/upload", "files") == 503


def test_a_busy_server_is_heard_and_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "_SPARE", 1 - PretendJudge.places)
    head = "POST /api/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    for name, value in (form(b"")[1] | CLOSE).items():
        head += f"{name}: {value}\r\n"
    with served() as (port, app), socket.create_connection(("127.0.0.1", port), 60) as slow:
        slow.sendall(head.encode() + b"\r\n--b")
        folder = app.state.uploads.path
        wait_until(lambda: any(path.is_file() for path in folder.iterdir()), "nothing arrives")
        assert status(port, "/api/predict", "file") == 503
        with socket.create_connection(("127.0.0.1", port), 60) as polite:
            polite.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
            assert polite.recv(1000).startswith(b"HTTP/1.1 503")
