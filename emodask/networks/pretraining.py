"""Training the expression network's base on labelled face pictures, epoch by epoch.

After each epoch all that goes on from there is written beside the result: a run that was killed
goes on where it was, and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import emodask
from emodask.errors import SourceError, UsageError
from emodask.networks import ABSENT, expression, installed
from emodask.networks.device import chosen_device, cores
from emodask.networks.device import threads as threads_of
from emodask.networks.labelled import PARTS, Labelled, read_labelled
from emodask.networks.training_state import State, load_state, save_file_whole, save_state

if TYPE_CHECKING:
    import torch
    from torch import nn

_AT_ONCE = 512
"""Pictures that are judged together."""


@dataclass(frozen=True)
class Pretraining:
    """How the base is trained.

    Attributes
    ----------
    seed : int
        Of the first weights, the order of pictures, mirroring, dropout, and the split if the source
        has none.
    epochs : int
        At most as many passes over the training part.
    patience : int
        Training ends after as many epochs without a smaller loss on the validation part.
    batch : int
        Pictures of a step.
    learning_rate : float
        Adam's.
    """

    seed: int = 0
    epochs: int = 60
    patience: int = 8
    batch: int = 64
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Epoch:
    """What an epoch of training came to."""

    epoch: int
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    seconds: float


def pretrain(
    source: str | Path,
    out: str | Path,
    settings: Pretraining = Pretraining(),
    *,
    device: str = "auto",
    threads: int | None = None,
    on_read: Callable[[Labelled], None] | None = None,
    on_epoch: Callable[[Epoch, bool], None] | None = None,
) -> dict[str, Any]:
    """Train the base and a head on labelled pictures, and write both as safetensors.

    Beside ``out`` comes a JSON of the same name: classes, settings, pictures by part and class, the
    history, and accuracy and UAR on the held-out part, which nothing was chosen on.

    Parameters
    ----------
    source : str or Path
        See :func:`emodask.networks.labelled.read_labelled`.
    out : str or Path
        ``NAME.safetensors``, on this machine.
    settings : Pretraining
    device : str
        See :func:`emodask.networks.device.chosen_device`.
    threads : int, optional
        Of the processor; by default as many as this process may use cores. The same number gives
        the same bytes, another one rounds otherwise. PyTorch's own setting is restored.
    on_read : callable, optional
        Told what was read.
    on_epoch : callable, optional
        Told of each epoch, and whether it is the best so far.

    Returns
    -------
    dict
        What the JSON holds.

    Raises
    ------
    UsageError
        If ``out`` is there already or cannot be written, or PyTorch is not installed.
    SourceError
        If the pictures are not what is needed, or are others than a stopped run began with.
    """
    if not installed():
        raise UsageError(ABSENT)
    with threads_of(cores() if threads is None else threads):
        return _pretrained(source, Path(out), settings, device, on_read, on_epoch)


def _pretrained(
    source: str | Path,
    target: Path,
    settings: Pretraining,
    device: str,
    on_read: Callable[[Labelled], None] | None,
    on_epoch: Callable[[Epoch, bool], None] | None,
) -> dict[str, Any]:
    _check_target(target)
    chosen = chosen_device(device)
    labelled = read_labelled(source, expression.SIDE, settings.seed)
    if on_read:
        on_read(labelled)
    state_file = _state_file(target)
    begun_with = _digest(labelled, settings)
    module, optimizer = _fresh(len(labelled.classes), settings, chosen)
    state = load_state(state_file, begun_with, module, optimizer) or State(begun_with, module)
    while state.epoch < settings.epochs and state.waited < settings.patience:
        began = time.monotonic()
        train_loss = _train(module, optimizer, labelled, settings, state.epoch, chosen)
        valid = _judged(module, labelled, labelled.parts["valid"], chosen)
        if not np.isfinite(train_loss) or not np.isfinite(valid.loss):
            raise SourceError(
                f"{source}: training diverged in epoch {state.epoch + 1} (loss {train_loss:g}); "
                f"from Python, Pretraining(learning_rate = {settings.learning_rate / 10:g}) may do"
            )
        seconds = round(time.monotonic() - began, 3)
        epoch = Epoch(state.epoch + 1, train_loss, valid.loss, valid.accuracy, seconds)
        better = state.ended(asdict(epoch), valid.loss, module)
        save_state(state_file, state, module, optimizer)
        if on_epoch:
            on_epoch(epoch, better)
    module.load_state_dict(state.best)
    about = _about(settings, labelled, state, _judged(module, labelled, None, chosen))
    weights = {name: value.cpu().contiguous() for name, value in module.state_dict().items()}
    _write(target, weights, about)
    state_file.unlink(missing_ok=True)
    return about


@dataclass(frozen=True)
class _Judged:
    loss: float
    accuracy: float
    uar: float


def _state_file(target: Path) -> Path:
    return target.with_suffix(".training")


def _check_target(target: Path) -> None:
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: weights are written as safetensors: NAME.safetensors")
    about = target.with_suffix(".json")
    # The JSON comes last: weights without it, beside a training's state, are of a run that ended.
    stopped = _state_file(target).exists() and not about.exists()
    for path in (target, about):
        if path.exists() and not stopped:
            raise UsageError(f"{path} is there already; remove it, or choose another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe = target.with_suffix(".writing")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{target.parent}: cannot be written: {error.strerror}") from error


def _fresh(
    classes: int, settings: Pretraining, device: torch.device
) -> tuple[nn.Module, torch.optim.Adam]:
    import torch

    torch.manual_seed(settings.seed)
    module = expression.with_head(classes).to(device)
    return module, torch.optim.Adam(module.parameters(), lr=settings.learning_rate)


def _train(
    module: nn.Module,
    optimizer: torch.optim.Adam,
    labelled: Labelled,
    settings: Pretraining,
    epoch: int,
    device: torch.device,
) -> float:
    """One pass over the training part in an order of its own; the mean loss."""
    import torch
    from torch.nn.functional import cross_entropy

    random = np.random.default_rng([settings.seed, 2, epoch])
    torch.manual_seed(int(random.integers(2**31)))  # dropout
    rows = random.permutation(labelled.parts["train"])
    module.train()
    total = 0.0
    for first in range(0, len(rows), settings.batch):
        some = rows[first : first + settings.batch]
        pictures = labelled.pictures[some]
        mirrored = random.random(len(some)) < 0.5
        pictures[mirrored] = pictures[mirrored, :, ::-1]
        scores = module(torch.from_numpy(expression.normalised(pictures)).to(device))
        loss = cross_entropy(scores, torch.from_numpy(labelled.labels[some]).to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(some)
    return total / len(rows)


def _judged(
    module: nn.Module,
    labelled: Labelled,
    rows: npt.NDArray[np.intp] | None,
    device: torch.device,
) -> _Judged:
    """Loss, accuracy and UAR on some rows, by default those held out."""
    import torch
    from torch.nn.functional import cross_entropy

    rows = labelled.parts["test"] if rows is None else rows
    module.eval()
    total, said = 0.0, []
    with torch.inference_mode():
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            pictures = expression.normalised(labelled.pictures[some])
            scores = module(torch.from_numpy(pictures).to(device))
            labels = torch.from_numpy(labelled.labels[some]).to(device)
            total += float(cross_entropy(scores, labels, reduction="sum"))
            said.append(scores.argmax(1).cpu().numpy())
    right = np.concatenate(said) == labelled.labels[rows]
    own = labelled.labels[rows]
    recalls = [right[own == label].mean() for label in np.unique(own)]
    return _Judged(total / len(rows), float(right.mean()), float(np.mean(recalls)))


def _digest(labelled: Labelled, settings: Pretraining) -> str:
    """Of all that the result depends on, but for how long training may last."""
    state = hashlib.sha256()
    steps = {**asdict(settings), "epochs": None}
    state.update(json.dumps([steps, labelled.classes, emodask.__version__]).encode())
    for first in range(0, len(labelled.labels), 1024):
        state.update(labelled.pictures[first : first + 1024].tobytes())
    state.update(labelled.labels.tobytes())
    for part in PARTS:
        state.update(labelled.parts[part].astype(np.int64).tobytes())
    return state.hexdigest()


def _about(
    settings: Pretraining, labelled: Labelled, state: State, held_out: _Judged
) -> dict[str, Any]:
    import torch

    return {
        "network": "expression",
        "classes": list(labelled.classes),
        "settings": asdict(settings),
        "pictures": {part: labelled.counts(part) for part in PARTS},
        "left_out": list(labelled.left_out[:100]),
        "best_epoch": state.best_epoch,
        "history": state.history,
        "held_out": {"accuracy": held_out.accuracy, "uar": held_out.uar, "loss": held_out.loss},
        "versions": {"emodask": emodask.__version__, "torch": torch.__version__},
        "threads": torch.get_num_threads(),
    }


def _write(target: Path, weights: Mapping[str, Any], about: dict[str, Any]) -> None:
    """Both files, each whole or not at all; the JSON last, with the checksum of the weights."""
    from safetensors.torch import save

    data = save(dict(weights), metadata={"network": "expression"})
    about["sha256"] = hashlib.sha256(data).hexdigest()
    save_file_whole(target, data)
    save_file_whole(target.with_suffix(".json"), (json.dumps(about, indent=1) + "\n").encode())
