"""Training one network: what is held out, batches, early stopping, the best epoch's weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from emodask.models.networks.modules import CrossEntropy, Whole, chances
from emodask.models.networks.network import Network, Rows, read
from emodask.models.networks.weights import packed
from emodask.networks.device import chosen_device, one_thread

if TYPE_CHECKING:
    from skorch import NeuralNetClassifier

Places = npt.NDArray[np.intp]

_ROWS_OF_A_SUM = 64
"""Rows that are read at once for means and deviations."""

_ALONE = threading.Lock()


@dataclass(frozen=True)
class Trained:
    """What training leaves: the weights as safetensors, and how it went."""

    weights: bytes
    history: list[dict[str, Any]]
    best_epoch: int
    parameters: int


def train(
    network: Network, X: Rows, labels: Places, groups: npt.NDArray[Any] | None = None
) -> Trained:
    """Train the layers of a network.

    Parameters
    ----------
    network : Network
        With ``classes_`` and ``shapes_``.
    X : ndarray or Streamed, shape (n, p)
    labels : ndarray of int, shape (n,)
        Places of classes.
    groups : ndarray, shape (n,), optional

    Raises
    ------
    ValueError
        If training diverges.
    KeyboardInterrupt
    """
    from skorch.callbacks import EarlyStopping

    device = chosen_device(network.device)
    one_thread()
    seed = 0 if network.random_state is None else int(network.random_state)
    known, held_out = held_apart(labels, groups, network.validation, seed)
    with _seeded(seed):
        module = Whole(network, network.shapes_, len(network.classes_))
        if network.scale:
            module.mean, module.deviation = _columns(X, known)
        stopping = EarlyStopping(
            "valid_loss", patience=network.patience, threshold=0, load_best=True
        )
        net = _net(network, module, X, labels, known, held_out, stopping, device, seed)
        net.partial_fit(_Batched(X, labels, known))
        ended = len(net.history) == network.epochs or stopping.misses_ == network.patience
        if not ended or "train_loss" not in net.history[-1]:  # not the whole of its last epoch
            raise KeyboardInterrupt  # which skorch takes for an early end
    module = net.module_.cpu()
    if not all(torch.isfinite(tensor).all() for tensor in module.state_dict().values()):
        raise ValueError(
            f"training diverged (learning_rate = {network.learning_rate}); use a smaller one"
        )
    history = [
        {
            "epoch": epoch["epoch"],
            "train_loss": _number(epoch["train_loss"]),
            "valid_loss": _number(epoch.get("valid_loss")),
            "valid_uar": _number(epoch.get("valid_uar")),
        }
        for epoch in net.history
    ]
    best = stopping.best_epoch_ if len(held_out) else len(history)
    parameters = sum(tensor.numel() for tensor in module.parameters())
    return Trained(packed(module), history, int(best), parameters)


def held_apart(
    labels: Places, groups: npt.NDArray[Any] | None, share: float, seed: int
) -> tuple[Places, Places]:
    """Places of the rows to train on, and of those held out.

    Whole groups are held out, at least one; without groups, or where all rows are of one, as many
    rows of each class. Who alone shows a class is never held out: a class that is not trained on
    would not be found again.

    Examples
    --------
    >>> actors = np.array([1, 1, 2, 2, 3, 3])
    >>> known, held_out = held_apart(np.array([0, 1] * 3), actors, 0.3, seed=0)
    >>> actors[known].tolist(), actors[held_out].tolist()
    ([1, 1, 2, 2], [3, 3])

    Of two people one is held out, whatever the share; of one alone, some rows of each class.

    >>> [len(rows) for rows in held_apart(np.array([0, 1] * 10), np.repeat([1, 2], 10), 0.15, 0)]
    [10, 10]
    >>> [len(rows) for rows in held_apart(np.array([0, 1] * 10), np.ones(20), 0.15, 0)]
    [16, 4]
    """
    rng = np.random.default_rng(seed)
    out = np.zeros(len(labels), bool)
    people = np.unique(groups) if groups is not None else np.empty(0)
    classes = np.unique(labels)
    if share and len(people) > 1:
        left = min(max(1, round(share * len(people))), len(people) - 1)
        for person in rng.permutation(people):
            tried = out | (np.asarray(groups) == person)
            if left and len(np.unique(labels[~tried])) == len(classes):
                out, left = tried, left - 1
    elif share:
        for label in classes:
            rows = rng.permutation(np.flatnonzero(labels == label))
            out[rows[: min(round(share * len(rows)), len(rows) - 1)]] = True
    return np.flatnonzero(~out), np.flatnonzero(out)


class _Batched(Dataset[Any]):
    """Rows and labels that are read by batches."""

    def __init__(self, X: Rows, labels: Places, rows: Places) -> None:
        self.X: Rows = X[rows]
        self.labels = torch.from_numpy(np.asarray(labels[rows], np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(read(self.X, rows)), self.labels[torch.from_numpy(rows)]


class _Batches:
    """The batches of an epoch, in a new order each time if they are shuffled, of equal sizes.

    So no batch has one row alone, of which batch normalisation could make nothing; of an odd
    number of rows by two, one batch has three.
    """

    def __init__(
        self,
        rows: _Batched,
        batch_size: int,
        network: Network | None = None,
        seed: int = 0,
    ) -> None:
        self.rows, self.batch_size, self.network = rows, batch_size, network
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = np.arange(len(self.rows))
        if self.network is not None:
            order = self._order()
        count = min(-(-len(order) // self.batch_size), max(1, len(order) // 2))
        for part in np.array_split(order, count):
            numbers, labels = self.rows[part]
            if self.network is not None:
                numbers = self.network.augmented(numbers, self._generator)
            yield numbers, labels

    def _order(self) -> Places:
        """Random; as rows that lie elsewhere want to be read, if they say."""
        if hasattr(self.rows.X, "epoch"):
            return np.asarray(self.rows.X.epoch(int(self._rng.integers(2**32))))
        return self._rng.permutation(len(self.rows))


def _net(
    network: Network,
    module: Whole,
    X: Rows,
    labels: Places,
    known: Places,
    held_out: Places,
    stopping: Any,
    device: torch.device,
    seed: int,
) -> NeuralNetClassifier:
    """The module as skorch trains it."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import EpochScoring
    from skorch.helper import predefined_split

    callbacks: list[Any] = []
    if len(held_out):
        scoring = EpochScoring(_uar, lower_is_better=False, name="valid_uar")
        callbacks += [("valid_uar", scoring), ("stopping", stopping)]
    weight = None
    if network.class_weight:
        counts = np.bincount(labels[known], minlength=len(network.classes_))
        shares = len(known) / np.maximum(counts, 1) / len(network.classes_)
        weight = torch.from_numpy(shares.astype(np.float32)).to(device)
    return NeuralNetClassifier(
        module,
        criterion=CrossEntropy,
        criterion__weight=weight,
        optimizer=torch.optim.Adam,
        lr=network.learning_rate,
        max_epochs=network.epochs,
        batch_size=network.batch_size,
        iterator_train=_Batches,
        iterator_train__network=network,
        iterator_train__seed=seed,
        iterator_valid=_Batches,
        train_split=predefined_split(_Batched(X, labels, held_out)) if len(held_out) else None,
        predict_nonlinearity=chances,
        callbacks=callbacks,
        callbacks__valid_acc=None,
        callbacks__print_log=None,
        device=device,
        verbose=0,
    ).initialize()


def _uar(net: NeuralNetClassifier, X: Any, y: Any) -> float:
    """Mean over the classes that rows show of how many are recognised."""
    true, said = np.asarray(y), net.predict(X)
    return float(np.mean([(said[true == label] == label).mean() for label in np.unique(true)]))


def _columns(X: Rows, rows: Places) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each column, summed in double precision around the first row."""
    first = read(X, rows[:1]).astype(np.float64)
    total, squares = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for start in range(0, len(rows), _ROWS_OF_A_SUM):
        numbers = read(X, rows[start : start + _ROWS_OF_A_SUM]) - first
        total += numbers.sum(axis=0)
        squares += (numbers**2).sum(axis=0)
    mean = total / len(rows)
    deviation = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0))
    mean += first[0]
    deviation[deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)] = 1  # it says nothing
    kept = deviation.astype(np.float32)
    kept[kept == 0] = 1
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(kept)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """PyTorch's random numbers from a seed, and as they were afterwards; on a GPU, exact sums.

    They are those of the whole process: of its threads, one at a time can train.
    """
    deterministic = {"enabled": True, "benchmark": False, "deterministic": True}
    with (
        _ALONE,
        torch.random.fork_rng(),
        torch.backends.cudnn.flags(**deterministic, allow_tf32=False),
    ):
        torch.manual_seed(seed)
        yield


def _number(value: Any) -> float | None:
    """A finite number for JSON; None where there is none."""
    return float(value) if value is not None and np.isfinite(value) else None
