"""What is drawn of a face is what HOG3D computes with, in colours and in motion."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from emodask.features.hog3d import hog3d
from emodask.pictures import colours
from emodask.pictures.animation import gradient_animation
from emodask.pictures.face_figure import face_figure, face_panels
from emodask.pictures.gradients import gradients, gradients_at, liveliest, strongest_angles


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (10, 15, 18)).astype(np.float32)


@pytest.mark.parametrize("smooth", [False, True])
def test_the_gradients_drawn_are_those_that_hog3d_sums_up(frames, smooth):
    stored = hog3d(frames, (5, 6, 5), 9, smooth)
    found = gradients(frames, smooth)
    cell = np.s_[5:10, 5:10, 12:18]  # the second along each axis, the third in width
    weights = found.magnitude[cell]
    ranges = ((-np.pi, np.pi), (0, np.pi))
    for angle, values in enumerate((found.azimuth, found.polar)):
        histogram, _ = np.histogram(values[cell], 9, ranges[angle], weights=weights)
        again = histogram / (np.linalg.norm(histogram) + 1e-6)
        np.testing.assert_allclose(stored[1, 2, 1, :, angle], again, atol=1e-4)


@pytest.mark.parametrize("time", [0, 4, 9])
def test_one_frame_alone_has_the_gradients_that_it_has_in_the_clip(frames, time):
    whole, one = gradients(frames), gradients_at(frames, time)
    for name in ("frames", "magnitude", "azimuth", "polar"):
        np.testing.assert_array_equal(getattr(one, name)[0], getattr(whole, name)[time])


def test_cells_show_the_angle_that_is_in_the_picture():
    rising = np.repeat(np.arange(30, dtype=np.float32)[:, None], 30, axis=1) * 8
    cells = hog3d(np.stack([rising] * 5), (5, 6, 5), 9)
    azimuth, polar = strongest_angles(cells)
    assert np.unique(azimuth).tolist() == pytest.approx([0])
    assert np.unique(polar).tolist() == pytest.approx([np.pi / 2])


def test_a_flat_picture_has_no_angle_anywhere():
    flat = np.full((5, 10, 12), 90, np.float32)
    panels = {panel.name: panel.image for panel in face_panels(flat, hog3d(flat), False, 5)}
    for name in ("azimuth", "polar angle", "azimuth, cells", "polar angle, cells"):
        assert np.unique(panels[name]).tolist() == [128], name


def test_the_frame_that_is_drawn_is_the_one_in_which_most_changes(frames):
    still = np.repeat(frames[:1], 8, axis=0)
    still[5:] = 255 - still[5:]
    assert liveliest(still) in (4, 5)
    assert liveliest(frames[:2]) == 0


def test_the_azimuths_key_is_turned_as_the_picture_is():
    key = colours.azimuth_key(99)
    for row, column, angle in ((85, 49, 0), (49, 85, np.pi / 2), (49, 13, -np.pi / 2)):
        wanted = colours.azimuth(np.array([[angle]]))[0, 0].astype(int)
        assert np.abs(key[row, column, :3] - wanted).max() < 12
    assert key[0, 0, 3] == key[49, 49, 3] == 0


def test_the_animation_shows_every_frame_for_as_long_as_the_clip_is(frames):
    moving = Image.open(io.BytesIO(gradient_animation(gradients(frames), seconds=1.0)))
    assert (moving.format, moving.n_frames) == ("GIF", 10)
    assert moving.info["loop"] == 0
    assert moving.info["duration"] == 100


def test_a_picture_of_cells_alone_says_what_its_colours_mean(frames):
    cells = hog3d(frames, (5, 6, 5), 9)
    figure = face_figure(face_panels(None, cells, False, 5), 15 / 18, "sad")
    written = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"sad", "azimuth, cells", "polar angle, cells", "stands still"} <= written
    assert "frame" not in written
