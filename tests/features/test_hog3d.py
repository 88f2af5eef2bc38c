"""HOG3D against its plain formula, and what the features promise on their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emodask.errors import FeatureError, UsageError
from emodask.features import family
from emodask.features.hog3d import FAMILY, Settings, hog3d
from tests.oracles import hog3d as oracle

Frames = npt.NDArray[Any]


def random_frames(shape: tuple[int, int, int], dtype: Any, seed: int = 0) -> Frames:
    levels = np.random.default_rng(seed).random(shape) * 255
    return levels.astype(dtype)


def portrait(shape: tuple[int, int, int], seed: int = 0) -> Frames:
    """A moving, softly shaded disk of whole gray levels on a perfectly flat background."""
    time, height, width = shape
    t, y, x = np.ogrid[:time, :height, :width]
    centre_y, centre_x = height * (0.5 + 0.1 * np.sin(t / 4)), width * (0.4 + 0.2 * t / time)
    distance = np.hypot((y - centre_y) / height, (x - centre_x) / width) * 4
    noise = np.random.default_rng(seed).normal(0, 3, shape)
    disk = 200 - 90 * distance + noise
    return np.where(distance < 1, disk, 96).astype(np.uint8)


def assert_matches_oracle(
    frames: Frames, cell: tuple[int, int, int], bins: int, largest_share_excluded: float
) -> None:
    ours = hog3d(frames, cell, bins)
    plain = oracle.hog3d(frames, cell, bins)
    assert ours.shape == plain.shape
    assert ours.dtype == np.float32
    near = oracle.cells_near_an_edge(frames, cell, bins)
    assert near.mean() <= largest_share_excluded
    difference = np.abs(ours - plain).max(axis=3)
    assert difference[~near].max(initial=0) < 1e-5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("shape", "cell"),
    [
        ((10, 20, 24), (5, 6, 5)),
        ((12, 23, 29), (5, 6, 5)),
        ((7, 13, 17), (4, 3, 2)),
        ((2, 2, 2), (1, 1, 1)),
        ((5, 5, 1100), (5, 6, 5)),
        ((2, 4, 1200), (2, 600, 2)),
    ],
)
def test_equals_the_plain_formula_for_shapes_and_cells(
    shape: tuple[int, int, int], cell: tuple[int, int, int], dtype: Any
) -> None:
    assert_matches_oracle(random_frames(shape, dtype), cell, 9, largest_share_excluded=0.06)


def test_a_cell_of_a_million_pixels_loses_no_precision() -> None:
    frames = portrait((40, 160, 160))
    cell = (160, 160, 40)
    difference = np.abs(hog3d(frames, cell) - oracle.hog3d(frames, cell)).max()
    assert difference < 1e-6


@pytest.mark.parametrize("bins", [2, 3, 5, 8, 9, 12, 64])
def test_equals_the_plain_formula_for_odd_and_even_bins(bins: int) -> None:
    frames = random_frames((10, 21, 26), np.float32)
    assert_matches_oracle(frames, (5, 6, 5), bins, largest_share_excluded=0.3)


@pytest.mark.parametrize("bins", [2, 3, 4, 8, 12])
def test_whole_gray_levels_on_the_edges_themselves_fall_as_in_numpy(bins: int) -> None:
    # Steps of 0 and ±1 along each axis put gradients exactly on edges at multiples of 45 degrees.
    # Where float64 itself rounds an edge or an angle off its true value, neither side is right.
    frames = np.random.default_rng(4).integers(0, 2, (10, 15, 18)).astype(np.uint8)
    magnitude, *angles = oracle.orientation(frames)
    clean = np.ones((3, 3, 2, 2), bool)
    for index, place in oracle.cells(frames.shape, (5, 6, 5)):
        for a, (angle, edges) in enumerate(zip(angles, oracle.bin_edges(bins), strict=True)):
            gap = np.abs(angle[place][..., None] - edges[1:-1])[magnitude[place] > 0]
            clean[(*index, a)] = not ((gap > 0) & (gap < 1e-5)).any()
    ours, plain = hog3d(frames, bins=bins), oracle.hog3d(frames, bins=bins)
    assert clean.mean() > 0.2
    assert np.abs(ours - plain).max(axis=3)[clean].max() < 1e-5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_equals_the_plain_formula_on_a_face_before_a_flat_wall(dtype: Any) -> None:
    frames = portrait((20, 60, 71)).astype(dtype)
    assert_matches_oracle(frames, (5, 6, 5), 9, largest_share_excluded=0.0)
    assert (hog3d(frames) == 0).mean() > 0.3


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_smoothing_is_a_gaussian_of_each_frame_whatever_the_dtype(dtype: Any) -> None:
    frames = random_frames((10, 20, 30), np.uint8).astype(dtype)
    plain = oracle.hog3d(frames, smooth=True)
    near = oracle.cells_near_an_edge(oracle.blurred(frames))
    assert near.mean() < 0.06
    assert np.abs(hog3d(frames, smooth=True) - plain).max(axis=3)[~near].max() < 1e-4
    assert np.abs(hog3d(frames) - plain).max() > 0.1


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_equals_the_plain_formula_for_any_small_clip(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.integers(2, 9), label=f"axis {axis}") for axis in range(3))
    time, height, width = shape
    cell = (
        data.draw(st.integers(1, height), label="cell height"),
        data.draw(st.integers(1, width), label="cell width"),
        data.draw(st.integers(1, time), label="cell time"),
    )
    bins = data.draw(st.sampled_from([3, 8, 9]), label="bins")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), label="seed"))
    levels = data.draw(st.sampled_from([2, 5, 256]), label="levels")
    scale = data.draw(st.sampled_from([1e-6, 1.0, 1e6]), label="scale")
    frames = (rng.integers(0, levels, shape) * scale).astype(np.float32)
    features = hog3d(frames, cell, bins)
    assert np.isfinite(features).all()
    assert features.min() >= 0
    assert features.max() <= 1
    near = oracle.cells_near_an_edge(frames, cell, bins)
    difference = np.abs(features - oracle.hog3d(frames, cell, bins)).max(axis=3)
    assert difference[~near].max(initial=0) < 1e-5


@pytest.mark.parametrize(
    ("axis", "sign", "azimuth_bin", "polar_bin"),
    [
        ("height", 1, 4, 4),  # azimuth 0, polar pi / 2
        ("height", -1, 8, 4),  # azimuth pi: the last bin, which is closed
        ("width", 1, 6, 4),  # azimuth pi / 2
        ("width", -1, 2, 4),  # azimuth -pi / 2
        ("time", 1, 4, 0),  # azimuth of the zero vector: 0; polar 0
        ("time", -1, 4, 8),  # polar pi: the last bin, which is closed
    ],
)
def test_a_pure_gradient_lands_in_its_bin(
    axis: str, sign: int, azimuth_bin: int, polar_bin: int
) -> None:
    t, y, x = np.meshgrid(np.arange(5), np.arange(10), np.arange(12), indexing="ij")
    frames = 100 + sign * {"height": y, "width": x, "time": t}[axis]
    expected = np.zeros((9, 2))
    expected[azimuth_bin, 0] = expected[polar_bin, 1] = 1
    for dtype in (np.uint8, np.float32):
        features = hog3d(frames.astype(dtype))
        assert np.allclose(features, expected, rtol=0, atol=1e-6)
        assert np.array_equal(features == 0, np.broadcast_to(expected == 0, features.shape))


def test_even_bins_hold_zero_and_a_right_angle_at_their_lower_edges() -> None:
    ramp = np.repeat(np.arange(10, dtype=np.uint8)[:, None], 12, axis=1)
    features = hog3d(np.stack([ramp] * 5), bins=8)
    assert features[..., 4, :].min() > 0.999
    assert np.count_nonzero(features) == features[..., 4, :].size


def test_negative_zero_is_zero() -> None:
    frames = np.zeros((5, 5, 6), np.float32)
    frames -= np.arange(5, dtype=np.float32)[:, None]
    frames[frames == 0] = -0.0
    assert np.array_equal(hog3d(frames), hog3d(frames + np.float32(0.0)))
    assert hog3d(frames)[0, 0, 0, 8, 0] > 0.999


def test_the_last_whole_cell_is_filled_and_remainders_belong_to_none() -> None:
    frames = np.full((5, 10, 12), 50, np.uint8)
    frames[-1, -1, -1] = 90
    assert np.argwhere(hog3d(frames).any(axis=(3, 4))).tolist() == [[1, 1, 0]]
    outside = np.full((6, 11, 13), 50, np.uint8)
    outside[-1, -1, -1] = 90
    assert not hog3d(outside).any()


def test_remainder_pixels_serve_the_gradients_of_their_neighbours() -> None:
    frames = np.full((5, 5, 7), 50, np.uint8)
    frames[:, :, 6] = 90
    assert hog3d(frames)[0, 0, 0, 6, 0] > 0.999


def test_time_reversal_mirrors_the_polar_bins() -> None:
    frames = random_frames((10, 20, 24), np.float32, seed=1)
    forward, backward = hog3d(frames), hog3d(frames[::-1])[:, :, ::-1]
    near = oracle.cells_near_an_edge(frames)
    azimuth, polar = np.abs(forward - backward), np.abs(forward - backward[..., ::-1, :])
    assert azimuth[..., 0].max(axis=3)[~near[..., 0]].max() < 1e-5
    assert polar[..., 1].max(axis=3)[~near[..., 1]].max() < 1e-5
    assert azimuth[..., 1].max() > 0.1


@pytest.mark.parametrize("gain", [0.25, 4.0])
def test_brightness_and_contrast_change_nothing(gain: float) -> None:
    frames = random_frames((10, 20, 24), np.uint8).astype(np.float32)
    assert np.allclose(hog3d(frames * np.float32(gain) + 64), hog3d(frames), rtol=0, atol=1e-5)


def test_contrast_floor_silences_faint_noise_and_spares_structure() -> None:
    frames = np.full((5, 10, 12), 50, np.float32)
    frames[:, :5] += random_frames((5, 5, 12), np.float32) * np.float32(1e-6)
    frames[:, 5:] += random_frames((5, 5, 12), np.float32)
    plain, floored = hog3d(frames), hog3d(frames, contrast_floor=5.0)
    assert plain[0].max() > 0.3
    expected = oracle.hog3d(frames, contrast_floor=5.0)
    assert np.allclose(floored[1], expected[1], rtol=0, atol=1e-5)
    assert np.linalg.norm(floored[1], axis=-2).min() > 0.99


def test_a_flat_clip_gives_zeros() -> None:
    for dtype in (np.uint8, np.float32):
        features = hog3d(np.full((10, 10, 12), 128, dtype))
        assert features.shape == (2, 2, 2, 9, 2)
        assert not features.any()


def test_the_default_clip_has_the_declared_shape() -> None:
    assert hog3d(portrait((50, 240, 426))).shape == (48, 71, 10, 9, 2)


def test_memory_order_and_read_only_frames_change_nothing() -> None:
    frames = random_frames((10, 20, 24), np.float32)
    expected = hog3d(frames)
    fortran = np.asfortranarray(frames)
    fortran.flags.writeable = False
    assert np.array_equal(hog3d(fortran), expected)
    frames.flags.writeable = False
    assert np.array_equal(hog3d(frames), expected)
    assert np.array_equal(hog3d(frames.astype(np.float64)), expected)


def test_the_frames_are_left_as_they_were() -> None:
    frames = random_frames((10, 20, 24), np.float32)
    before = frames.copy()
    hog3d(frames, smooth=True)
    assert np.array_equal(frames, before)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((10, 20), np.uint8), "must be \\(time, height, width\\)"),
        (np.zeros((5, 10, 12, 3), np.uint8), "must be \\(time, height, width\\)"),
        (np.zeros((5, 10, 12), bool), "dtype bool"),
        (np.zeros((5, 10, 12), complex), "dtype complex128"),
        (np.full((5, 10, 12), "a"), "real gray levels"),
        (np.full((5, 10, 12), None), "dtype object"),
        (np.zeros((0, 10, 12), np.uint8), "at least 2"),
        (np.zeros((1, 10, 12), np.float32), "at least 2"),
        (np.zeros((5, 4, 12), np.uint8), "smaller than one cell"),
        (np.zeros((5, 10, 5), np.uint8), "smaller than one cell"),
        (np.zeros((4, 10, 12), np.uint8), "at least \\(5, 5, 6\\)"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], "of one size"),
    ],
)
def test_media_without_features_are_refused_by_name(frames: Any, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        hog3d(frames)


@pytest.mark.parametrize("level", [np.nan, np.inf, -np.inf, 1e20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_impossible_gray_level_is_refused(level: float, dtype: Any) -> None:
    frames = np.zeros((5, 11, 13), dtype)
    frames[4, 10, 12] = level
    with pytest.raises(FeatureError, match=r"finite|is most"):
        hog3d(frames)


@pytest.mark.parametrize("bad", [0, 1, -9, 65, 9.0, "9", None])
def test_bins_that_cannot_be_meant_are_refused(bad: Any) -> None:
    with pytest.raises(UsageError, match="from 2 to 64"):
        hog3d(np.zeros((5, 10, 12), np.uint8), bins=bad)


@pytest.mark.parametrize("bad", [(5, 6), (5, 6, 0), (-5, 6, 5), (5.0, 6, 5), 5, None, "abc"])
def test_cells_that_cannot_be_meant_are_refused(bad: Any) -> None:
    with pytest.raises(UsageError, match="height, width, time"):
        hog3d(np.zeros((5, 10, 12), np.uint8), cell=bad)


@pytest.mark.parametrize("bad", [-1e-9, np.nan, np.inf, "1", None])
def test_contrast_floors_that_cannot_be_meant_are_refused(bad: Any) -> None:
    with pytest.raises(UsageError, match="0 or more"):
        hog3d(np.zeros((5, 10, 12), np.uint8), contrast_floor=bad)


def test_the_family_declares_what_it_computes() -> None:
    assert family("hog3d") is FAMILY
    chosen = Settings(height=21, width=30, frames=12, cell=(4, 7, 3), bins=6, contrast_floor=1)
    frames = random_frames((12, 21, 30), np.float32)
    features = FAMILY.compute(frames, chosen, 0)
    assert features.shape == tuple(FAMILY.dims(chosen).values())
    assert np.array_equal(features, hog3d(frames, (4, 7, 3), 6, contrast_floor=1))


def test_default_settings_are_the_default_system() -> None:
    default = Settings()
    dims = {"cell_y": 48, "cell_x": 71, "cell_t": 10, "bin": 9, "angle": 2}
    assert dict(FAMILY.dims(default)) == dims
    assert list(FAMILY.dims(default)) == list(dims)
    assert FAMILY.coords(default) == {"angle": ("azimuth", "polar")}
    assert FAMILY.decode(default) == {"height": 240, "width": 426, "frames": 50, "gray": "rgb"}
    assert FAMILY.modality == "video"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bins": 1}, "greater than or equal to 2"),
        ({"bins": 65}, "less than or equal to 64"),
        ({"height": 1}, "greater than or equal to 2"),
        ({"frames": 0}, "greater than or equal to 2"),
        ({"cell": (5, 6)}, "cell"),
        ({"cell": (0, 6, 5)}, "greater than or equal to 1"),
        ({"cell": (5, 6, 51)}, "at most \\(240, 426, 50\\)"),
        ({"contrast_floor": -1}, "greater than or equal to 0"),
        ({"contrast_floor": float("inf")}, "finite"),
        ({"gray": "yuv"}, "'rgb' or 'luma'"),
        ({"cells": (5, 6, 5)}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_meant_say_what_would_be_right(
    keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(**keys)
