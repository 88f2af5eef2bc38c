"""The application before a judge that pretends, and requests as its page sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emodask.page.server import make_app
from emodask.page.settings import PageSettings
from tests.page.pretend_judge import PretendJudge

LIMIT = 1 << 16


def client_before(judge: Any) -> Any:
    """A client of the whole application before a judge, to be entered."""
    app = make_app(judge, PageSettings(max_upload=LIMIT, seconds=60))
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture
def served() -> Any:
    """A client of the whole application, and its folder of recordings; none may be half there."""
    with client_before(PretendJudge()) as client:
        yield client, client.app.state.uploads.path


def sent(client: Any, data: bytes, name: str = "a.mp4", **more: Any) -> Any:
    return client.post("/gradio_api/upload", files={"files": (name, data)}, **more)


def click(client: Any) -> int:
    """Gradio's number of the page's first button."""
    config = client.get("/config").json()
    return next(one["id"] for one in config["dependencies"] if "click" in str(one["targets"]))


def judged(client: Any, path: str, with_meta: bool = True) -> list[dict[str, Any]]:
    """What an event of the page's first button says, as its own script asks it."""
    file: dict[str, Any] = {"path": path, "orig_name": "a.mp4"}
    if with_meta:
        file["meta"] = {"_type": "gradio.FileData"}
    event = {"data": [file], "fn_index": click(client), "session_hash": "abc", "trigger_id": None}
    if client.post("/gradio_api/queue/join", json=event).status_code == 422:
        return []
    said = []
    with client.stream("GET", "/gradio_api/queue/data?session_hash=abc") as news:
        for line in news.iter_lines():
            if line.startswith("data:"):
                said.append(json.loads(line[5:]))
                if said[-1]["msg"] in ("process_completed", "close_stream"):
                    break
    return said
