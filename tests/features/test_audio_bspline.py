"""The spline fit is scikit-fda's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.interpolate
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import FeatureError
from emodask.features.audio.bspline import bspline_basis, projector


@pytest.mark.parametrize(("n_frames", "knots", "order"), [(138, 12, 4), (20, 12, 4), (61, 20, 3)])
def test_projection_is_scikit_fdas(n_frames: int, knots: int, order: int) -> None:
    skfda = pytest.importorskip("skfda")
    points = np.linspace(0, 1, n_frames)
    curves = np.cumsum(np.random.default_rng(1).standard_normal((5, n_frames)), axis=1)
    basis = skfda.representation.basis.BSplineBasis(knots=np.linspace(0, 1, knots), order=order)
    expected = skfda.FDataGrid(curves, points).to_basis(basis).coefficients
    np.testing.assert_allclose(curves @ projector(n_frames, knots, order).T, expected, atol=1e-9)


@given(
    knots=st.integers(2, 30),
    order=st.integers(1, 6),
    points=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_basis_is_scipys_and_sums_to_one(knots: int, order: int, points: list[float]) -> None:
    x = np.array(points)
    padded = np.concatenate([np.zeros(order - 1), np.linspace(0, 1, knots), np.ones(order - 1)])
    expected = scipy.interpolate.BSpline.design_matrix(x, padded, order - 1).toarray()
    found = bspline_basis(x, knots, order)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@given(n_frames=st.integers(14, 600))
def test_projector_inverts_the_basis(n_frames: int) -> None:
    basis = bspline_basis(np.linspace(0, 1, n_frames))
    np.testing.assert_allclose(projector(n_frames) @ basis, np.eye(14), atol=1e-11)


def test_projector_is_made_once_and_cannot_be_written() -> None:
    assert projector(99) is projector(99)
    with pytest.raises(ValueError, match="read-only"):
        projector(99)[0, 0] = 1


@pytest.mark.parametrize(("n_frames", "knots", "order"), [(13, 12, 4), (44, 40, 6)])
def test_too_few_frames_for_the_basis_are_refused(n_frames: int, knots: int, order: int) -> None:
    with pytest.raises(FeatureError, match=f"{n_frames} frames do not determine"):
        projector(n_frames, knots, order)
