"""Promises of the pictures: which frames they are, how they are stored, what stands for none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import emodask
from emodask.clip_features import as_stored, features_of_bytes
from emodask.errors import FeatureError, JobError
from emodask.job import Job, parse_job
from emodask.media import gray_frames
from emodask.media.choosing import chosen
from emodask.media.limits import MAX_HELD
from emodask.media.video import Picture
from emodask.media.windows import windows
from emodask.sources.catalogue import Clip
from emodask.store import Row, Status, StoreAddress, prepare, verify, write_batch
from tests.media_files import moving_bars, mp4


def job(**settings: object) -> Job:
    wanted = {"height": 36, "width": 64, **settings}
    return parse_job(
        {
            "name": "pictures",
            "data": {"batch": 3},
            "features": {"pictures": wanted},
            "models": {"none": {"kind": "frame-cnn"}},
        }
    )


@pytest.fixture(scope="module")
def film() -> bytes:
    return mp4(moving_bars(45))


@given(st.integers(1, 500), st.integers(1, 60), st.integers(0, 60))
def test_pictures_are_frames_of_the_clip_in_order(n, frames, every):
    found = chosen(n, frames, every)
    assert len(found) == frames
    assert found == sorted(found)
    assert set(found) <= set(range(n))
    if every:
        assert found[0] == 0
        assert all(step in (0, every) for step in np.diff(found))
    else:
        assert abs(found[0] - (n - 1 - found[-1])) <= 1  # as far from either end


@pytest.mark.parametrize("gray", ["rgb", "luma"])
@pytest.mark.parametrize(("frames", "every"), [(3, 20), (5, 20), (2, 7), (1, 0), (4, 0), (50, 0)])
def test_pictures_are_decoded_frames_as_they_are(film, gray, frames, every):
    whole = gray_frames(film, height=36, width=64, gray=gray)
    found = gray_frames(film, height=36, width=64, gray=gray, frames=frames, every=every)
    np.testing.assert_array_equal(found, whole[chosen(len(whole), frames, every)])


def test_pictures_of_a_video_too_large_to_hold_are_the_same(film, monkeypatch):
    expected = gray_frames(film, height=36, width=64, frames=4, every=0)
    monkeypatch.setattr("emodask.media.video.MAX_HELD", 36 * 64 * 3 * 10)
    assert MAX_HELD > 36 * 64 * 3 * 45
    found = gray_frames(film, height=36, width=64, frames=4, every=0)
    np.testing.assert_array_equal(found, expected)


def test_gray_levels_are_stored_as_bytes_and_read_as_the_numbers_that_were_computed(
    corpus, tmp_path
):
    wanted = job(frames=2, every=9)
    store = tmp_path / "s.zarr"
    summary = emodask.extract(wanted, f"{corpus}/*.zip", store)
    assert (summary.done, summary.failures) == (24, ())
    stored = emodask.open(store).pictures
    assert stored.dtype == np.uint8
    assert dict(stored.sizes) == {"clip": 24, "picture": 2, "picture_y": 36, "picture_x": 64}
    clip = emodask.scan(f"{corpus}/*.zip").clips[5]
    computed, _ = features_of_bytes(wanted, clip.clip_id, "video", clip.media[0].read())
    one = stored.values[[str(name) for name in stored.clip_id.values].index(clip.clip_id)]
    assert computed["pictures"].dtype == np.float32
    np.testing.assert_array_equal(one.astype(np.float32), computed["pictures"])
    assert one.std() > 10
    assert verify(StoreAddress.of(store)).damage == ()


def test_a_clip_without_pictures_is_told_by_its_status_and_found_sound(tmp_path):
    address = StoreAddress.of(tmp_path / "s.zarr")
    clips = [Clip(f"01-0{e}-01-01-01-01", actor=1, emotion=e, channel=1) for e in range(1, 4)]
    wanted = job(frames=2)
    group = prepare(address, wanted, clips)
    there = Row(Status.DONE, {"pictures": np.full((2, 36, 64), 255, np.float32)})
    write_batch(group, 0, [there, Row(Status.FAILED, {}, "no such luck"), there])
    assert verify(address).damage == ()
    assert not emodask.open(address, status=None).pictures.values[1].any()
    assert (emodask.open(address).pictures.values == 255).all()


@pytest.mark.parametrize(("frames", "every"), [(1, 0), (4, 0), (3, 20)])
@pytest.mark.parametrize("gray", ["rgb", "luma"])
def test_a_video_of_one_frame_is_that_picture_as_often_as_is_asked_for(frames, every, gray):
    film = moving_bars(12)
    alone = mp4(film[:1])
    chosen_of = {"height": 36, "width": 64, "gray": gray, "frames": frames, "every": every}
    found = gray_frames(alone, **chosen_of)
    assert found.shape == (frames, 36, 64)
    assert (found == found[0]).all()
    first = gray_frames(mp4(film), **{**chosen_of, "frames": 1, "every": 1})[0]
    assert np.abs(found[0].astype(float) - first).mean() < 3  # both are encoded with losses
    (window,) = windows({"video": alone}, [Picture(36, 64, gray)], 3.0, 0.5)
    assert 0 < window.stop < 0.1  # a share of time that is not 0
    np.testing.assert_array_equal(window.gray_frames(**chosen_of), found)


def test_a_clip_of_one_frame_costs_its_row_only_where_motion_is_seen(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    (media / "02-01-01-01-01-01-01.mp4").write_bytes(mp4(moving_bars(1)))
    summary = emodask.extract(job(frames=3, every=0), str(media), tmp_path / "pictures.zarr")
    assert (summary.done, summary.failures) == (1, ())
    size = {"height": 36, "width": 64, "frames": 10}
    model = {"none": {"kind": "mlp"}}
    moving = parse_job({"name": "moving", "features": {"hog3d": size}, "models": model})
    summary = emodask.extract(moving, str(media), tmp_path / "hog3d.zarr")
    assert (summary.done, summary.failed) == (0, 1)
    assert "1 video frame(s) decoded; at least 2 are needed to see motion" in summary.failures[0][1]


def test_what_is_no_gray_level_is_refused_and_not_wrapped():
    for values in ([-1.0, 3.0], [0.0, 256.0]):
        with pytest.raises(FeatureError, match="gray levels go from 0 to 255"):
            as_stored(np.array(values, np.float32), "uint8", "pictures")
    with pytest.raises(JobError, match=r"features\.pictures\.precision: .*'uint8'"):
        job(precision="float16")
