"""Time and added peak memory of PartialTucker against tensorly's, each in a process of its own.

Run ``python -m tests.benchmarks.bench_tucker [CLIPS]``; every process computes on one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.measuring import begin_peak, resident

SHAPE = (48, 71, 10, 9, 2)
RANKS = [8, 8, 3, 1]
MODES = [1, 2, 3, 5]
ROWS_PER_CHUNK = 12


def planted(shape: tuple[int, ...], signal: float, noise: float) -> Iterator[np.ndarray]:
    """Clips without end, float32, most of whose variance lies in ``RANKS`` of their ``MODES``."""
    rng = np.random.default_rng(0)
    core = list(shape)
    factors = {}
    for rank, mode in zip(RANKS, MODES, strict=True):
        core[mode - 1] = rank
        basis = np.linalg.qr(rng.normal(size=(shape[mode - 1], rank)))[0]
        factors[mode - 1] = basis.astype(np.float32)
    while True:
        clip = signal * rng.standard_normal(core, dtype=np.float32)
        for axis, factor in factors.items():
            clip = np.moveaxis(np.tensordot(clip, factor, axes=(axis, 1)), -1, axis)
        yield clip + noise * rng.standard_normal(shape, dtype=np.float32)


def low_rank_plus_noise(n_clips: int) -> np.ndarray:
    """Clips whose planted subspaces carry most of the variance, float32, (n_clips, *SHAPE)."""
    clips = np.empty((n_clips, *SHAPE), np.float32)
    for clip, made in zip(clips, planted(SHAPE, signal=15, noise=0.3), strict=False):
        clip[:] = made
    return clips


def measure(which: str, folder: Path) -> None:
    """Fit once in this process; print seconds, added MB, relative error and sweeps as JSON."""
    if which in ("emodask-zarr", "reducer-zarr"):
        import dask
        import dask.array

        dask.config.set(scheduler="synchronous")
        clips = dask.array.from_zarr(str(folder / "clips.zarr"))
        clips[:1].sum().compute()  # imports and codec start-up are not the fit's
    else:
        clips = np.load(folder / "clips.npy")
    if which == "tensorly":
        from tensorly.decomposition import partial_tucker
    else:
        from emodask.reduction import PartialTucker, TensorReducer
    begin_peak()
    before = resident("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    if which == "tensorly":
        _, errors = partial_tucker(clips, RANKS, modes=MODES)
        error, sweeps = float(errors[-1]), len(errors)
    else:
        estimator = (TensorReducer if "reducer" in which else PartialTucker)(RANKS, MODES)
        fitted = estimator.fit(clips)
        tucker = fitted.tucker_ if "reducer" in which else fitted
        error, sweeps = tucker.reconstruction_error_, tucker.n_iter_
    found = {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - start_cpu,
        "added_mb": resident("VmHWM") - before,
        "error": error,
        "sweeps": sweeps,
    }
    print(json.dumps(found))


def main(n_clips: int = 200) -> None:
    """Write the clips, measure every implementation, print one line for each."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(threads, "1")
    with tempfile.TemporaryDirectory() as folder:
        import zarr

        clips = low_rank_plus_noise(n_clips)
        np.save(Path(folder) / "clips.npy", clips)
        store = zarr.create_array(
            str(Path(folder) / "clips.zarr"),
            shape=clips.shape,
            dtype=clips.dtype,
            chunks=(ROWS_PER_CHUNK, *SHAPE),
        )
        store[:] = clips
        print(f"{n_clips} clips of {SHAPE} float32, {clips.nbytes / 2**20:.0f} MB, one thread")
        del clips
        baseline = None
        for which in ("tensorly", "emodask", "emodask-zarr", "reducer", "reducer-zarr"):
            command = [sys.executable, "-m", "tests.benchmarks.bench_tucker", which, folder]
            output = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            ).stdout
            found = json.loads(output.splitlines()[-1])
            baseline = baseline or found
            print(
                f"{which:>13}: {found['seconds']:6.2f} s "
                f"({baseline['seconds'] / found['seconds']:5.1f}x)  CPU {found['cpu']:6.2f} s "
                f"({baseline['cpu'] / found['cpu']:5.1f}x)  "
                f"+{found['added_mb']:5.0f} MB  error {found['error']:.6f}  "
                f"sweeps {found['sweeps']}",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:]))
