"""Training on variants of clips: they share a row with their clip until a classifier is fitted.

So whatever cuts rows apart, folds of any kind, calibration and searches, cuts between clips, and
what is asked of a row is asked of the clip itself, never of a variant.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emodask.models.fitted import Matrices
from emodask.models.remembering import Remembering


def originals(matrices: Matrices) -> Matrices:
    """The clips themselves, each (n, p), of features with and without variants.

    Examples
    --------
    >>> arrays = {"voice": np.zeros((5, 3, 2), np.float32), "face": np.zeros((5, 4), np.float32)}
    >>> {name: matrix.shape for name, matrix in originals(arrays).items()}
    {'voice': (5, 2), 'face': (5, 4)}
    """
    clips = {
        name: matrix[:, 0] if matrix.ndim == 3 else matrix for name, matrix in matrices.items()
    }
    return matrices.of_same_clips(clips) if isinstance(matrices, Remembering) else clips


def joined_variants(
    matrices: Matrices, features: tuple[str, ...]
) -> tuple[npt.NDArray[np.float32], int]:
    """Features side by side for each variant, and a clip's variants side by side in its row.

    A feature without variants is the same beside each.

    Parameters
    ----------
    matrices : mapping of str to ndarray, shape (n, p) or (n, 1 + variants, p)
    features : tuple of str
        At least one with variants.

    Returns
    -------
    rows : ndarray, shape (n, (1 + variants) * p)
        Begins with the clip itself.
    count : int
        1 + variants.

    Examples
    --------
    >>> voice, face = np.array([[[1.0], [2.0]]], np.float32), np.array([[7.0]], np.float32)
    >>> joined_variants({"voice": voice, "face": face}, ("voice", "face"))
    (array([[1., 7., 2., 7.]], dtype=float32), 2)
    """
    count = max(matrices[name].shape[1] for name in features if matrices[name].ndim == 3)
    parts = [
        matrix if matrix.ndim == 3 else np.repeat(matrix[:, None], count, axis=1)
        for matrix in (matrices[name] for name in features)
    ]
    rows = np.concatenate(parts, axis=2)
    return rows.reshape(len(rows), -1), count
