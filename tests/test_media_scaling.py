"""Promises of scaling: the exact mean of the area, whatever the sizes and the padding of lines."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.media.scaling import scaled
from tests.oracles import frames as oracle


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 20),
    st.integers(0, 2**32 - 1),
)
def test_shrinking_gives_the_exact_mean_of_the_area(a, b, padding, seed):
    (rows, height), (used, width) = (
        sorted(sizes, reverse=True) for sizes in zip(a, b, strict=True)
    )
    plane = np.random.default_rng(seed).integers(0, 256, (rows, used + padding), np.uint8)
    found = scaled(plane, (width, height), used)
    assert np.array_equal(found, oracle.area(plane[:, :used], width, height))


@pytest.mark.parametrize("size", [(426, 240), (640, 360), (224, 224), (1279, 719), (3, 2)])
def test_opencv_differs_by_a_level_at_most_and_seldom(size):
    plane = np.random.default_rng(1).integers(0, 256, (720, 1280), np.uint8)
    theirs = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    difference = np.abs(scaled(plane, size, 1280).astype(int) - theirs)
    assert difference.max() <= 1
    assert difference.mean() < 2e-3


def test_the_largest_frames_do_not_overflow():
    plane = np.full((4001, 5003), 255, np.uint8)
    assert (scaled(plane, (3, 7), 5003) == 255).all()


def test_enlarging_is_opencvs():
    plane = np.random.default_rng(2).integers(0, 256, (20, 30), np.uint8)
    theirs = cv2.resize(plane[:, :24], (48, 10), interpolation=cv2.INTER_AREA)
    assert np.array_equal(scaled(plane, (48, 10), 24), theirs)
