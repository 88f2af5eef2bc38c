"""B-spline basis on [0, 1] with equally spaced knots, and the projector onto it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from emodask.errors import FeatureError

# Of the normal equations: rounding then stays below a millionth.
MAX_CONDITION = 1e9


def bspline_basis(
    points: npt.NDArray[np.float64], knots: int = 12, order: int = 4
) -> npt.NDArray[np.float64]:
    """Values of all B-splines at some points, by Cox and de Boor's recursion.

    Parameters
    ----------
    points : float64 array, (n,)
        Within [0, 1].
    knots : int
        How many knots, equally spaced from 0 to 1; at least 2.
    order : int
        Degree + 1: 4 is cubic.

    Returns
    -------
    float64 array, (n, knots + order - 2)

    References
    ----------
    C. de Boor, A Practical Guide to Splines, 1978, chapter X.

    Examples
    --------
    >>> bspline_basis(np.array([0.0, 0.5, 1.0]), knots=3, order=2)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    inner = np.linspace(0, 1, knots)
    knot = np.concatenate([np.zeros(order - 1), inner, np.ones(order - 1)])
    interval = np.clip(np.searchsorted(inner, points, side="right") - 1, 0, knots - 2)
    basis = np.zeros((len(points), len(knot) - 1))
    basis[np.arange(len(points)), interval + order - 1] = 1
    x = points[:, None]
    for degree in range(1, order):
        span = knot[degree:] - knot[:-degree]
        inverse = np.divide(1, span, out=np.zeros_like(span), where=span > 0)
        rising = (x - knot[: -degree - 1]) * inverse[:-1]
        falling = (knot[degree + 1 :] - x) * inverse[1:]
        basis = rising * basis[:, :-1] + falling * basis[:, 1:]
    return basis


@lru_cache(maxsize=512)
def projector(n_frames: int, knots: int = 12, order: int = 4) -> npt.NDArray[np.float64]:
    """Least-squares projector of curves over equally spaced frames onto the B-spline basis.

    The pseudo-inverse of :func:`bspline_basis` at ``linspace(0, 1, n_frames)``.

    Parameters
    ----------
    n_frames : int
        At least ``knots + order - 2``, so that the fit is unique (Schoenberg & Whitney 1953).
    knots, order : int
        As in :func:`bspline_basis`.

    Returns
    -------
    float64 array, (knots + order - 2, n_frames)
        Read-only, and the same one for the same arguments.

    Raises
    ------
    FeatureError
        If so few frames do not determine the coefficients.

    Examples
    --------
    >>> curve = np.linspace(0, 1, 50) ** 2
    >>> coefficients = projector(50) @ curve
    >>> bool(np.allclose(bspline_basis(np.linspace(0, 1, 50)) @ coefficients, curve))
    True
    """
    basis = bspline_basis(np.linspace(0, 1, n_frames), knots, order)
    # Normal equations: a small system gives the same bytes with any number of BLAS threads,
    # and B-splines are well conditioned unless frames are few and coefficients many.
    gram = np.einsum("ni,nj->ij", basis, basis)
    if np.linalg.cond(gram) > MAX_CONDITION:
        raise FeatureError(
            f"{n_frames} frames do not determine the {len(gram)} coefficients of {knots} knots "
            f"and order {order}: fewer knots, or a longer clip, would"
        )
    fit = np.einsum("ij,nj->in", np.linalg.inv(gram), basis)
    fit.flags.writeable = False
    return fit
