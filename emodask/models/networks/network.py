"""What every network has in common as a classifier: parameters, fitting, probabilities, copies."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions

if TYPE_CHECKING:
    import torch

    from emodask.models.networks.modules import Whole

Dims = tuple[int, ...]
"""The shape of one clip's array of one feature."""

MOST = 100_000
"""Units, epochs or rows of a batch beyond this are a slip, or a bundle that wants all memory."""


class Streamed(Protocol):
    """Rows that lie elsewhere, read batch by batch."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and the numbers of one."""

    def __getitem__(self, rows: Any) -> Streamed:
        """Some of the rows, unread."""

    def read(self, rows: Any) -> npt.NDArray[np.float32]:
        """The numbers of some rows."""


Rows = npt.NDArray[Any] | Streamed


@dataclass(eq=False, repr=False, kw_only=True)
class Network(ClassifierMixin, BaseEstimator):
    """Base of the networks: an architecture says which layers, the rest is the same for all.

    The same fit gives the same bytes on one machine. Adam minimises the cross-entropy. Part of the
    people that it is given are held out of it, and the weights of the epoch are kept that has
    the least cross-entropy on them; without ``validation`` those of the last epoch are kept.

    Parameters
    ----------
    epochs : int
        At most as many passes over the training rows.
    batch_size : int
        Rows of a step; batches are of equal size, at most this (of two, one may have three).
    learning_rate : float
    patience : int
        Training ends after as many epochs without a better one.
    validation : float
        Share of the groups (people), held out, at least one: of two people half of all rows. Nobody
        who alone shows a class; without groups, or of one alone, a share of the rows of each class.
    class_weight : "balanced" or None
        Whether each class counts alike, however many rows it has.
    random_state : int, optional
        Seeds first weights, order of rows, dropout and what is held out.
    device : str
        ``auto`` is the GPU if there is one; see :func:`emodask.networks.device.chosen_device`.
    scale : bool
        Standardise each column by the training rows; the network holds the means and deviations.
    shapes : sequence of tuple of int
        Of each feature's array of one clip; rows are their numbers side by side in C order. By
        default one feature of as many numbers as a row has.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    history_ : list of dict
        ``epoch``, ``train_loss``, ``valid_loss`` and ``valid_uar`` of each epoch.
    best_epoch_ : int
        The one whose weights were kept.
    n_parameters_ : int
        That are learnt.
    shapes_ : tuple of tuple of int
    weights_ : bytes
        All that was learnt, as safetensors.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 10
    validation: float = 0.15
    class_weight: Literal["balanced"] | None = None
    random_state: int | None = None
    device: str = "auto"
    scale: bool = False
    shapes: Sequence[Sequence[int]] = ()

    by_frame: ClassVar[bool] = False
    """Whether the first dimension is that of frames, judged each by itself and then together."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "epochs": [Interval(Integral, 1, MOST, closed="both")],
        "batch_size": [Interval(Integral, 2, MOST, closed="both")],
        "learning_rate": [Interval(Real, 0, 10, closed="neither")],
        "patience": [Interval(Integral, 1, MOST, closed="both")],
        "validation": [Interval(Real, 0, 0.9, closed="both")],
        "class_weight": [StrOptions({"balanced"}), None],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both"), None],
        "device": [str],
        "scale": ["boolean"],
        "shapes": [tuple, list],
    }

    def _validate_params(self) -> None:
        super()._validate_params()
        if not re.fullmatch(r"auto|(cpu|cuda|mps)(:\d+)?", self.device):
            raise ValueError(
                f"The 'device' parameter of {type(self).__name__} must be 'auto', 'cpu', 'cuda', "
                f"'cuda:1' or the like, or 'mps'. Got {self.device!r} instead."
            )

    def layers(self, dims: Dims, n_classes: int) -> tuple[torch.nn.Module, torch.nn.Module]:
        """The layers below the last, and the last, which gives a score to each class.

        Parameters
        ----------
        dims : tuple of int
            What one row is shaped to; of a network of frames, one frame.
        n_classes : int
        """
        raise TypeError(f"{type(self).__name__} has no layers")

    def augmented(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """What a training batch becomes at random, (rows, numbers); by default itself."""
        return batch

    @classmethod
    def check_shapes(cls, shapes: Sequence[Dims]) -> None:
        """Refuse features that the layers cannot take; sizes of 0 are not known yet.

        Raises
        ------
        ValueError
        """
        if cls.by_frame and (len(shapes) != 1 or len(shapes[0]) < 2):
            raise ValueError(f"it reads one feature of frames, (frame, ...), not {shown(shapes)}")

    def fit(self, X: Rows, y: npt.NDArray[Any], groups: npt.NDArray[Any] | None = None) -> Network:
        """Train on rows.

        Parameters
        ----------
        X : ndarray or Streamed, shape (n, p)
            What is streamed is read batch by batch.
        y : ndarray of int, shape (n,)
            Any labels.
        groups : ndarray, shape (n,), optional
            Who each row is of: nobody is both trained on and held out.

        Raises
        ------
        ValueError
            If the layers cannot take such rows, they have no label each, or training diverges.
        """
        from emodask.models.networks.training import train

        self._validate_params()
        self.classes_, encoded = np.unique(np.asarray(y), return_inverse=True)
        self.shapes_ = tuple(tuple(int(n) for n in dims) for dims in self.shapes)
        self.shapes_ = self.shapes_ or ((int(X.shape[1]),),)
        self.check_shapes(self.shapes_)
        self._check_rows(X)
        if len(encoded) != X.shape[0]:
            raise ValueError(f"{X.shape[0]} rows have {len(encoded)} labels; one each is needed")
        self.__dict__.pop("_module", None)
        people = None if groups is None else np.asarray(groups)
        trained = train(self, X, encoded, people)
        self.weights_, self.history_ = trained.weights, trained.history
        self.best_epoch_, self.n_parameters_ = trained.best_epoch, trained.parameters
        return self

    def predict(self, X: Rows) -> npt.NDArray[Any]:
        """Labels, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Rows) -> npt.NDArray[np.float64]:
        """Probabilities, shape (n, n_classes); over frames, the mean of theirs."""
        parts = [
            scores.double().softmax(dim=2).mean(dim=1).cpu().numpy()
            for _, scores in self._through(X)
        ]
        return np.concatenate([np.zeros((0, len(self.classes_))), *parts])

    def embed(self, X: Rows) -> npt.NDArray[np.float32]:
        """What the last hidden layer says, shape (n, k); over frames, of each side by side."""
        parts = [hidden.flatten(1).cpu().numpy() for hidden, _ in self._through(X)]
        return np.concatenate(parts).astype(np.float32)

    @property
    def embedded_(self) -> int:
        """How many numbers of a row :meth:`embed` gives."""
        import torch

        from emodask.models.networks.modules import Whole

        with torch.device("meta"), torch.inference_mode():  # shapes alone, nothing is computed
            module = Whole(self, self.shapes_, len(self.classes_)).eval()
            row = torch.zeros(1, sum(math.prod(dims) for dims in self.shapes_))
            return math.prod(module.hidden_and_scores(row)[0].shape)

    @property
    def training_(self) -> dict[str, Any]:
        """How the training went, as plain JSON values."""
        return {
            "parameters": self.n_parameters_,
            "epochs": len(self.history_),
            "best_epoch": self.best_epoch_,
            "history": self.history_,
        }

    def _through(self, X: Rows) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Hidden numbers (n, frames, ...) and scores (n, frames, classes), batch by batch."""
        import torch

        from emodask.networks.device import one_thread

        one_thread()
        self._check_rows(X)
        module = self._module
        for start in range(0, X.shape[0], self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, X.shape[0]))
            batch = torch.from_numpy(read(X, rows)).to(module.mean.device)
            with torch.inference_mode():
                yield module.hidden_and_scores(batch)

    def _check_rows(self, X: Rows) -> None:
        if sum(math.prod(dims) for dims in self.shapes_) != X.shape[1]:
            raise ValueError(f"rows of {X.shape[1]} numbers are not {shown(self.shapes_)}")

    @cached_property
    def _module(self) -> Whole:
        """The layers with what they learnt, on the device where they compute."""
        from emodask.models.networks.weights import unpacked
        from emodask.networks.device import chosen_device

        return unpacked(self, self.weights_).to(chosen_device(self.device)).eval()

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and what was learnt, as bytes: nothing of PyTorch's own."""
        state = dict(super().__getstate__())
        state.pop("_module", None)
        return state


def read(X: Rows, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """Some rows as numbers of their own."""
    found = X[rows] if isinstance(X, np.ndarray) else X.read(rows)
    return np.ascontiguousarray(found, np.float32)


def shown(shapes: Sequence[Dims]) -> str:
    """Shapes in words.

    Examples
    --------
    >>> shown([(63, 40), (157,)])
    '63 x 40 and 157'
    """
    return " and ".join(" x ".join(str(size) for size in dims) for dims in shapes)
