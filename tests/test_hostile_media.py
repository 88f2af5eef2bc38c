"""Promises about hostile media: named failures, bounded memory, no crash, nothing else opened."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import emodask
from emodask.errors import ClusterError, MediaError
from emodask.extraction import extract
from emodask.isolation import Decoder
from emodask.job import Job, parse_job
from emodask.media import gray_frames, mono_samples
from emodask.sources.catalogue import scan
from emodask.store import Status
from tests.conftest import ROOT, SMALL
from tests.hostile import Case, corpus, write
from tests.hostile.making import plain, voice
from tests.media_files import mp4, tone, zip_of

MEMORY = 300 << 20
"""Bytes that reading the whole corpus may take beyond what the libraries need."""


@dataclass(frozen=True)
class Outcomes:
    """What each case came to when a process of its own read it."""

    code: int
    stderr: str
    started: list[str]
    results: dict[str, dict[str, Any]]
    base: int
    folder: Path

    def decoded(self, case: Case, path: Path) -> np.ndarray:
        return np.load(path.with_suffix(path.suffix + ".npy"))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    return write(tmp_path_factory.mktemp("hostile"), corpus()).files


@pytest.fixture(scope="module")
def outcomes(files, tmp_path_factory) -> Outcomes:
    folder = tmp_path_factory.mktemp("outcomes")
    lines = [f"{case.name}\t{case.kind}\t{files[case.name]}" for case in corpus()]
    (folder / "list").write_text("\n".join(lines))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.hostile.reading", str(folder / "list")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    said = [json.loads(line) for line in ran.stdout.splitlines()]
    return Outcomes(
        code=ran.returncode,
        stderr=ran.stderr,
        started=[line["started"] for line in said if "started" in line],
        results={line["name"]: line for line in said if "name" in line},
        base=said[0]["base"] if said else 0,
        folder=folder,
    )


def test_the_corpus_holds_200_distinct_inputs_that_must_fail():
    cases = corpus()
    assert len({case.name for case in cases}) == len(cases)
    assert len({case.clip_id for case in cases}) == len(cases)
    assert len({case.data for case in cases if case.fails}) >= 300
    assert len({case.data for case in cases if not case.fails and not case.either}) >= 70


def test_no_input_ends_the_process_that_reads_it(outcomes):
    assert outcomes.code == 0, (outcomes.started[-1:], outcomes.stderr[-2000:])
    assert list(outcomes.results) == [case.name for case in corpus()]


def test_every_bad_input_fails_for_its_own_reason(outcomes):
    wrong = [
        (case.name, case.fails, found["reasons"])
        for case in corpus()
        if case.fails
        for found in [outcomes.results[case.name]]
        if found["works"] or not re.search(case.fails, " ".join(found["reasons"]))
    ]
    assert wrong == []


def test_every_unusual_input_gives_what_it_should(outcomes, files):
    wrong = []
    for case in corpus():
        if case.fails or case.either:
            continue
        found = outcomes.results[case.name]
        path = files[case.name]
        if not found["works"]:
            wrong.append((case.name, found["reasons"]))
        elif case.check and not case.check(np.load(path.with_suffix(path.suffix + ".npy"))):
            wrong.append((case.name, "decoded to something else"))
    assert wrong == []


def test_a_flipped_bit_in_a_zip_never_changes_what_is_read(outcomes, files):
    expected = mono_samples(voice(), rate=16_000)
    flipped = [case for case in corpus() if case.name.startswith("zip-flip")]
    read = [case for case in flipped if outcomes.results[case.name]["works"]]
    for case in read:
        samples = np.load(files[case.name].with_suffix(".zip.npy"))
        assert np.array_equal(samples, expected), case.name
    assert len(read) < len(flipped)


def test_memory_stays_bounded_whatever_files_declare(outcomes):
    before = outcomes.base
    worst = []
    for name, found in outcomes.results.items():
        if found["peak"] > before + (50 << 20):
            worst.append((name, (found["peak"] - before) >> 20))
        before = max(before, found["peak"])
    assert before - outcomes.base < MEMORY, worst


def test_reasons_hold_nothing_that_garbles_a_terminal(outcomes):
    reasons = [reason for found in outcomes.results.values() for reason in found["reasons"]]
    assert [reason for reason in reasons if not reason.isprintable()] == []
    assert max(map(len, reasons)) < 1000


def test_duplicates_in_a_zip_are_named(tmp_path):
    name = "03-01-06-01-02-01-12.wav"
    zip_of(tmp_path / "a.zip", {f"one/{name}": voice(), f"two/{name}": b"another"})
    catalogue = scan(str(tmp_path / "a.zip"))
    assert [problem.what for problem in catalogue.problems] == ["duplicate"]
    assert len(catalogue) == 1


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that nobody should ask, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(plain())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def _playlists(target: str) -> dict[str, bytes]:
    segment = f"#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n"
    hls = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n{segment}"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    sdp = (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 50004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    return {
        "hls": hls.encode(),
        "hls-behind-a-blank": b"\n" + hls.encode(),
        "concat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "dash": dash.encode(),
        "sdp": sdp.encode(),
        "asx": f'<asx><entry><ref href="{target}"/></entry></asx>'.encode(),
        "imf": f"<AssetMap><Path>{target}</Path></AssetMap>".encode(),
    }


def test_a_file_that_names_others_is_not_a_media_file(tmp_path, requests):
    url, asked = requests
    (tmp_path / "real.mp4").write_bytes(mp4(None, sound=tone(0.2)))
    for target in (f"{url}/real.mp4", str(tmp_path / "real.mp4"), f"file:{tmp_path}/real.mp4"):
        for data in _playlists(target).values():
            with pytest.raises(MediaError, match="not a media file"):
                gray_frames(data, height=36, width=64)
            with pytest.raises(MediaError, match="not a media file"):
                mono_samples(data, rate=8000)
    assert asked == []


def test_a_playlist_behind_the_first_bytes_of_a_video_opens_nothing(tmp_path, requests):
    url, asked = requests
    for name, data in _playlists(f"{url}/real.mp4").items():
        for start in (plain()[:40], b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"FLV\1", b"OggS"):
            with pytest.raises(MediaError):
                gray_frames(start + data, height=36, width=64)
            with pytest.raises(MediaError):
                mono_samples(start + data, rate=8000)
        assert asked == [], name


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(200), "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "a PNG picture"),
        (b"GIF89a" + bytes(200), "a GIF picture"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\3\4" + bytes(200), "a zip archive"),
        (b"\x1f\x8b\x08" + bytes(20), "a gzip file"),
        (b"<!DOCTYPE html><html>404 Not Found</html>", "HTML or XML"),
        (b"\n  <html>", "HTML or XML"),
        (b'{"error": "not found"}', "starts with 7b 22"),
        (b"version https://git-lfs.github.com/spec/v1\n", "starts with 76 65"),
        (b"\x7fELF\2\1\1" + bytes(50), "starts with 7f 45 4c 46"),
        (b"BM" + bytes(50), "starts with 42 4d"),
        (bytes(5000), "nothing but zeros"),
        (b"\0", "nothing but zeros"),
        (b"x", "starts with 78"),
        (b"", "the file is empty"),
        (np.random.default_rng(1).bytes(3000), "starts with"),
    ],
)
def test_what_a_file_is_instead_is_said(data, looks):
    for read in (
        lambda: gray_frames(data, height=36, width=64),
        lambda: mono_samples(data, rate=8000),
    ):
        with pytest.raises(MediaError, match=looks):
            read()


@pytest.fixture(scope="module")
def cheap_job() -> Job:
    """Both modalities, one batch a dozen clips, whatever emotion."""
    return parse_job({**SMALL, "data": {"batch": 12}})


def test_hostile_clips_cost_their_rows_and_no_worker(
    cheap_job, tmp_path_factory, tmp_path, monkeypatch, capfd
):
    from distributed import Client, LocalCluster

    cases = [case for case in corpus() if not case.either]
    source = tmp_path_factory.mktemp("source")
    written = write(source, cases)
    catalogue = scan(str(source))
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        summary = extract(cheap_job, str(source), tmp_path / "s.zarr", client)
        assert client.run(os.getpid) == pids
    assert (summary.pending, summary.errors, summary.stopped) == (0, (), "")
    said = capfd.readouterr()
    assert "Traceback" not in said.err + said.out
    assert "restart" not in said.err.lower()

    reasons = dict(summary.failures)
    assert not [reason for reason in reasons.values() if "the decoder" in reason], "it died"
    assert not [reason for reason in reasons.values() if "took longer" in reason]
    rows = emodask.open(tmp_path / "s.zarr", status=None)
    status = dict(zip(rows.clip_id.values.tolist(), rows.status.values.tolist(), strict=True))
    assert all(status[clip_id] == Status.DONE for clip_id in written.good)

    problems = [f"{problem.where}: {problem.reason}" for problem in catalogue.problems]
    wrong = []
    for case in cases:
        file = written.files[case.name].name
        if not case.fails:
            expected = Status.INCOMPLETE if case.kind == "zip" else Status.DONE
            if status.get(case.clip_id) != expected:
                wrong.append((case.name, reasons.get(case.clip_id)))
            continue
        said_of_it = [problem for problem in problems if file in problem]
        row = reasons.get(case.clip_id, "")
        if row and not row.startswith(f"{file}"):
            wrong.append((case.name, row))
        if not re.search(case.fails, " ".join([*said_of_it, row])):
            wrong.append((case.name, said_of_it, row, status.get(case.clip_id)))
    assert wrong == []


def test_a_decoder_that_ends_by_itself_is_not_said_to_have_crashed():
    job = SimpleNamespace(settings=dict)  # settings of no job: it ends with Python's traceback
    for _ in range(3):
        with pytest.raises(ClusterError, match=r"it ended the decoder \(exit code 1\)"):
            Decoder(job, computes=False).decoded("x", b"")
