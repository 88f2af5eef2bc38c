"""What a worker and its decoder say: a line of JSON, then as many bytes as it declares.

No pickle: what comes back from a process that has read hostile bytes is data, never code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

MAX_HEADER = 1 << 20
MAX_PAYLOAD = 4 << 30


def send(stream: IO[bytes], header: Mapping[str, Any], payload: bytes = b"") -> None:
    """Write one message and flush it."""
    stream.write(json.dumps({**header, "bytes": len(payload)}).encode() + b"\n")
    stream.write(payload)
    stream.flush()


def receive(
    stream: IO[bytes], max_payload: int = MAX_PAYLOAD
) -> tuple[dict[str, Any], bytes] | None:
    """Read one message; None if the other side has gone.

    Raises
    ------
    ValueError
        If what comes is no message, or one of more than ``max_payload`` bytes.
    """
    line = stream.readline(MAX_HEADER)
    if not line.endswith(b"\n"):
        if len(line) == MAX_HEADER:
            raise ValueError(f"a header of more than {MAX_HEADER} bytes")
        return None
    try:
        header = json.loads(line)
        size = header.pop("bytes")
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("a header that is none") from error
    if not isinstance(size, int) or not 0 <= size <= max_payload:
        raise ValueError(f"{size!r} bytes, of {max_payload} at most")
    payload = stream.read(size)
    return (header, payload) if len(payload) == size else None


def pack(features: Mapping[str, npt.NDArray[np.float32]]) -> tuple[list[list[Any]], bytes]:
    """Names and shapes of arrays, and their bytes one after another.

    Examples
    --------
    >>> import numpy as np
    >>> table, data = pack({"a": np.ones((2, 3), np.float32)})
    >>> unpack(table, data)["a"].shape
    (2, 3)
    """
    table = [[name, list(values.shape)] for name, values in features.items()]
    return table, b"".join(np.ascontiguousarray(v, "<f4").tobytes() for v in features.values())


def unpack(table: list[list[Any]], data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """The arrays that :func:`pack` packed.

    Raises
    ------
    ValueError
        If the table does not fit the bytes.
    """
    features, start = {}, 0
    for name, shape in table:
        size = int(np.prod(shape, dtype=np.int64))
        values = np.frombuffer(data, "<f4", size, start).reshape(shape)
        features[str(name)] = values.astype(np.float32, copy=False)
        start += size * 4
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes more than the table declares")
    return features
