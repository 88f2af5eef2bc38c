"""Promises of the page's server: it takes and gives recordings, and nothing else of Gradio's."""

from __future__ import annotations

import json
import socket
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from emodask.page.judging import recordings as module
from emodask.page.judging.recordings import NoRoom, Recordings
from tests.page.gated import LIMIT, click, judged, sent


@pytest.mark.parametrize("with_meta", [True, False])
@pytest.mark.parametrize("place", ["file", "address", "folder"])
def test_visitors_cannot_have_files_of_the_machine_read(
    served: Any, clip: Path, tmp_path: Path, place: str, with_meta: bool
) -> None:
    client, folder = served
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(clip.read_bytes())
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    named = {
        "file": str(secret),
        "address": f"http://127.0.0.1:{port}/secret.mp4",
        "folder": str(folder),
    }[place]
    said = json.dumps(judged(client, named, with_meta))
    assert "most likely" not in said
    for spelt in (named, urllib.parse.quote(named, safe="")):
        assert client.get(f"/gradio_api/file={spelt}").status_code == 404
        assert client.get(f"/gradio_api/file/{spelt}").status_code == 404
    assert not [one for one in folder.rglob("*") if one.is_file()]
    listening.settimeout(0)
    with pytest.raises(BlockingIOError):
        listening.accept()
    listening.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/api/predict"),
        ("POST", "/gradio_api/call/predict"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/stream/a"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/reset"),
        ("GET", "/gradio_api/heartbeat/" + "a" * 65),
        ("GET", "/gradio_api/queue/data?session_hash=a&session_hash=b"),
        ("GET", "/gradio_api/queue/data?session_hash=nobody"),
        ("GET", "/gradio_api/startup-events"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/vibe-code/"),
        ("GET", "/monitoring/summary"),
        ("GET", "/monitoring"),
        ("GET", "/static/../../routes.py"),
        ("GET", "/static/%2e%2e/%2e%2e/routes.py"),
        ("DELETE", "/"),
    ],
)
def test_what_the_page_does_not_ask_for_is_not_there(served: Any, method: str, path: str) -> None:
    assert served[0].request(method, path).status_code in (404, 405)


def test_the_page_itself_is_there(served: Any) -> None:
    client, _ = served
    for path in ("/", "/theme.css", "/config"):
        assert client.get(path).status_code == 200


def test_a_recording_is_received_and_played_with_ranges(served: Any) -> None:
    client, folder = served
    (path,) = sent(client, b"0123456789", "my talk: 1.mp4").json()
    assert Path(path).is_relative_to(folder)
    assert Path(path).name == "my talk_ 1.mp4"
    address = f"/gradio_api/file={urllib.parse.quote(path)}"
    whole = client.get(address)
    assert (whole.content, whole.headers["content-type"]) == (b"0123456789", "video/mp4")
    part = client.get(address, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    (page,) = sent(client, b"<script>alert(1)</script>", "talk.html").json()
    answer = client.get(f"/gradio_api/file={urllib.parse.quote(page)}")
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("field", "size", "status", "words"),
    [
        ("files", LIMIT + 1, 413, "larger than"),
        ("files", LIMIT + (2 << 20), 413, "larger than"),
        ("other", 10, 422, "no whole file"),
    ],
)
def test_what_is_refused_leaves_nothing(
    served: Any, field: str, size: int, status: int, words: str
) -> None:
    client, folder = served
    answer = client.post("/gradio_api/upload", files={field: ("a.mp4", bytes(size))})
    assert answer.status_code == status
    assert words in answer.text
    assert not list((folder / "page").iterdir())


def test_of_many_files_one_is_kept(served: Any) -> None:
    client, folder = served
    files = [("files", (f"{number}.mp4", bytes(1000))) for number in range(5)]
    assert len(client.post("/gradio_api/upload", files=files).json()) == 1
    assert len(list((folder / "page").iterdir())) == 1


def test_an_upload_is_judged_as_the_page_asks_for_it(served: Any, clip: Path) -> None:
    client, _ = served
    (path,) = sent(client, clip.read_bytes()[:LIMIT]).json()
    assert "process_completed" in str(judged(client, path)[-1])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"fn_index": 99}, 422),
        ({"fn_index": -1}, 422),
        ({"fn_index": True}, 422),
        ({"session_hash": ""}, 422),
        ({"session_hash": "a" * 65}, 422),
        ({"session_hash": "a<gradio-sep>b"}, 422),
        ({"session_hash": None}, 422),
        ({"data": None}, 422),
        ({"data": [{"path": 3}]}, 422),
        ({"data": [[{"deep": {"path": "/etc/hostname"}}]]}, 422),
        ({"data": ["x" * (64 << 10)]}, 413),
    ],
)
def test_events_are_the_pages_own_and_small(
    served: Any, change: dict[str, Any], status: int
) -> None:
    client, _ = served
    event = {"data": [None], "fn_index": click(client), "session_hash": "abc"}
    assert client.post("/gradio_api/queue/join", json=event).status_code == 200
    assert client.post("/gradio_api/queue/join", json={**event, **change}).status_code == status


def test_events_of_no_page_are_refused(served: Any) -> None:
    client, _ = served
    config = client.get("/config").json()["dependencies"]
    other = {one["id"] for one in config if "unload" in str(one["targets"])}
    assert other
    for number in other:
        event = {"data": [], "fn_index": number, "session_hash": "abc"}
        assert client.post("/gradio_api/queue/join", json=event).status_code == 422
    for body in (b"[]", b"{", b"[" * 10_000):
        assert client.post("/gradio_api/queue/join", content=body).status_code == 422

    def pieces() -> Any:
        yield b"{}"

    assert client.post("/gradio_api/queue/join", content=pieces()).status_code == 411


def test_a_form_of_very_many_parts_is_refused(served: Any) -> None:
    client, folder = served
    many = [("other", ("a", b"x"))] * 30
    assert client.post("/gradio_api/upload", files=many).status_code == 422
    assert not list((folder / "page").iterdir())


def test_there_is_room_for_so_many_and_those_unshown_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    found = Recordings(tmp_path / "page")

    def arrive() -> Path:
        with found.arriving() as target:
            target.write_bytes(b"x")
            return found.keep(target, "a.mp4")

    shown, other = arrive(), arrive()
    with found.opened("one"):
        found.show("one", "video", str(shown))
        for page in ("never", "opened"):  # a recording is one page's alone
            found.show(page, "video", str(shown))
            found.show(page, "video", None)
        found.show("never", "video", str(other))
        with pytest.raises(NoRoom), found.arriving():
            pass
        monkeypatch.setattr(module, "UNSHOWN_SECONDS", -1.0)
        third = arrive()
        assert (shown.exists(), other.exists(), third.exists()) == (True, False, True)
    assert (shown.exists(), third.exists()) == (False, True)


def test_so_many_pages_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 1)
    found = Recordings(tmp_path / "page")
    with found.opened("one"), pytest.raises(NoRoom), found.opened("two"):
        pass
    with found.opened("two"):
        pass


def test_a_recording_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    found = Recordings(tmp_path / "page")
    with found.arriving() as target:
        target.write_bytes(b"half of it")
    assert not list(found.folder.iterdir())


def test_what_comes_for_a_page_that_was_left_is_deleted_with_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Recordings(tmp_path / "page")
    with found.arriving() as target:
        target.write_bytes(b"x")
        file = found.keep(target, "a.mp4")
    with found.opened("one"):
        pass
    found.show("one", "video", str(file))  # on its way when the page was left
    assert found.held(str(file)) == file
    monkeypatch.setattr(module, "UNSHOWN_SECONDS", -1.0)
    with found.arriving():
        pass
    assert found.held(str(file)) is None
    assert not list(found.folder.iterdir())
