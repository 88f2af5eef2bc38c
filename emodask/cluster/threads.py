"""Threads of this process: held to one, since parallelism is by processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def pin_threads(threads: int = 1) -> None:
    """Hold BLAS, OpenMP, Numba, OpenCV and Zarr of this process to some threads.

    Parallelism is by processes: threads below a worker's own would fight for its cores. And each
    thread of Zarr's would keep memory of its own for the chunks that it has decoded.
    """
    import cv2
    import threadpoolctl

    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    cv2.setNumThreads(threads)
    os.environ["ZARR_THREADING__MAX_WORKERS"] = str(threads)  # which it reads once, when imported
    if "zarr" in sys.modules:  # decoders do without it
        sys.modules["zarr"].config.set({"threading.max_workers": threads})
    threadpoolctl.threadpool_limits(threads)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread: the same numbers come out wherever it runs."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1):
        yield
