"""A judge process: ``python -m emodask.page.judges.judge_side``, which the server starts."""

from __future__ import annotations

import faulthandler
import json
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from emodask.isolation.decoder_side import limit_memory, own_pipes
from emodask.isolation.messages import receive, send

if TYPE_CHECKING:
    from emodask.page.judges.bench import Bench
    from emodask.page.judges.judgement import Judgement

_GRACE = 5.0
"""Seconds after its limit that a judge ends itself, if the server that should has died."""


def main() -> None:
    """Answer requests until the server closes the pipe."""
    requests, answers = own_pipes()
    first = receive(requests)
    if first is not None:
        _serve(requests, answers, first[0])


def _serve(requests: IO[bytes], answers: IO[bytes], setup: dict[str, Any]) -> None:
    from emodask.cluster import pin_threads
    from emodask.errors import EmodaskError
    from emodask.models.bundle import load_bundle
    from emodask.page.judges.bench import Bench

    pin_threads()
    try:
        options = setup["storage_options"]
        bench = Bench([load_bundle(place, options) for place in setup["bundles"]])
    except EmodaskError as error:
        send(answers, {"error": type(error).__name__, "text": str(error)})
        return
    _warm_up(bench)
    limit_memory(int(setup["memory"]))
    cards = json.dumps([card.as_dict() for card in bench.cards]).encode()
    send(answers, {"ready": True}, cards)
    while (request := receive(requests)) is not None:
        header, _ = request
        faulthandler.dump_traceback_later(header["seconds"] + _GRACE, exit=True)
        try:
            found = bench.judge(Path(header["file"]), header["name"], header["max_seconds"])
            parts, payload = packed(found)
            answer: dict[str, Any] = {"parts": parts}
        except Exception as error:
            answer, payload = {"error": "failed", "text": f"{type(error).__name__}: {error}"}, b""
        finally:
            faulthandler.cancel_dump_traceback_later()
        send(answers, answer, payload)


def packed(judgement: Judgement) -> tuple[list[list[Any]], bytes]:
    """Names and sizes of the parts of a judgement, itself as JSON first, and their bytes."""
    from dataclasses import asdict, replace

    plain = json.dumps(asdict(replace(judgement, pictures={})), allow_nan=False).encode()
    parts = {"judgement": plain, **judgement.pictures}
    return [[name, len(data)] for name, data in parts.items()], b"".join(parts.values())


def _warm_up(bench: Bench) -> None:
    """Judge a little made-up recording: kernels are compiled, libraries loaded before people wait.

    What goes wrong with it goes wrong with nobody's recording.
    """
    from emodask.page.judges.rehearsal import rehearse

    with tempfile.TemporaryDirectory(prefix="emodask-judge-") as folder:
        try:
            rehearse(bench, Path(folder))
        except Exception as error:
            if os.environ.get("EMODASK_DEBUG"):
                raise RuntimeError("the rehearsal of a judge failed") from error


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(1)
