"""Kernels on one slab: products with a factor and Gram matrices of unfoldings, by matrix products.

Terms follow Kolda & Bader, "Tensor Decompositions and Applications", SIAM Review 51 (2009): the
mode-n unfolding of a tensor has one row for each index along axis n.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from emodask.reduction.chunks import Floats

_WIDE = 64
_KRONECKER = 512


def split(tensor: Floats, mode: int) -> Floats:
    """View a contiguous tensor as (before, d, after) with axis ``mode`` in the middle.

    Examples
    --------
    >>> split(np.zeros((2, 3, 4, 5)), 2).shape
    (6, 4, 5)
    """
    before = int(np.prod(tensor.shape[:mode]))
    return tensor.reshape(before, tensor.shape[mode], -1)


def gram(tensor: Floats, mode: int) -> npt.NDArray[np.float64]:
    """Gram matrix of the mode-n unfolding, ``unfolding @ unfolding.T``.

    Parameters
    ----------
    tensor : ndarray of float32 or float64, C-contiguous
    mode : int
        Axis whose indices are the unfolding's rows.

    Returns
    -------
    ndarray of float64, (d, d)
        Multiplied in the tensor's type.

    Examples
    --------
    >>> gram(np.array([[1.0, 2.0], [0.0, 3.0]]), 1)
    array([[ 1.,  2.],
           [ 2., 13.]])
    """
    stack = split(tensor, mode)
    before, size, after = stack.shape
    if after == 1:
        columns = stack[:, :, 0]
        product = columns.T @ columns
    elif before > 1 and after >= _WIDE and 2 * after >= size:
        return np.matmul(stack, stack.transpose(0, 2, 1)).sum(axis=0, dtype=np.float64)
    else:
        # Many narrow matrices: gathering them into one costs less than as many calls.
        unfolding = np.ascontiguousarray(stack.transpose(1, 0, 2)).reshape(size, -1)
        product = unfolding @ unfolding.T
    return product.astype(np.float64)


def mode_product(tensor: Floats, factor: Floats, mode: int) -> Floats:
    """Multiply axis ``mode`` (length d) by ``factor`` (d, r): that axis gets length r.

    Parameters
    ----------
    tensor : ndarray of float32 or float64, C-contiguous
    factor : ndarray of the same type, (d, r)
    mode : int

    Returns
    -------
    ndarray of the same type, C-contiguous

    Examples
    --------
    >>> mode_product(np.ones((2, 3, 4)), np.ones((3, 1)), 1).shape
    (2, 1, 4)
    """
    shape = (*tensor.shape[:mode], factor.shape[1], *tensor.shape[mode + 1 :])
    stack = split(tensor, mode)
    before, size, after = stack.shape
    if after == 1:
        product = stack[:, :, 0] @ factor
    elif before > 1 and size * after <= _KRONECKER:
        # Many small matrices: one product with factor (x) identity beats as many calls.
        wide = np.kron(factor, np.eye(after, dtype=factor.dtype))
        product = stack.reshape(before, size * after) @ wide
    else:
        product = np.matmul(factor.T, stack)
    return product.reshape(shape)


def by_reduction(factors: dict[int, Floats]) -> list[int]:
    """Modes ordered by how much their factors reduce, the most first.

    Examples
    --------
    >>> by_reduction({1: np.ones((4, 2)), 2: np.ones((9, 1))})
    [2, 1]
    """
    return sorted(factors, key=lambda mode: factors[mode].shape[1] / factors[mode].shape[0])


def project(tensor: Floats, factors: dict[int, Floats]) -> Floats:
    """Multiply by all factors (d, r): the last axes at once, before them the strongest reduction.

    Examples
    --------
    >>> project(np.ones((5, 3, 4)), {1: np.ones((3, 2)), 2: np.ones((4, 1))}).shape
    (5, 2, 1)
    """
    last = {
        mode: factor
        for mode, factor in factors.items()
        if math.prod(tensor.shape[mode:]) <= _KRONECKER
    }
    before = {mode: factor for mode, factor in factors.items() if mode not in last}
    for mode in by_reduction(before):
        tensor = mode_product(tensor, before[mode], mode)
    if not last:
        return tensor
    # Many small matrices: one product with the factors' Kronecker product beats as many calls.
    first = min(last)
    wide = np.ones((1, 1), tensor.dtype)
    for axis in range(first, tensor.ndim):
        factor = last[axis] if axis in last else np.eye(tensor.shape[axis], dtype=tensor.dtype)
        # np.kron of two matrices, at a tenth of its overhead.
        wide = (wide[:, None, :, None] * factor[None, :, None, :]).reshape(
            len(wide) * len(factor), -1
        )
    shape = [last[a].shape[1] if a in last else tensor.shape[a] for a in range(first, tensor.ndim)]
    return (tensor.reshape(-1, len(wide)) @ wide).reshape(*tensor.shape[:first], *shape)


def square_norm(tensor: Floats) -> float:
    """Sum of squares, accumulated in float64 over runs short enough for the tensor's own type.

    Examples
    --------
    >>> square_norm(np.full((3, 4), 2.0, np.float32))
    48.0
    """
    width = tensor.shape[-1]
    for size in tensor.shape[-2::-1]:
        if width * size > 4096:
            break
        width *= size
    runs = tensor.reshape(-1, width)
    return float(np.vecdot(runs, runs).sum(dtype=np.float64))
