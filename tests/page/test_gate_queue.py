"""Promises of the page's queue: no visitor's events stop it, pile up or outlast the visitor."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emodask.page.judges.judgement import Judgement
from emodask.page.judging import gate
from tests.page.gated import LIMIT, click, client_before, judged, sent
from tests.page.pretend_judge import PretendJudge


class Held(PretendJudge):
    """Judges once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def judge(self, file: Path, name: str) -> Judgement:
        """A verdict, later."""
        assert self.go.wait(60)
        return super().judge(file, name)


@pytest.fixture
def held() -> Any:
    """A client of an application that judges once it is let go, and its judge."""
    judge = Held()
    with client_before(judge) as client:
        yield client, judge
        judge.go.set()


def queue_of(client: Any) -> Any:
    """Gradio's queue of events."""
    return client.app.routes[-1].app._queue


def joined(client: Any, session: str, path: str | None = None) -> int:
    """The status of an answer to one event."""
    data = [None if path is None else {"path": path, "meta": {"_type": "gradio.FileData"}}]
    event = {"data": data, "fn_index": click(client), "session_hash": session}
    return int(client.post("/gradio_api/queue/join", json=event).status_code)


def test_sessions_that_are_forgotten_while_they_wait_do_not_stop_the_others(
    held: Any, clip: Path
) -> None:
    client, judge = held
    queue = queue_of(client)
    queue.pending_messages_per_session.max_size = 3
    (path,) = sent(client, clip.read_bytes()[:LIMIT]).json()
    for number in range(queue.max_thread_count + 10):
        assert joined(client, f"one{number}", path) == 200
    assert len(queue) > 0
    judge.go.set()
    assert "process_completed" in str(judged(client, path)[-1])
    assert len(queue.pending_event_ids_session) <= 4
    assert len(queue.event_analytics) == 1


def test_so_many_events_wait_at_a_time(
    held: Any, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = held
    queue = queue_of(client)
    assert 0 < queue.max_size < queue.pending_messages_per_session.max_size / 2
    monkeypatch.setattr(queue, "max_size", 3)
    (path,) = sent(client, clip.read_bytes()[:LIMIT]).json()
    statuses = [joined(client, f"one{n}", path) for n in range(queue.max_thread_count + 10)]
    assert statuses[-1] == 503


def test_a_session_that_does_not_read_its_news_gets_no_more(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = served
    monkeypatch.setattr(gate, "_MOST_UNREAD", 1)
    assert [joined(client, name) for name in ("one", "one", "two")] == [200, 503, 200]


class Reader:
    """Asks for the news of session "abc" as a browser does, until it leaves."""

    def __init__(self) -> None:
        self.told = b""
        self.gone = asyncio.Event()

    async def read(self, app: Any) -> None:
        """Read until the answer ends."""
        query = {"path": "/gradio_api/queue/data", "query_string": b"session_hash=abc"}
        await app(_scope("GET") | query, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.told += message.get("body", b"")


def _scope(method: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": method,
        "scheme": "http",
        "path": "/gradio_api/queue/join",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
    }


async def until(true: Callable[[], Any]) -> None:
    """Wait for something, but not for ever."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def test_readers_of_one_session_who_leave_leave_nothing(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = served
    monkeypatch.setattr(gate, "_LEAVING_SECONDS", 0.1)
    assert joined(client, "abc") == 200
    news = queue_of(client).pending_messages_per_session

    async def leave() -> list[str]:
        first = Reader()
        await first.read(client.app)
        assert b"close_stream" in first.told
        readers = [Reader() for _ in range(3)]
        answering = [asyncio.create_task(reader.read(client.app)) for reader in readers]
        await until(lambda: len(news["abc"]._getters) == len(readers))
        for reader in readers:
            reader.gone.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*answering)
        await asyncio.sleep(0)
        return [str(task.get_coro()) for task in asyncio.all_tasks()]

    assert not [task for task in client.portal.call(leave) if "heartbeat" in task]


@pytest.mark.parametrize(
    ("leaves", "stays", "waits"), [(True, 60, 60), (False, 2, 60), (False, 60, 2)]
)
def test_an_event_is_not_accepted_before_its_page_has_left_the_last_news(
    served: Any, monkeypatch: pytest.MonkeyPatch, leaves: bool, stays: float, waits: float
) -> None:
    """Or before so much time has passed."""
    client, _ = served
    monkeypatch.setattr(gate, "_LEAVING_SECONDS", stays)
    monkeypatch.setattr(gate, "_ACCEPTING_SECONDS", waits)
    number = click(client)
    event = {"data": [None], "fn_index": number, "session_hash": "abc"}

    async def asked() -> None:
        accepted: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": json.dumps(event).encode()}

        async def accept(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                accepted.append(message["status"])

        async def ask() -> None:
            await client.app(_scope("POST"), receive, accept)

        await ask()
        first, second = Reader(), Reader()
        reading = asyncio.create_task(first.read(client.app))
        await until(lambda: b"close_stream" in first.told)
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.2)
        assert accepted == [200]
        assert not reading.done()
        if leaves:
            first.gone.set()
        async with asyncio.timeout(10):
            await asking
        assert accepted == [200, 200]
        first.gone.set()
        await reading
        reading = asyncio.create_task(second.read(client.app))
        await until(lambda: b"close_stream" in second.told)
        second.gone.set()
        await reading
        assert b"process_completed" in second.told

    client.portal.call(asked)
