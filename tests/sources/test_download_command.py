"""Promises of ``emodask download``, as a process of its own: resume, exit codes, lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emodask import cli
from emodask.sources.download import folder
from tests.servers.object_stores import ObjectStore
from tests.servers.processes import wait_until
from tests.servers.zenodo import (
    Zenodo,
    changed,
    corrupt,
    redirecting,
    refusing,
    zenodo,
)
from tests.sources.conftest import AUDIO, FILES, ONE, TWO, files, whole

JUST_ONE = ("--modality", "video", "--actors", "1")
TOKEN = "planted-token"


class Started:
    """Commands as processes; all have ended when the test has."""

    def __init__(self, site: Zenodo) -> None:
        self._site = site
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "emodask", "download", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "COLUMNS": "80",
                "EMODASK_ZENODO_URL": self._site.url,
                "ZENODO_TOKEN": TOKEN,
            },
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=60)
        out = out or ""
        assert TOKEN not in out + err
        return process.returncode, out, err

    def run(self, *arguments: object) -> tuple[int, str, str]:
        return self.end(self.start(*arguments))

    def stop_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def command(site) -> Iterator[Started]:
    started = Started(site)
    yield started
    started.stop_all()


@pytest.fixture
def emodask(site, monkeypatch, capsys):
    """Run the command in this process: (exit code, standard output, standard error)."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("EMODASK_ZENODO_URL", site.url)
    monkeypatch.setenv("ZENODO_TOKEN", TOKEN)

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emodask", "download", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return code, out, err

    return run


def kept(dest: Path, name: str) -> int:
    part = dest / f"{name}.part"
    return part.stat().st_size if part.exists() else 0


def hold(site: Zenodo, command: Started, dest: Path, *more: object) -> subprocess.Popen[str]:
    """A command in the middle of a file: 200 000 of its bytes are there, and no more come."""
    site.next[ONE] = [changed(until=200_000, then="stall")]
    process = command.start(dest, "--yes", *JUST_ONE, *more)
    wait_until(lambda: kept(dest, ONE) == 200_000, "the part did not arrive")
    return process


def test_killed_in_the_middle_it_goes_on_and_asks_for_the_rest_alone(site, command, tmp_path):
    process = hold(site, command, tmp_path)
    process.kill()
    command.end(process)
    assert files(tmp_path)[f"{ONE}.part"] == FILES[ONE][:200_000]
    code, out, err = command.run(tmp_path, "--yes", *JUST_ONE)
    assert code == 0, err
    assert "100.0 kB in 1 file" in out
    assert [request.start for request in site.asked(ONE)] == [0, 200_000]
    assert files(tmp_path) == whole(ONE)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order_and_says_what_is_kept(site, command, tmp_path, number, code):
    process = hold(site, command, tmp_path)
    process.send_signal(number)
    found, out, err = command.end(process)
    assert found == code
    stopped = "stopped; what was committed is kept. Run the same command to go on"
    assert err == f"\nemodask: {stopped}\n"
    assert (f"whole files stay in {tmp_path}; partial files (.part) are kept" in out) == (
        number == signal.SIGINT
    )
    assert command.run(tmp_path, "--yes", *JUST_ONE)[0] == 0
    assert site.asked(ONE)[-1].start == 200_000
    assert files(tmp_path) == whole(ONE)


def test_two_at_once_in_one_folder_do_no_harm(site, command, tmp_path):
    first = hold(site, command, tmp_path)
    code, out, _ = command.run(tmp_path, "--yes", "--actors", "1-2")
    assert code == 1
    assert f"failed {ONE}" in out
    assert "another download is writing it" in out
    site.released.set()
    code, _, err = command.end(first)
    assert code == 0, err
    assert files(tmp_path) == whole(ONE, TWO, AUDIO)


def test_two_started_together_leave_whole_files(site, command, tmp_path):
    pair = [command.start(tmp_path, "--yes", "--actors", "1-3") for _ in range(2)]
    ends = [command.end(process) for process in pair]
    assert {end[0] for end in ends} <= {0, 1}
    assert command.run(tmp_path, "--yes", "--actors", "1-3")[0] == 0, ends
    assert files(tmp_path) == {name: data for name, data in FILES.items() if "Song" not in name}


def test_a_reader_that_goes_away_ends_it_without_a_traceback(site, command, tmp_path):
    process = command.start(tmp_path, "--yes")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None  # read no more
    code, _, err = command.end(process)
    assert code == 1
    assert "Traceback" not in err


def test_a_second_run_fetches_nothing_and_asks_nothing(site, emodask, tmp_path):
    assert emodask(tmp_path, "--yes")[0] == 0
    before = len(site.requests)
    code, out, err = emodask(tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("4 files there before, MD5 right\n")
    assert [request.name for request in site.requests[before:]] == ["record"]


def test_the_end_names_the_licence_and_the_paper(site, emodask, tmp_path):
    _, out, _ = emodask(tmp_path, "--yes", *JUST_ONE)
    said = " ".join(out.split())
    assert "1 file fetched, MD5 right" in said
    assert "CC BY-NC-SA 4.0" in said
    assert "Livingstone SR, Russo FA (2018)" in said
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80


def test_without_a_terminal_it_asks_for_yes_and_fetches_nothing(site, command, tmp_path):
    code, out, err = command.run(tmp_path / "new", *JUST_ONE)
    assert code == 2
    assert out.startswith(f"300.0 kB in 1 file to {tmp_path / 'new'}; ")
    assert out.rstrip().endswith("free")
    assert err == "emodask: there is no terminal to ask in; --yes goes on without asking\n"
    assert site.asked(ONE) == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("answer", "fetched"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_in_a_terminal_it_goes_on_when_told_to(
    site, emodask, tmp_path, monkeypatch, answer, fetched
):
    import io

    typed = io.StringIO(answer)
    typed.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", typed)
    code, out, _ = emodask(tmp_path, *JUST_ONE)
    assert code == 0
    assert "Go on? [y/N]" in out
    assert (ONE in files(tmp_path)) == fetched


def test_dry_run_lists_every_file_and_its_state_and_fetches_none(site, emodask, tmp_path):
    (tmp_path / TWO).write_bytes(FILES[TWO])
    (tmp_path / f"{ONE}.part").write_bytes(FILES[ONE][:100_000])
    code, out, _ = emodask(tmp_path, "--dry-run")
    assert code == 0
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert rows[ONE] == "300.0 kB 100.0 kB here"
    assert rows[TWO] == "300.0 kB there"
    assert rows[AUDIO] == "300.0 kB to fetch"
    assert "(1 file already there)" in out
    assert {request.name for request in site.requests} == {"record"}


def test_too_little_space_is_refused_before_it_asks(site, emodask, tmp_path, monkeypatch):
    monkeypatch.setattr(folder.Folder, "free", lambda place: 1000)
    code, _, err = emodask(tmp_path, *JUST_ONE)
    assert code == 1
    assert "300.0 kB are to be fetched and 1.0 kB are free; choose another place" in err
    assert site.asked(ONE) == []


def test_a_file_that_fails_is_named_the_others_kept_and_the_exit_code_1(site, emodask, tmp_path):
    site.always[ONE] = corrupt
    site.always[TWO] = refusing(404)
    code, out, _ = emodask(tmp_path, "--yes", "--actors", "1-2")
    assert code == 1
    assert f"failed {ONE}: its bytes have the MD5" in out
    assert f"failed {TWO}: " in out
    assert "1 file fetched, MD5 right; 2 files failed: run the same command to try again" in out
    assert files(tmp_path)[AUDIO] == FILES[AUDIO]
    assert ONE not in files(tmp_path)


def test_a_part_of_the_record_can_be_chosen(site, emodask, tmp_path):
    code, _, _ = emodask(
        *(tmp_path, "--yes", "--channel", "speech,song", "--modality", "video", "--actors", "1,3")
    )
    assert code == 0
    assert sorted(files(tmp_path)) == [
        "Video_Song_Actor_01.zip",
        "Video_Speech_Actor_01.zip",
        "Video_Speech_Actor_03.zip",
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--channel", "opera"], "channel is one of speech, song; found 'opera'"),
        (["--modality", ""], "modality is one of video, audio; found ''"),
        (["--actors", "0-3"], "actors are 1 to 24, such as 1-4,7; found [0]"),
        (["--actors", "all"], "found 'all'"),
        (["--record", "../x"], "a Zenodo record is a number, such as 1188976; found '../x'"),
        (["--storage-option", "x"], "--storage-option takes KEY=VALUE"),
    ],
)
def test_misuse_is_said_in_a_line_and_asks_nobody(site, emodask, tmp_path, arguments, why):
    code, out, err = emodask(tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert why in err
    assert len(err.splitlines()) == 1
    assert site.requests == []


@pytest.mark.parametrize("dest", ["", "https://example.org/x", "nope://x", "file"])
def test_a_destination_that_is_none_is_refused_as_misuse(
    site, emodask, tmp_path, monkeypatch, dest
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"mine")
    code, _, err = emodask(dest, "--yes")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert site.requests == []


def test_a_record_that_is_not_there_is_said_so(site, emodask, tmp_path):
    code, _, err = emodask(tmp_path, "--record", "5", "--yes")
    assert code == 2
    assert "/api/records/5: the server answers 404" in err
    assert "no such record" in err


def test_the_token_never_leaves_for_another_host_nor_shows(site, command, tmp_path):
    with zenodo(FILES) as elsewhere:
        site.always[ONE] = redirecting(f"{elsewhere.url}/api/records/1188976/files/{ONE}/content")
        elsewhere.always[ONE] = refusing(403)
        code, out, _ = command.run(tmp_path, "--yes", *JUST_ONE)
        assert code == 1
        assert "403" in out
        assert all("Authorization" not in request.headers for request in elsewhere.requests)
        assert len(elsewhere.requests) == 1
    assert site.asked(ONE)[0].headers["Authorization"] == f"Bearer {TOKEN}"


def events(err: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for line in err.splitlines():
        event = json.loads(line)
        found.setdefault(event["event"], []).append(event)
    return found


def test_log_json_says_all_of_it_as_events(site, command, tmp_path):
    site.next[ONE] = [corrupt]
    site.always[TWO] = refusing(404)
    code, out, err = command.run(tmp_path, "--yes", "--actors", "1-2", "--log-json")
    assert (code, out) == (1, "")
    said = events(err)
    (planned,) = said["download.planned"]
    assert planned["missing"] == sum(file["size"] for file in planned["files"])
    assert {file["name"] for file in planned["files"]} == {ONE, TWO, AUDIO}
    assert {event["file"] for event in said["file.done"]} == {ONE, AUDIO}
    assert [event["file"] for event in said["file.failed"]] == [TWO]
    assert [event["file"] for event in said["file.again"]] == [ONE]
    (finished,) = said["download.finished"]
    assert set(finished["fetched"]) == {ONE, AUDIO}
    assert "404" in finished["failed"][TWO]
    assert "CC BY-NC-SA" in finished["message"]


def test_log_json_of_a_stop_is_json_to_the_end(site, command, tmp_path):
    process = hold(site, command, tmp_path, "--log-json")
    process.send_signal(signal.SIGINT)
    code, out, err = command.end(process)
    assert (code, out) == (130, "")
    said = events(err)
    assert said["stopped"][0]["exit_code"] == 130
    assert "partial files (.part) are kept" in said["note"][0]["message"]


def test_a_bucket_is_a_destination_too(site, emodask, rclone: ObjectStore):
    dest = f"{rclone.url}/by-command"
    code, out, err = emodask(dest, "--yes", *JUST_ONE, *rclone.arguments())
    assert (code, err) == (0, "")
    assert out.startswith(f"300.0 kB in 1 file to {dest}\n")
    assert rclone.filesystem().cat_file(f"{dest}/{ONE}") == FILES[ONE]
    assert "1 file there before" in emodask(dest, *JUST_ONE, *rclone.arguments())[1]
