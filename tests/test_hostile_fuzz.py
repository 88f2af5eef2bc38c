"""Promise of decoding and of zips: mutated bytes give a valid result or a named failure.

Mutants are read in a process of their own, so that one which crashes a codec is reported with its
bytes, and the tests go on. ``EMODASK_FUZZ=5000`` reads that many of each kind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.hostile.archives import zipped
from tests.hostile.making import bars, fragmented, moov_first, plain, sound, video, voice
from tests.hostile.reading import MUTANT
from tests.media_files import mp4, tone

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Reader:
    """A process that reads mutants, started again when one ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read = 0
        self.crashed: list[Path] = []
        self._process: subprocess.Popen[str] | None = None

    def outcome(self, kind: str, data: bytes) -> dict[str, object]:
        """What a mutant came to; an ``AssertionError`` with the place of its bytes if not said."""
        path = self.folder / f"mutant-{len(self.crashed)}{'.zip' if kind == 'zip' else ''}"
        path.write_bytes(data)
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.reading", "-"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.read += 1
        try:
            self._process.stdin.write(f"{MUTANT}\t{kind}\t{path}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.close()
            self.crashed.append(path)
            raise AssertionError(f"{path}: {kind} ended its reader with {code}")
        return dict(json.loads(line))

    def close(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.communicate()
        return process.returncode


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Iterator[Reader]:
    made = Reader(tmp_path_factory.mktemp("mutants"))
    yield made
    made.close()


@cache
def seeds() -> dict[str, list[bytes]]:
    """Valid files to mutate."""
    return {
        "video": [
            plain(),
            moov_first(),
            fragmented(),
            mp4(bars(), sound=tone(0.3)),
            video(bars(), "mjpeg", "avi", "yuvj420p"),
            video(bars(), "libvpx", "webm"),
        ],
        "sound": [voice(), mp4(None, sound=tone(0.3)), sound("flac", "flac"), sound("aac", "adts")],
        "zip": [zipped("a/03-01-06-01-02-01-12.wav")],
    }


@st.composite
def mutants(draw: Callable, kind: str) -> bytes:
    """A valid file with some of its bytes flipped, cut, overwritten, doubled or exchanged."""
    data = bytearray(draw(st.sampled_from(seeds()[kind])))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        action = draw(st.sampled_from(["flip", "number", "cut", "drop", "double", "splice"]))
        length = draw(st.integers(1, 64))
        if not data:
            break
        if action == "flip":
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif action == "number":
            order = draw(st.sampled_from(["big", "little"]))
            data[place : place + 4] = draw(st.sampled_from(_NUMBERS)).to_bytes(4, order)
        elif action == "cut":
            del data[max(place, len(data) // 2) :]
        elif action == "drop":
            del data[place : place + length]
        elif action == "double":
            data[place:place] = data[place : place + length]
        else:
            other = draw(st.sampled_from(seeds()[kind]))
            data[place : place + length] = other[place : place + length]
    return bytes(data)


def _named(found: dict[str, object]) -> bool:
    reasons = found["reasons"]
    assert isinstance(reasons, list)
    return bool(found["works"]) or all(reason and reason.isprintable() for reason in reasons)


_EXAMPLES = int(os.environ.get("EMODASK_FUZZ", "150"))
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("kind", ["video", "sound", "zip"])
def test_mutated_media_is_read_or_refused_by_name(reader, kind):
    @_SETTINGS
    @given(mutants(kind))
    def each(data):
        assert _named(reader.outcome(kind, data))

    each()
    assert reader.read >= _EXAMPLES
    assert reader.crashed == []
