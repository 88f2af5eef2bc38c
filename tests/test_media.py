"""Promises of decoding: what decodes counts, equal to the plain chain, and bad media is refused."""

from __future__ import annotations

import gc
import zipfile

import av
import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emodask.errors import MediaError
from emodask.media import gray_frames, interpolate_frames, mono_samples, rgb_to_gray
from emodask.media import video as video_module
from emodask.media.header import header
from tests.hostile.making import turned, video
from tests.media_files import moving_bars, mp4, tone, wav
from tests.oracles import frames as oracle

SIZE = {"height": 36, "width": 64}


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(2), st.just(3))),
    st.integers(1, 12),
)
def test_interpolation_equals_the_plain_formula_for_any_counts(frames, count):
    assert np.array_equal(interpolate_frames(frames, count), oracle.interpolated(frames, count))


@given(arrays.arrays(np.uint8, (2, 3, 4, 5)))
def test_gray_equals_the_plain_formula_and_keeps_equal_colours_equal(rgb):
    gray = rgb_to_gray(rgb)
    assert gray.dtype == np.float32
    np.testing.assert_allclose(gray, oracle.gray(np.moveaxis(rgb, 1, -1)), atol=2e-5)


@pytest.mark.parametrize("size", [(72, 128), (64, 36), (38, 66), (50, 90)])
def test_rgb_frames_equal_the_plain_chain(size):
    data = mp4(moving_bars(14, *size))
    height, width = (min(wanted, there) for wanted, there in zip((36, 64), size, strict=True))
    found = gray_frames(data, height=height, width=width, frames=9)
    rgb = oracle.rgb_frames(data, height, width, exact=True)
    plain = oracle.gray(oracle.interpolated(rgb, 9))
    np.testing.assert_allclose(found, plain, atol=2e-5)


def test_frames_half_the_size_equal_those_of_opencv():
    data = mp4(moving_bars(14, 72, 128))
    found = gray_frames(data, **SIZE, frames=9)
    plain = oracle.gray(oracle.interpolated(oracle.rgb_frames(data, **SIZE), 9))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain, atol=2e-5)


def test_real_frames_equal_the_plain_chain(ravdess):
    with zipfile.ZipFile(ravdess / "Video_Speech_Actor_01.zip") as archive:
        data = archive.read("Actor_01/02-01-04-01-02-01-01.mp4")
    found = gray_frames(data, height=240, width=426, frames=50)
    plain = oracle.gray(oracle.interpolated(oracle.rgb_frames(data, 240, 426, exact=True), 50))
    assert found.shape == (50, 240, 426)
    np.testing.assert_allclose(found, plain, atol=2e-5)
    opencv = oracle.gray(oracle.interpolated(oracle.rgb_frames(data, 240, 426), 50))
    difference = np.abs(found - opencv)
    assert difference.max() < 1.0001  # a level, where OpenCV's sums in float32 round otherwise
    assert (difference > 2e-5).mean() < 1e-3
    luma = gray_frames(data, height=240, width=426, frames=50, gray="luma")
    assert luma.dtype == np.uint8
    assert np.corrcoef(luma.ravel(), found.ravel())[0, 1] > 0.99


def test_the_number_of_frames_is_that_of_frames_that_decode(ravdess):
    with zipfile.ZipFile(ravdess / "Video_Speech_Actor_01.zip") as archive:
        data = archive.read("Actor_01/02-01-01-01-01-01-01.mp4")
    assert len(gray_frames(data, **SIZE)) == 98  # the container declares 99


@pytest.mark.parametrize(("height", "width", "rate"), [(50, 34, 7), (24, 200, 60), (36, 64, 30)])
def test_odd_sizes_and_frame_rates_give_the_size_asked_for(height, width, rate):
    data = mp4(moving_bars(8, height, width), rate)
    assert gray_frames(data, **SIZE, frames=5).shape == (5, 36, 64)
    assert gray_frames(data, **SIZE, gray="luma").shape == (8, 36, 64)


def test_wav_samples_equal_librosa_load(tmp_path):
    stereo = np.stack([tone(), 0.5 * tone(pitch=90)], axis=1)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(stereo))
    expected, _ = librosa.load(path, sr=22_050)
    np.testing.assert_allclose(mono_samples(path.read_bytes(), rate=22_050), expected, atol=1e-6)


def test_the_sound_track_of_an_mp4_is_that_of_the_wav():
    samples = tone(1.0)
    track = mono_samples(mp4(moving_bars(30), sound=samples), rate=48_000)
    assert abs(track.size - samples.size) < 4096
    assert np.corrcoef(track[: samples.size], samples[: track.size])[0, 1] > 0.98


def test_only_as_much_sound_is_decoded_as_is_asked_for():
    assert mono_samples(wav(tone(2.0)), rate=8000, seconds=0.5).size == 4000
    assert mono_samples(mp4(None, sound=tone(2.0)), rate=8000, seconds=0.5).size == 4000


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"RIFF....WAVE", wav(tone())[:30]])
def test_what_is_not_media_is_refused(data):
    with pytest.raises(MediaError):
        mono_samples(data, rate=8000)
    with pytest.raises(MediaError):
        gray_frames(data, **SIZE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (mp4(None, sound=tone(0.5)), "no video stream"),
        (wav(tone(0.5)), "no video stream"),
        (mp4(moving_bars(1)), r"1 video frame\(s\) decoded; at least 2"),
    ],
)
def test_video_that_shows_no_motion_is_refused(data, message):
    with pytest.raises(MediaError, match=message):
        gray_frames(data, **SIZE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (mp4(moving_bars(5)), "no sound stream"),
        (wav(np.zeros(0, np.float32)), "zero samples"),
        (wav(np.full(100, np.nan, np.float32), subtype="FLOAT"), "not finite"),
        (wav(tone(0.1), rate=100), "100 Hz"),
    ],
)
def test_sound_that_is_none_is_refused(data, message):
    with pytest.raises(MediaError, match=message):
        mono_samples(data, rate=8000)


def test_media_longer_than_allowed_is_refused():
    with pytest.raises(MediaError, match=r"longer than 0\.2 s"):
        gray_frames(mp4(moving_bars(30)), **SIZE, max_seconds=0.2)
    for data in (wav(tone(2.0)), mp4(None, sound=tone(2.0))):
        with pytest.raises(MediaError, match=r"longer than 0\.5 s"):
            mono_samples(data, rate=8000, max_seconds=0.5)


def test_every_truncation_of_a_video_is_refused_or_loses_few_frames():
    data = mp4(moving_bars(24))
    counts = []
    for length in range(0, len(data), max(1, len(data) // 25)):
        try:
            counts.append(len(gray_frames(data[:length], **SIZE)))
        except MediaError:
            counts.append(0)
    assert counts[0] == 0
    assert all(count == 0 or count >= 12 for count in counts)


@pytest.mark.parametrize("gray", ["rgb", "luma"])
@pytest.mark.parametrize("frames", [3, 9, 24, 40])
def test_a_video_too_long_to_hold_gives_the_same_frames(monkeypatch, gray, frames):
    data = mp4(moving_bars(24))
    whole = gray_frames(data, **SIZE, frames=frames, gray=gray)
    monkeypatch.setattr(video_module, "MAX_HELD", 5 * 36 * 64 * 3)
    assert np.array_equal(gray_frames(data, **SIZE, frames=frames, gray=gray), whole)


def test_a_video_too_long_to_hold_is_refused_where_all_frames_are_wanted(monkeypatch):
    monkeypatch.setattr(video_module, "MAX_HELD", 5 * 36 * 64 * 3)
    with pytest.raises(MediaError, match=r"more than 5 frames of 64x36 pixels"):
        gray_frames(mp4(moving_bars(24)), **SIZE)


def test_frames_are_freed_as_soon_as_their_planes_are_taken():
    data = mp4(moving_bars(20))
    gc.collect()
    gc.disable()
    try:
        gray_frames(data, height=36, width=64)
        left = [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    finally:
        gc.enable()
    assert left == []


@pytest.mark.parametrize("gray", ["rgb", "luma"])
def test_portrait_video_of_a_phone_comes_out_upright(gray):
    shown = np.ascontiguousarray(np.rot90(moving_bars(8, 64, 36), 1, (1, 2)))
    recorded = turned(mp4(shown), 0, 1, -1, 0)
    upright = gray_frames(mp4(moving_bars(8, 64, 36)), height=64, width=36, gray=gray)
    found = gray_frames(recorded, height=64, width=36, gray=gray).astype(float)
    assert found.shape == upright.shape
    assert np.abs(found - upright).mean() < 6


@pytest.mark.parametrize(
    ("codec", "container", "pixels"),
    [("rawvideo", "avi", "gray"), ("rawvideo", "avi", "bgr24"), ("ffv1", "matroska", "yuv444p")],
)
def test_luma_follows_gray_whatever_the_layout_in_memory(codec, container, pixels):
    data = video(moving_bars(6, 36, 50), codec, container, pixels)
    luma = gray_frames(data, **SIZE, gray="luma")
    assert np.corrcoef(luma.ravel(), gray_frames(data, **SIZE).ravel())[0, 1] > 0.98


@pytest.mark.parametrize("size", [2**31 - 1, 5_000, 20_000])
def test_a_wav_shorter_than_it_declares_is_refused(size):
    whole = wav(tone(0.1, 8000), 8000)
    lie = whole[:40] + size.to_bytes(4, "little") + whole[44:]
    if size >= 0x7FFF0000:  # what programs write that cannot seek back
        assert mono_samples(lie, rate=8000).size == 800
    else:
        with pytest.raises(MediaError, match=f"declares {size} bytes of sound and 1600 are there"):
            mono_samples(lie, rate=8000)


def test_a_truncated_video_is_never_taken_for_a_shorter_one():
    data = mp4(moving_bars(24))
    for length in range(1, len(data), 97):
        with pytest.raises(MediaError):
            gray_frames(data[:length], **SIZE)


def test_a_box_that_ends_where_it_begins_declares_nothing():
    assert header(b"\0\0\0\x08ftyp\0\0\0\x08mdhd") is None
