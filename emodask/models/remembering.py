"""Reduced features of some clips that remember what networks said of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_BYTES = 64 << 20
"""Of embeddings that are remembered of the clips of one side of a fold."""

Embeddings = npt.NDArray[np.float32]


class Remembering(Mapping[str, Any]):
    """Reduced features by name, and the embeddings that networks made of them.

    However many models read the last hidden layer of a network, it is run on these clips once. What
    is remembered is let go of with the clips, or when it would be more than ``most_bytes``: the
    embeddings that were read longest ago go first, and are made anew if they are asked for again.

    Parameters
    ----------
    matrices : mapping of str to ndarray or StreamedMatrix, shape (n, p)
    most_bytes : int
    """

    def __init__(self, matrices: Mapping[str, Any], most_bytes: int = MOST_BYTES) -> None:
        self._matrices = matrices
        self._most_bytes = most_bytes
        # With each network, which must not be gone as long as its number stands for it.
        self._made: OrderedDict[int, tuple[object, Embeddings]] = OrderedDict()

    def __getitem__(self, name: str) -> Any:
        return self._matrices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._matrices)

    def __len__(self) -> int:
        return len(self._matrices)

    def of_same_clips(self, matrices: Mapping[str, Any]) -> Remembering:
        """Other features of the same clips, with the same memory: such as without variants."""
        other = Remembering(matrices, self._most_bytes)
        other._made = self._made
        return other

    def embeddings(self, network: object, make: Callable[[], Embeddings]) -> Embeddings:
        """What a network says of the clips, shape (n, k): made unless it is remembered.

        Parameters
        ----------
        network : object
            Fitted; told from others by identity.
        make : callable
            Runs the network.
        """
        if id(network) in self._made:
            self._made.move_to_end(id(network))
            return self._made[id(network)][1]
        made = make()
        if made.nbytes <= self._most_bytes:
            self._made[id(network)] = network, made
        while sum(kept.nbytes for _, kept in self._made.values()) > self._most_bytes:
            self._made.popitem(last=False)
        return made


def remembering(matrices: Mapping[str, Any]) -> Remembering:
    """Reduced features that remember; themselves if they do already."""
    return matrices if isinstance(matrices, Remembering) else Remembering(matrices)
