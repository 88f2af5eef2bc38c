"""Promises of ``emodask serve`` to many at once: all get their own answer, and nothing piles up."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from emodask.page import client as client_module
from emodask.page.client import Client
from emodask.page.judges.judgement import Judgement
from tests.media_files import moving_bars, mp4, tone, wav
from tests.page.test_serve import address_of, command

SECONDS = float(os.environ.get("EMODASK_LOAD_SECONDS", "60" if os.environ.get("CI") else "20"))
CLIENTS = 20
LONGEST = 3
SLACK = 32 << 20
"""Bytes by which all processes together may hold more at the end than after the first third."""

FAILS = {"broken.mp4": "not-media", "text.mp4": "not-media", "long.wav": "too-long"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """For each client: a clip and a voice of a length of their own, and what has no verdict."""
    folder = tmp_path_factory.mktemp("load")
    film = mp4(moving_bars(30), sound=tone(1.0))
    spoilt = {
        "broken.mp4": film[:2000],
        "text.mp4": b"I am no recording at all.\n" * 40,
        "long.wav": wav(tone(LONGEST + 1.0)),
    }
    found: list[list[Path]] = []
    for number in range(CLIENTS):
        mine = {
            f"{number}-voice.wav": wav(tone(1.0 + number / 20)),
            f"{number}-talk.mp4": film,
            **{f"{number}-{name}": data for name, data in spoilt.items()},
        }
        for name, data in mine.items():
            (folder / name).write_bytes(data)
        found.append([folder / name for name in mine])
    yield found
    shutil.rmtree(folder)


def held(server: psutil.Process) -> tuple[int, dict[int, int]]:
    """Bytes of the server and of each of its judges."""
    judges = {child.pid: child.memory_info().rss for child in server.children(recursive=True)}
    return server.memory_info().rss, judges


@pytest.mark.timeout(SECONDS + 240)
def test_twenty_clients_get_their_own_answers_and_nothing_piles_up(
    page_bundles, recordings, tmp_path, monkeypatch
):
    turned_away = []
    wait = time.sleep
    monkeypatch.setattr(
        client_module.time, "sleep", lambda after: (turned_away.append(after), wait(after))
    )
    limits = ("--processes", 2, "--waiting", 8, "--max-seconds", LONGEST, "--seconds", 60)
    with command(
        page_bundles["both"], page_bundles["voice"], "--port", 0, *limits, TMPDIR=str(tmp_path)
    ) as process:
        address, _ = address_of(process)
        server = psutil.Process(process.pid)
        calm = Client(address)
        alone = {file.name: calm.predict(file) for mine in recordings for file in mine[:2]}
        assert all(verdict.problem is None for verdict in alone.values())
        assert len({verdict.seconds for name, verdict in alone.items() if "voice" in name}) == 20
        judges = set(held(server)[1])

        asked: Counter[str] = Counter()
        began = time.monotonic()

        def one_client(mine: list[Path]) -> list[Judgement]:
            patient = Client(address, patience=SECONDS + 120)
            answers = []
            turn = 0
            while time.monotonic() < began + SECONDS or turn < len(mine):
                file = mine[turn % len(mine)]
                asked[file.name] += 1  # names are one client's alone
                answers.append(patient.predict(file, pictures=turn % 3 == 0))
                turn += 1
            return answers

        sizes: list[tuple[float, int]] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.25):
                own, others = held(server)
                sizes.append((time.monotonic() - began, own + sum(others.values())))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                answers = [answer for mine in pool.map(one_client, recordings) for answer in mine]
        finally:
            done.set()
            watching.join()

        assert Counter(answer.name for answer in answers) == asked
        for answer in answers:
            name = answer.name.partition("-")[2]
            if name in FAILS:
                assert answer.problem is not None
                assert answer.problem.code == FAILS[name], answer.problem.text
            else:
                assert answer.as_dict() == alone[answer.name].as_dict()
        assert turned_away, "so many at once have to find the queue full"
        assert calm.health() == {**calm.health(), "status": "ok", "judges": 2}
        assert set(held(server)[1]) == judges, "a judge died"

        warm = max(size for at, size in sizes if SECONDS / 6 < at <= SECONDS / 3)
        last = max(size for at, size in sizes if at > SECONDS * 5 / 6)
        assert last < warm + SLACK, f"{warm >> 20} MiB have grown to {last >> 20}"
        (folder,) = tmp_path.glob("emodask-page-*")
        assert [path for path in folder.rglob("*") if path.is_file()] == []
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1]) == (0, "closed")
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
