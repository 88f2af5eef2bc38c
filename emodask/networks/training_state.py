"""Where a training is, written after each epoch: plain tensors and JSON, from which it goes on."""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emodask.errors import SourceError, UsageError

if TYPE_CHECKING:
    from torch import nn, optim

_BEGUN_WITH, _STATE = "begun_with", "state"


class State:
    """How far a training has come.

    Attributes
    ----------
    begun_with : str
        A digest of pictures and settings: another training's state is none of this.
    history : list of dict
        One an epoch.
    best : dict of str to Tensor
        Weights of the best epoch; the first ones before there is any.
    best_epoch : int
        0 before there is any.
    best_loss : float
    """

    def __init__(self, begun_with: str, module: nn.Module) -> None:
        self.begun_with = begun_with
        self.history: list[dict[str, Any]] = []
        self.best = _copied(module)
        self.best_epoch = 0
        self.best_loss = math.inf

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.history)

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    def ended(self, epoch: dict[str, Any], loss: float, module: nn.Module) -> bool:
        """Take note of an epoch, and say whether it is the best so far."""
        self.history.append(epoch)
        better = loss < self.best_loss
        if better:
            self.best, self.best_epoch, self.best_loss = _copied(module), self.epoch, loss
        return better


def save_state(path: Path, state: State, module: nn.Module, optimizer: optim.Adam) -> None:
    """Write all that a training goes on from.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    from safetensors.torch import save

    tensors = {f"best.{name}": value for name, value in state.best.items()}
    tensors |= {f"now.{name}": value for name, value in _copied(module).items()}
    for number, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"adam.{number}.{name}"] = value.detach().cpu().clone()
    about = {
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
    }
    metadata = {_BEGUN_WITH: state.begun_with, _STATE: json.dumps(about)}
    save_file_whole(path, save(tensors, metadata=metadata))


def load_state(
    path: Path, begun_with: str, module: nn.Module, optimizer: optim.Adam
) -> State | None:
    """Go on from where a training of the same pictures and settings was; None if there is none.

    Raises
    ------
    SourceError
        If what lies there is another training's, or damaged.
    """
    if not path.exists():
        return None
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names: list[str] = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
        about = json.loads(metadata[_STATE])
    except Exception as error:
        raise SourceError(
            f"{path}: a training that was stopped, damaged ({type(error).__name__}); remove it to "
            "begin anew"
        ) from error
    if metadata.get(_BEGUN_WITH) != begun_with:
        raise SourceError(
            f"{path}: a training that was stopped, of other pictures or settings; remove it to "
            "begin anew, or choose another name"
        )
    module.load_state_dict(_under(tensors, "now."))
    whole = optimizer.state_dict()
    for name, value in _under(tensors, "adam.").items():
        number, _, key = name.partition(".")
        whole["state"].setdefault(int(number), {})[key] = value
    optimizer.load_state_dict(whole)
    state = State(begun_with, module)
    state.history = about["history"]
    state.best = _under(tensors, "best.")
    state.best_epoch, state.best_loss = about["best_epoch"], about["best_loss"]
    return state


def save_file_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def _copied(module: nn.Module) -> dict[str, Any]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def _under(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
