"""Promises to log collectors and batch systems: every line is JSON, every end has its code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.conftest import CommandLine, committed, family, wait_until
from tests.media_files import tone, wav, zip_of

NAME = "Actor_01/03-01-{:02d}-01-01-01-01.wav"


@pytest.fixture
def commands(tmp_path) -> Iterator[CommandLine]:
    started = CommandLine(tmp_path)
    yield started
    started.stop_all()


@pytest.fixture
def spline_job(tmp_path):
    path = tmp_path / "spline.toml"
    path.write_text(
        'name = "spline"\n[data]\nbatch = 2\n[features.spline]\nknots = 6\n'
        '[models.svc]\nkind = "svc"\n'
    )
    return path


@pytest.fixture
def wavs(tmp_path):
    files = {NAME.format(i): wav(tone(pitch=150 + 10 * i)) for i in range(1, 6)}
    return zip_of(tmp_path / "a.zip", {**files, NAME.format(6): b"RIFF, but not for long"})


def run(folder, *arguments, environment=None) -> tuple[int, str, list[dict]]:
    """Run a command with --log-json: exit code, standard output, and the events."""
    done = subprocess.run(
        [sys.executable, "-m", "emodask", *map(str, arguments), "--log-json"],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        timeout=240,
    )
    return done.returncode, done.stdout, parsed(done.stderr)


def parsed(text: str) -> list[dict]:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    for line in lines:
        assert list(line)[:4] == ["time", "level", "event", "message"]
    return lines


def named(events: list[dict], name: str) -> dict:
    (found,) = [event for event in events if event["event"] == name]
    return found


def test_a_run_with_a_failed_clip_on_real_workers_is_told_in_json_alone(wavs, spline_job, tmp_path):
    command = ("run", spline_job, "-s", wavs, "--out", "out", "--workers", 1)
    code, out, events = run(tmp_path, *command)
    assert (code, out) == (1, "")
    assert named(events, "cluster.connected")["workers"] == 1
    assert named(events, "cluster.connected")["dashboard"].startswith("http://127.0.0.1:")
    failed = named(events, "clip.failed")
    assert failed["clip"] == "01-06-01-01-01-01"
    assert failed["level"] == "warning"
    finished = named(events, "extract.finished")
    assert (finished["done"], finished["failed"]) == (5, 1)
    assert named(events, "run.finished")["exit_code"] == 1
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["exit_code"] == 1
    assert record["cluster"]["kind"] == "LocalCluster"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "spline", "--source", "s"), 2, "Missing option"),
        (("run", "spline", "--out", "o"), 2, "needs audio: pass --source"),
        (("run", "spline", "-s", "no.zip", "--out", "o", "--scheduler", "sync"), 2, "no.zip"),
        (("extract", "nope", "-s", "a", "--store", "s"), 2, "no such job"),
        (("extract", "spline", "-s", "a", "--store", "s", "--workers", "x"), 2, "--workers"),
        (("evaluate", "spline", "--store", "no.zarr", "--scheduler", "sync"), 2, "no.zarr"),
        (("predict", "no-bundle", "a.wav"), 2, "no-bundle"),
        (("fit", "spline", "--store", "no.zarr"), 2, "no.zarr"),
    ],
)
def test_misuse_is_one_error_event_with_the_exit_code(tmp_path, arguments, code, says):
    found, out, events = run(tmp_path, *arguments)
    assert (found, out) == (code, "")
    error = named(events, "error")
    assert error["exit_code"] == code
    assert says in error["message"]


def test_an_unexpected_error_is_an_event_and_its_traceback_too(wavs, spline_job, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import emodask.extraction as e\n"
        "def broken(*arguments):\n"
        "    import sys, warnings\n"
        "    warnings.warn('mind the gap')\n"
        "    print('plain words\\non two lines', file=sys.stderr)\n"
        "    raise RuntimeError('unheard of')\n"
        "e.plan_batches = broken\n"
    )
    code, _, events = run(
        tmp_path,
        *("extract", spline_job, "-s", wavs, "--store", "s.zarr", "--scheduler", "sync"),
        environment={"PYTHONPATH": str(tmp_path), "EMODASK_DEBUG": "1"},
    )
    assert code == 1
    error = named(events, "error")
    assert "unexpected RuntimeError: unheard of" in error["message"]
    assert "in broken" in error["traceback"]
    assert any("mind the gap" in event["message"] for event in events)
    printed = [event["message"] for event in events if event["event"] == "stderr"]
    assert printed == ["plain words", "on two lines"]


def test_json_results_stay_alone_on_standard_output(wavs, spline_job, tmp_path):
    out = tmp_path / "out"
    sync = ("--scheduler", "sync")
    run(tmp_path, "extract", spline_job, "-s", wavs, "--store", out, *sync)
    code, printed, events = run(tmp_path, "evaluate", spline_job, "--store", out, "--json", *sync)
    assert code in (0, 1)
    if code == 0:
        assert json.loads(printed)["protocols"]
    else:
        assert named(events, "error")["error"] == "EvaluationError"


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGINT, "in words"), (signal.SIGTERM, "in JSON")]
)
def test_a_stopped_run_says_so_leaves_its_record_and_no_process(
    commands, corpus, tmp_path, number, how
):
    import psutil

    from tests.conftest import SMALL
    from tests.test_extraction import as_toml

    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    out = tmp_path / "out"
    log = ["--log-json"] if how == "in JSON" else []
    process = commands.start(
        *("run", job, "-s", f"{corpus}/*.zip", "--out", out, "--workers", 1, *log)
    )
    wait_until(lambda: committed(out / "store.zarr") > 0, "a batch is committed")
    everyone = family(psutil.Process(process.pid))
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    code = 128 + number
    assert process.returncode == code, output
    if log:
        assert named(parsed(output), "stopped")["exit_code"] == code
    else:
        assert "stopped; what was committed is kept" in output
        assert "Traceback" not in output
    record = json.loads((out / "run.json").read_text())
    assert (record["state"], record["exit_code"]) == ("interrupted", code)
    assert record["clips"]["total"] == 24
    _, alive = psutil.wait_procs(everyone, timeout=30)
    assert not alive
