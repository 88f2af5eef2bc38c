"""Promises of windows: what a clip cut there would hold, decoded once, in bounded memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from emodask.errors import MediaError
from emodask.media import gray_frames, mono_samples
from emodask.media import video as video_module
from emodask.media.video import Picture
from emodask.media.windows import windows
from tests.media_files import moving_bars, mp4, tone, wav

PICTURES = [Picture(18, 32), Picture(36, 64, "luma")]
AS_RGB = {"height": 18, "width": 32, "gray": "rgb"}
AS_LUMA = {"height": 36, "width": 64, "gray": "luma"}


@pytest.fixture(scope="module")
def talk():
    return mp4(moving_bars(75), sound=tone(2.5))


def test_windows_hold_what_a_clip_cut_there_would(talk):
    rgb = gray_frames(talk, height=18, width=32)
    luma = gray_frames(talk, **AS_LUMA)
    sound = mono_samples(talk, rate=48_000)
    found = list(windows({"video": talk, "audio": talk}, PICTURES, 1.0, 0.5))
    spans = [(round(w.start, 3), round(w.stop, 3)) for w in found]
    assert spans[:4] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5)]
    for window in found[:4]:
        first, last = round(window.start * 30), round(window.stop * 30)
        assert np.array_equal(window.gray_frames(**AS_RGB), rgb[first:last])
        assert np.array_equal(window.gray_frames(**AS_LUMA), luma[first:last])
        assert len(window.gray_frames(**AS_RGB, frames=10)) == 10
        cut = sound[round(window.start * 48_000) : round(window.stop * 48_000)]
        assert np.array_equal(window.mono_samples(rate=48_000), cut)
        assert np.array_equal(
            window.mono_samples(rate=8000),
            mono_samples(wav(cut, subtype="FLOAT"), rate=8000),
        )


def test_a_window_as_long_as_the_recording_is_the_whole_of_it(talk):
    (window,) = windows({"video": talk, "audio": talk}, PICTURES, 10.0, 0.5)
    assert window.start == 0
    assert window.stop == pytest.approx(len(mono_samples(talk, rate=48_000)) / 48_000)
    assert np.array_equal(
        window.gray_frames(**AS_RGB, frames=50), gray_frames(talk, **AS_RGB, frames=50)
    )
    assert np.array_equal(window.mono_samples(rate=22_050), mono_samples(talk, rate=22_050))


def test_each_frame_is_decoded_and_scaled_once(talk, monkeypatch):
    scaled = []
    original = video_module.Planes.of
    monkeypatch.setattr(
        video_module.Planes, "of", lambda self, frame: scaled.append(1) or original(self, frame)
    )
    assert len(list(windows({"video": talk}, PICTURES[:1], 1.0, 0.1))) == 16
    assert len(scaled) == 75


@pytest.mark.parametrize(("length", "step"), [(1.0, 0.4), (0.7, 1.3), (0.3, 0.9), (2.4, 2.0)])
def test_the_last_window_is_whole_and_ends_with_the_recording(length, step):
    sound = wav(tone(2.5), rate=48_000)
    found = list(windows({"audio": sound}, [], length, step))
    assert found[-1].stop == pytest.approx(2.5)
    assert [len(w.samples) for w in found] == [round(length * 48_000)] * len(found)
    starts = [w.start for w in found]
    assert starts == sorted(set(starts))
    assert starts[:-1] == pytest.approx([i * step for i in range(len(starts) - 1)])


def test_windows_may_begin_at_every_twentieth_frame(talk):
    found = list(windows({"video": talk}, PICTURES[:1], 1.0, every=20))
    assert [w.start for w in found] == pytest.approx([0, 20 / 30, 40 / 30, 1.5])
    assert {len(w.planes) for w in found} == {30}


def test_a_track_that_ends_before_the_other_is_seen_to_cover_less():
    short = mp4(moving_bars(30), sound=tone(3.0))
    found = list(windows({"video": short, "audio": short}, PICTURES[:1], 1.0, 1.0))
    assert [round(w.covered["video"], 2) for w in found] == [1, 0, 0]
    assert {round(w.covered["audio"], 2) for w in found} == {1}


def test_a_wav_that_does_not_know_its_length_is_read_to_its_end():
    data = wav(tone(4.0), rate=48_000)
    declared = data.find(b"data") + 4
    streamed = data[:declared] + struct.pack("<I", 0x7FFFF000) + data[declared + 4 :]
    found = list(windows({"audio": streamed}, [], 1.0, 1.0))
    assert [round(w.stop, 3) for w in found] == [1, 2, 3, 4]


def test_time_stamps_that_leap_are_refused(talk, monkeypatch):
    monkeypatch.setattr(video_module, "LONGEST_GAP", 0.01)
    with pytest.raises(MediaError, match=r"time stamps leap from .* s; the file is damaged"):
        list(windows({"video": talk}, PICTURES, 1.0, 1.0))


def test_frames_of_a_window_that_take_too_much_memory_are_refused(talk, monkeypatch):
    monkeypatch.setattr("emodask.media.windows.MAX_HELD", 20 * 18 * 32 * 3)
    with pytest.raises(MediaError, match="windows of 1 s of this video take more memory"):
        list(windows({"video": talk}, PICTURES[:1], 1.0, 1.0))


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path):
    peaks = []
    for seconds in (4, 16):
        file = tmp_path / f"{seconds}.mp4"
        file.write_bytes(mp4(moving_bars(30 * seconds, 90, 160)))
        tracemalloc.start()
        count = sum(1 for _ in windows({"video": file}, [Picture(90, 160)], 1.0, 0.5))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == 2 * seconds - 1
    assert peaks[1] < 1.3 * peaks[0]


_HOUR = """
import resource, sys
from pathlib import Path
from emodask.media.video import Picture
from emodask.media.windows import windows
list(windows({"audio": Path(sys.argv[1])}, [], 3.0, 3.0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(len(w.samples) > 0 for w in windows({"audio": Path(sys.argv[2])}, [], 3.0, 3.0))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def sparse_wav(path, seconds, rate=48_000):
    """A wav of silence that takes no room on disk."""
    size = 2 * rate * seconds
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt ")
        file.write(struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16))
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in KiB on Linux alone")
def test_an_hour_of_sound_takes_no_more_memory_than_a_minute(tmp_path):
    files = [sparse_wav(tmp_path / "minute.wav", 60), sparse_wav(tmp_path / "hour.wav", 3600)]
    done = subprocess.run(
        [sys.executable, "-c", _HOUR, *map(str, files)], capture_output=True, text=True, check=True
    )
    count, grown = map(int, done.stdout.split())
    assert count == 1200
    assert grown < 20 << 10  # KiB; the file is 330 MiB


def test_windows_far_apart_hold_no_frames_between_them(talk, monkeypatch):
    monkeypatch.setattr("emodask.media.windows.MAX_HELD", 50 * 18 * 32 * 3)
    found = [round(w.start, 3) for w in windows({"video": talk}, PICTURES[:1], 0.2, None, 60)]
    assert found == [0, 2.0, 2.3]
