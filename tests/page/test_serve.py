"""Promises of ``emodask serve``: it says where it is, ends cleanly, and refuses in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from emodask.page.client import Client
from tests.conftest import ROOT
from tests.page.test_judge import wait_until


@contextmanager
def command(*arguments, **variables):
    """``emodask serve`` in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emodask", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "300", **variables},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address_of(process) -> tuple[str, str]:
    """Where it serves, and what it said before."""
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"serving (http://\S+)", line):
            return found[1], said
    raise AssertionError(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_judges_and_ends_cleanly(page_bundles, recorded, tmp_path, number):
    with command(page_bundles["voice"], "--port", 0, TMPDIR=str(tmp_path)) as process:
        address, said = address_of(process)
        assert "small: svc" in said
        client = Client(address)
        assert client.predict(recorded / "voice.wav").problem is None
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        assert err.splitlines()[-1] == "closed"
        assert "Traceback" not in err
        assert not list(tmp_path.glob("emodask-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_open_page_and_recordings_being_judged_hold_its_end_up_in_no_way(
    page_bundles, recorded, tmp_path, number
):
    bundle = page_bundles["voice"]
    with command(bundle, "--port", 0, "--seconds", 3600, TMPDIR=str(tmp_path)) as process:
        address, _ = address_of(process)
        (judge,) = children_of(process)
        os.kill(judge, signal.SIGSTOP)  # it judges for as long as we like
        with (
            urllib.request.urlopen(f"{address}/gradio_api/heartbeat/abc", timeout=60) as page,
            ThreadPoolExecutor(2) as pool,
        ):
            assert page.readline() == b"data: ALIVE\n"
            client = Client(address)
            asked = [pool.submit(client.predict, recorded / "voice.wav") for _ in range(2)]
            size = (recorded / "voice.wav").stat().st_size
            uploads = "emodask-page-*/tmp*"
            wait_until(lambda: sum(f.stat().st_size for f in tmp_path.glob(uploads)) == 2 * size)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            problems = [future.result().problem for future in asked]
    assert (process.returncode, out, err) == (0, "", "closed\n")
    assert ["being closed" in problem.text for problem in problems if problem] == [True, True]
    assert not list(tmp_path.glob("emodask-*"))


def test_the_page_is_served_with_the_password_and_without_other_hosts(page_bundles, tmp_path):
    with command(
        page_bundles["voice"], "--port", 0, EMODASK_PASSWORD="hush", TMPDIR=str(tmp_path)
    ) as process:
        address, _ = address_of(process)
        for judge in children_of(process):  # it reads what strangers send
            assert b"hush" not in Path(f"/proc/{judge}/environ").read_bytes()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address)
        request = urllib.request.Request(address, headers=Client(address, "hush")._headers)
        with urllib.request.urlopen(request) as page:
            policy, text = page.headers["content-security-policy"], page.read().decode()
    assert "gradio" in text
    assert "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval';" in policy
    assert "://" not in policy
    loaded = re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//([^/"'>\s]*)""", text)
    assert [host for host in loaded if host not in address] == []


def test_a_port_that_is_taken_is_said_in_one_line(page_bundles):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command(page_bundles["voice"], "--port", port) as process:
            _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == (
        f"emodask: port {port} of 127.0.0.1 is taken by another program; choose another with "
        "--port, or 0 for any that is free\n"
    )


def test_what_is_no_bundle_is_said_in_one_line(tmp_path):
    with command(tmp_path, "--port", 0) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.splitlines()[-1].startswith("emodask: ")
    assert "not a bundle" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["uvicorn", "fastapi", "gradio"])
def test_without_the_extra_it_says_what_to_install(tmp_path, name):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{name!r}] = None\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    with command(tmp_path, PYTHONPATH=path) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"({name}): pip install 'emodask[page]'" in err


def test_a_host_that_others_reach_without_a_password_is_warned_of(page_bundles):
    with command(page_bundles["voice"], "--port", 0, "--host", "0.0.0.0") as process:
        _, said = address_of(process)
        assert "warning: 0.0.0.0 can be reached by others" in said
    with command(page_bundles["voice"], "--port", 0, "--host", "0.0.0.0", EMODASK_PASSWORD="x") as (
        process
    ):
        _, said = address_of(process)
        assert "warning" not in said


def test_judges_end_with_a_server_that_is_killed(page_bundles):
    with command(page_bundles["voice"], "--port", 0) as process:
        address_of(process)
        children = children_of(process)
        assert children
        process.kill()
        process.wait()
        wait_until(lambda: not any(_runs(pid) for pid in children))


def children_of(process) -> list[int]:
    """Its judges."""
    found = Path("/proc").glob(f"{process.pid}/task/*/children")
    return [int(pid) for file in found for pid in file.read_text().split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_log_json_every_line_is_one_event_also_those_of_libraries(
    page_bundles, recorded, number
):
    with command(page_bundles["voice"], "--log-json", "--host", "0.0.0.0", "--port", 0) as process:
        events = [json.loads(process.stderr.readline())]
        while events[-1]["event"] != "serve.started":
            events.append(json.loads(process.stderr.readline()))
        port = int(events[-1]["address"].rpartition(":")[2])
        assert Client(f"http://127.0.0.1:{port}").predict(recorded / "voice.wav").problem is None
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"no request\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    events += map(json.loads, err.splitlines())
    assert [event["event"] for event in events] == [
        "note",
        "note",
        "warning",
        "serve.started",
        "log",
        "serve.finished",
    ]
    levels = ["info", "info", "warning", "info", "warning", "info"]
    assert [event["level"] for event in events] == levels
    assert "no password" in events[2]["message"]
    assert (events[4]["logger"], "Invalid HTTP" in events[4]["message"]) == ("uvicorn.error", True)


def test_with_log_json_a_refusal_is_one_event(tmp_path):
    with command(tmp_path, "--port", 0, "--log-json") as process:
        _, err = process.communicate(timeout=60)
    last = json.loads(err.splitlines()[-1])
    assert process.returncode == 2
    assert (last["event"], last["exit_code"], last["error"]) == ("error", 2, "BundleError")
    assert "not a bundle" in last["message"]
