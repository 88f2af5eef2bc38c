"""Subsets of the rows of one array, such as the training clips of every fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError


@dataclass(frozen=True, eq=False)
class Subsets:
    """Rows sorted into groups: those of one group belong to the same subsets.

    With leave-one-speaker-out folds a group is a speaker; so sums over 24 folds need each row once.

    Attributes
    ----------
    groups : ndarray of int, (n,)
        Group of each row; -1 for rows of no subset.
    members : ndarray of bool, (n_groups, n_subsets)
        Which groups a subset is made of.

    Examples
    --------
    >>> folds = Subsets.of(5, [[0, 1], [1, 2, 3]])
    >>> folds.groups.tolist()
    [1, 2, 0, 0, -1]
    >>> folds.groups_of(1).tolist()
    [0, 2]
    """

    groups: npt.NDArray[np.signedinteger[Any]]
    members: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, n_rows: int, subsets: Sequence[Sequence[int] | npt.NDArray[np.intp]]) -> Subsets:
        """Sort ``n_rows`` rows by the subsets that hold them.

        Parameters
        ----------
        n_rows : int
        subsets : sequence of sequences of int
            Row numbers, in any order.
        """
        belongs = np.zeros((n_rows, len(subsets)), bool)
        for index, rows in enumerate(subsets):
            belongs[np.asarray(rows, np.intp), index] = True
        members, groups = np.unique(belongs, axis=0, return_inverse=True)
        groups = groups.reshape(n_rows).astype(np.int32)
        if len(members) and not members[0].any():  # sorted: none of the subsets comes first
            members, groups = members[1:], groups - 1
        return cls(groups, members)

    @classmethod
    def whole(cls, n_rows: int) -> Subsets:
        """One subset of all rows."""
        return cls(np.zeros(n_rows, np.int32), np.ones((1, 1), bool))

    def __len__(self) -> int:
        return self.members.shape[1]

    def groups_of(self, subset: int) -> npt.NDArray[np.intp]:
        """The groups that make up a subset."""
        return np.flatnonzero(self.members[:, subset])

    def check_none_is_empty(self) -> None:
        """Raise an EvaluationError if a subset has no rows."""
        if not len(self.groups) or not self.members.any(axis=0).all():
            raise EvaluationError("there are no clips to fit on: the array has 0 rows")
