"""Promises of faces: found, followed through gaps and false boxes, cropped within the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import FeatureError
from emodask.features.faces import blazeface
from emodask.features.faces.cropping import crops
from emodask.features.faces.detectors import Face, detector
from emodask.features.faces.following import curve, follow, look, speaker
from tests.features.speakers import moved


def telling(boxes: Sequence[Sequence[Face]]) -> Callable[[np.ndarray], list[Face]]:
    """A detector that finds in a frame whose levels are all k what is listed as number k."""
    return lambda picture: list(boxes[int(picture[0, 0])])


def numbered(n: int) -> np.ndarray:
    """Frames whose levels are their numbers."""
    return np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 60, 80), np.uint8)


def test_a_face_that_moves_is_found_and_followed(video):
    steps = np.linspace(0, 100, 20).astype(int)
    frames = moved(video, steps)
    haar = detector("haar")
    assert [len(faces) > 0 for _, faces in look(frames, haar, 5)] == [True] * 5
    x, y, size = follow(frames, haar, "haar", 5)
    assert np.abs((x - x.mean()) - (steps - steps.mean())).max() < 15
    assert np.ptp(y) < 15
    still, _, alike = follow(moved(video, np.zeros(20, int)), haar, "haar", 5)
    assert np.ptp(still) < 10
    assert size == pytest.approx(alike, rel=0.1)
    assert 160 - alike / 2 < still.mean() < 160 + alike / 2


def test_the_same_frames_give_the_same_boxes(video):
    frames = moved(video, np.zeros(20, int))
    one, other = (follow(frames.astype(kind), detector("haar"), "haar", 5) for kind in ("u1", "f4"))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_where_there_is_no_face_it_is_said_what_was_looked_at_and_what_to_try():
    with pytest.raises(
        FeatureError,
        match=r"no face found in any of 12 frames of 80x60 pixels that haar looked at; "
        r'crop = "none" .*decode_height.*detector = "blazeface"',
    ):
        follow(numbered(12), detector("haar"), "haar", 5)


def test_a_face_in_one_frame_alone_is_found_and_stands_for_all():
    boxes: list[list[Face]] = [[] for _ in range(12)]
    boxes[7] = [Face(30, 20, 16)]  # between those that are looked at first
    x, y, size = follow(numbered(12), telling(boxes), "haar", 5)
    assert (set(x), set(y), size) == ({30.0}, {20.0}, 16.0)


def test_a_gap_is_bridged_and_the_ends_hold_the_nearest():
    boxes = [[Face(10 + i, 30, 20)] if 4 <= i <= 20 and not 8 < i < 16 else [] for i in range(26)]
    x, y, _ = follow(numbered(26), telling(boxes), "haar", 1)
    assert np.abs(x[6:19] - (10 + np.arange(6, 19))).max() <= 1
    assert set(x[:4]) == {x[4]}
    assert set(x[21:]) == {x[20]}
    assert set(y) == {30.0}


@given(st.integers(2, 17), st.integers(-500, 500))
def test_one_false_box_moves_nothing(place, far):
    values = [50.0] * 20
    values[place] += far
    np.testing.assert_allclose(curve(range(0, 100, 5), values, range(0, 100, 5), 100), 50.0)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=30), st.integers(1, 7))
def test_a_curve_stays_between_what_was_seen(values, every):
    numbers = range(0, every * len(values), every)
    found = curve(numbers, values, numbers, every * len(values))
    assert len(found) == every * len(values)
    assert min(values) - 1e-9 <= found.min()
    assert found.max() <= max(values) + 1e-9


def test_the_one_that_stays_and_is_large_is_followed_and_not_a_passer_by():
    speaks, passes = Face(40, 30, 20), Face(10, 10, 30)
    behind = Face(70, 20, 8)
    seen = [(i, [speaks, behind] + [passes] * (i == 3)) for i in range(6)]
    assert speaker(seen) == [(i, speaks) for i in range(6)]
    assert speaker([(0, []), (5, [])]) == []


def test_pictures_far_apart_are_cropped_where_each_shows_the_face():
    boxes = [[Face(20, 30, 20)], [Face(31, 30, 20)], [], [Face(42, 30, 20)]]
    x, _, _ = follow(numbered(4), telling(boxes), "haar", 1, smooth=False)
    assert x.tolist() == [20, 31, 31, 42]


def test_a_crop_holds_its_square_and_keeps_its_proportions():
    y, x = np.mgrid[:100, :200].astype(np.float32)
    for plane, at in ((x, 120.0), (y, 50.0)):
        wide = crops(plane[None], np.array([120.0]), np.array([50.0]), 20, (20, 40))[0]
        axis = 1 if plane is x else 0
        line = wide.mean(axis=1 - axis)
        np.testing.assert_allclose(np.diff(line), 1, atol=1e-3)  # a pixel is a pixel
        assert line.mean() == pytest.approx(at - 0.5)
    tall = crops(y[None], np.array([120.0]), np.array([50.0]), 20, (80, 40))[0]
    np.testing.assert_allclose(np.diff(tall.mean(axis=1))[2:-2], 0.5, atol=0.02)


def test_a_slow_move_is_no_row_of_steps():
    ramp = np.tile(np.arange(64, dtype=np.float32), (5, 32, 1))
    x = 30 + np.arange(5) / 4
    found = crops(ramp, x, np.full(5, 16.0), 16, (16, 16)).mean(axis=(1, 2))
    np.testing.assert_allclose(np.diff(found), 0.25, atol=0.02)


@given(st.floats(-50, 150), st.floats(-50, 150), st.floats(1, 300), st.booleans())
def test_no_crop_shows_what_is_not_in_the_frame(x, y, size, gray):
    frame = np.random.default_rng(0).integers(90, 110, (1, 60, 80))
    frames = frame.astype(np.uint8 if gray else np.float32)
    found = crops(frames, np.array([x]), np.array([y]), size, (24, 32))
    assert found.shape == (1, 24, 32)
    assert found.min() >= 89.9
    assert found.max() <= 109.1


def test_a_crop_that_reaches_out_is_moved_into_the_frame():
    frame = np.tile(np.arange(80, dtype=np.float32), (1, 60, 1))
    for x, first in ((-30.0, 0.0), (300.0, 60.0)):
        found = crops(frame, np.array([x]), np.array([30.0]), 20, (20, 20))
        np.testing.assert_allclose(found[0, 0], first + np.arange(20), atol=1e-3)


def test_anchors_are_those_of_the_published_graph():
    found = blazeface.anchors()
    assert found.shape == (896, 2)
    assert len(np.unique(found[:512], axis=0)) == 256
    assert len(np.unique(found[512:], axis=0)) == 64
    np.testing.assert_allclose(found[512], 1 / 16)


def test_boxes_of_one_face_are_averaged_and_the_unlikely_dropped():
    scores = np.full(896, -9.0, np.float32)
    boxes = np.zeros((896, 16), np.float32)
    boxes[:, 2:4] = 32  # pixels of 128
    middle = blazeface.anchors()
    one = np.flatnonzero((middle == middle[2 * (5 * 16 + 4)]).all(axis=1))[0]
    beside, far, faint = one + 2, 2 * (12 * 16 + 12), 2 * (12 * 16 + 2)
    scores[[one, beside]] = 3.0
    scores[far], scores[faint] = 1.0, -0.1
    found = blazeface.decoded(scores, boxes)
    assert len(found) == 2
    (likely, face), (less, other) = found
    assert (likely, less) == (
        pytest.approx(1 / (1 + np.exp(-3))),
        pytest.approx(1 / (1 + np.e**-1)),
    )
    assert (face.x, face.y) == pytest.approx(tuple(middle[[one, beside]].mean(axis=0)))
    assert (other.x, other.y, other.size) == pytest.approx((*middle[far], 0.25))


def test_a_detector_without_its_network_says_where_it_lies(tmp_path):
    wheel = r"face_detection_short_range\.tflite lies in the wheel of mediapipe 0\.10\.21"
    with pytest.raises(FeatureError, match=f"needs its network.*{wheel}"):
        blazeface.blazeface("")
    with pytest.raises(FeatureError, match=f"absent.tflite cannot be read.*{wheel}"):
        blazeface.blazeface(str(tmp_path / "absent.tflite"))
    other = tmp_path / "other.tflite"
    other.write_bytes(b"no network")
    with pytest.raises(FeatureError, match=r"other.tflite has the SHA-256 .*not bbff11cebd1e"):
        blazeface.blazeface(str(other))
