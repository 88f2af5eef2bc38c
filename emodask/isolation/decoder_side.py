"""The decoder process: ``python -m emodask.isolation.decoder_side``, started by a worker."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from typing import IO, Any

from emodask.isolation.messages import pack, receive, send

_GRACE = 5.0
"""Seconds after its limit that a decoder ends itself, if the worker that should has died."""


def main() -> None:
    """Answer requests until the worker closes the pipe."""
    requests, answers = own_pipes()
    first = receive(requests)
    if first is None:
        return
    _serve(requests, answers, first[0])


def own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output of this process for messages alone; stops are left to others."""
    # Both reach a whole process group; what then happens to the clip is the worker's to decide.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the answers.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


def _serve(requests: IO[bytes], answers: IO[bytes], setup: dict[str, Any]) -> None:
    from emodask.clip_features import decoded_media, features_of_bytes
    from emodask.cluster import pin_threads
    from emodask.errors import EmodaskError, FeatureError, MediaError
    from emodask.features import family
    from emodask.job import parse_job
    from emodask.job_weights import know_parts

    pin_threads()
    job = parse_job(setup["job"])
    try:
        if setup["weights"] is not None:
            know_parts(setup["weights"])
            for feature in job.features.values():
                family(feature.kind).prepare(feature.settings)
    except EmodaskError as error:  # such as weights that are damaged, or no PyTorch
        send(answers, {"error": "start", "text": str(error)})
        return
    limit_memory(int(setup["memory"]))
    send(answers, {"ready": True})
    while (request := receive(requests)) is not None:
        header, data = request
        faulthandler.dump_traceback_later(header["seconds"] + _GRACE, exit=True)
        try:
            steps: dict[str, float] = {}
            if (name := header.get("decode")) is not None:
                features, frames = {name: decoded_media(job, name, data)}, 0
            else:
                clip_id, modality = header["clip_id"], header["modality"]
                features, frames = features_of_bytes(job, clip_id, modality, data, steps)
            table, payload = pack(features)
            answer = {"features": table, "frames": frames, "steps": steps}
        except MemoryError:
            answer, payload = {"error": "memory"}, b""
        except FeatureError as error:
            answer, payload = {"error": "feature", "text": str(error)}, b""
        except MediaError as error:
            answer, payload = {"error": "media", "text": str(error)}, b""
        except Exception as error:
            answer, payload = {"error": "media", "text": f"{type(error).__name__}: {error}"}, b""
        finally:
            faulthandler.cancel_dump_traceback_later()
        send(answers, answer, payload)


def limit_memory(extra: int) -> None:
    """Let this process allocate no more than ``extra`` bytes beyond what it has now.

    Allocations above that fail inside this process, as a ``MemoryError`` or a codec's own error. On
    systems other than Linux nothing is limited: their kernels do not count what libraries map.
    """
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    limit = int(fields["VmData"].split()[0]) * 1024 + extra
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(1)
