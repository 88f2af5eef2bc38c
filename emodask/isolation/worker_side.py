"""The worker's side: keeps a decoder process, enforces its time, survives its death."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.clip_features import DECODING, Compute, Steps, add_steps
from emodask.errors import ClusterError, FeatureError, MediaError
from emodask.isolation.asking import ProcessDied, ProcessLate, ask, how_it_ended
from emodask.isolation.messages import unpack
from emodask.job import Job
from emodask.job_weights import parts_here
from emodask.sources.names import Modality

CLIP_TIMEOUT = 300.0
"""Seconds that a clip may take by default: some hundred times what an ordinary one does."""

CLIP_MEMORY = 2 << 30
"""Bytes that a decoder may allocate beyond what its libraries need, where a worker has as many."""

_START_TIMEOUT = 180.0
_TRIES = 2


class _DecoderDied(Exception):
    """The decoder process ended before it answered; the message says how."""


class Decoder:
    """One decoder process for one job; started when first needed, and again when it has died.

    Parameters
    ----------
    job : Job
    memory : int
        Bytes that it may allocate beyond what its libraries need.
    computes : bool
        Whether it loads what features need, such as the weights of networks; decoding needs none.
    """

    def __init__(self, job: Job, memory: int = CLIP_MEMORY, computes: bool = True) -> None:
        self.job = job
        self.memory = memory
        self.computes = computes
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = threading.Lock()

    def for_clip(self, seconds: float = CLIP_TIMEOUT) -> Compute:
        """A function like :func:`emodask.clip_features.features_of_bytes` for one clip.

        All calls of it together may take ``seconds``. A file on which the decoder dies or runs out
        of time is tried once more, in a fresh decoder with the whole time: the first death may have
        been the machine's fault.

        Raises
        ------
        MediaError, FeatureError
            As in this process, and if the decoder died or took too long twice.
        ClusterError
            If no decoder can be started here.
        """
        spent = 0.0

        def compute(
            job: Job, clip_id: str, modality: Modality, data: bytes, steps: Steps
        ) -> tuple[dict[str, npt.NDArray[np.float32]], int]:
            nonlocal spent
            for attempt in range(_TRIES):
                began = time.monotonic()
                limit = seconds if attempt else max(seconds - spent, 0.01)
                try:
                    with self._busy:
                        header = {"clip_id": clip_id, "modality": modality}
                        features, answer = self._ask(header, data, limit, seconds)
                        known = (DECODING[modality], *self.job.features)
                        took = {
                            str(name): float(part)
                            for name, part in answer["steps"].items()
                            if 0 <= float(part) <= seconds  # a decoder may have been taken over
                        }
                        add_steps(steps, {name: took[name] for name in known if name in took})
                        return features, int(answer["frames"])
                except _DecoderDied as died:
                    reason = str(died)
                finally:
                    spent += time.monotonic() - began
            raise MediaError(f"{reason}, {_TRIES} times")

        return compute

    def decoded(
        self, name: str, data: bytes, seconds: float = CLIP_TIMEOUT
    ) -> npt.NDArray[np.float32]:
        """The frames or the samples that the feature ``name`` is computed from.

        Raises
        ------
        MediaError
            If they cannot be decoded, or the decoder died or took longer than ``seconds``.
        ClusterError
            If no decoder can be started here.
        """
        try:
            with self._busy:
                return self._ask({"decode": name}, data, seconds, seconds)[0][name]
        except _DecoderDied as died:
            raise MediaError(str(died)) from died

    def close(self) -> None:
        """End the decoder process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()

    def close_if_idle(self) -> None:
        """End the decoder process unless another thread waits for its answer."""
        if self._busy.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._busy.release()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _ask(
        self, header: dict[str, Any], data: bytes, limit: float, allowed: float
    ) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Any]]:
        """The arrays of an answer, and what else it says."""
        process = self._start()
        answer, payload = self._exchange(
            process,
            {**header, "seconds": limit},
            data,
            limit,
            f"took longer than {allowed:g} s (--clip-timeout)",
        )
        kind = answer.get("error")
        if kind is None:
            return unpack(answer["features"], payload), answer
        if kind == "memory":
            raise MediaError(f"needs more than {self.memory / 2**30:.2g} GiB of memory")
        raise (FeatureError if kind == "feature" else MediaError)(str(answer["text"]))

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        weights = parts_here(self.job) if self.computes else None
        process = subprocess.Popen(
            [sys.executable, "-m", "emodask.isolation.decoder_side"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("EMODASK_DEBUG") else subprocess.DEVNULL,
        )
        self._process = process
        setup = {"job": self.job.settings(), "memory": self.memory, "weights": weights}
        try:
            answer, _ = self._exchange(process, setup, b"", _START_TIMEOUT, "did not start")
        except _DecoderDied as died:
            raise ClusterError(
                f"no decoder process can be started here: it {died}; "
                "EMODASK_DEBUG=1 shows what it said"
            ) from died
        if "error" in answer:
            self.close()
            raise ClusterError(f"no decoder process can be started here: {answer['text']}")
        return process

    def _exchange(
        self,
        process: subprocess.Popen[bytes],
        header: dict[str, Any],
        data: bytes,
        limit: float,
        overdue: str,
    ) -> tuple[dict[str, Any], bytes]:
        """Send a message and wait for the answer, no longer than ``limit`` seconds."""
        try:
            return ask(process, header, data, limit)
        except ProcessLate as late:
            self._process = None
            raise _DecoderDied(overdue) from late
        except ProcessDied as died:
            self._process = None
            raise _DecoderDied(how_it_ended(died.code, "the decoder")) from died


_threads = threading.local()
_decoders: weakref.WeakSet[Decoder] = weakref.WeakSet()


def decoder_of_this_thread(job: Job, memory: int = CLIP_MEMORY) -> Decoder:
    """The decoder that this thread of a worker keeps from batch to batch."""
    kept: Decoder | None = getattr(_threads, "decoder", None)
    if kept is None or (kept.job, kept.memory) != (job, memory):
        if kept is not None:
            kept.close()
        kept = _threads.decoder = Decoder(job, memory)
        _decoders.add(kept)
    return kept


def close_decoders() -> None:
    """End the idle decoder processes of all threads; one that is needed again is started again."""
    for decoder in list(_decoders):
        decoder.close_if_idle()
