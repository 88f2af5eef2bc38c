"""Promises of compiled kernels: kept on disk, compiled by one process, loaded by all others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import emodask

CLIP = """
import gc, json, sys
from numba.core.dispatcher import Dispatcher
from emodask.clip_features import features_of_bytes
from emodask.job import load_job
from tests.media_files import moving_bars, mp4, tone, wav

job = load_job("hog3d-spline")
video, sound = mp4(moving_bars(4, 480, 852)), wav(tone(1.5))
features_of_bytes(job, "a", "video", video)
features_of_bytes(job, "a", "audio", sound)
kernels = [
    kernel
    for kernel in gc.get_objects()
    if isinstance(kernel, Dispatcher) and kernel.py_func.__module__.startswith("emodask.")
]
print(json.dumps({
    f"{kernel.py_func.__module__}.{kernel.py_func.__name__}": [
        len(kernel.signatures),
        sum(kernel.stats.cache_hits.values()),
        sum(kernel.stats.cache_misses.values()),
    ]
    for kernel in kernels
}))
"""


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def kernels_of_a_clip() -> dict[str, Any]:
    """Per kernel: signatures in use, how many were loaded and how many compiled."""
    done = python(CLIP)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_one_process_has_compiled_no_other_compiles():
    first, second = kernels_of_a_clip(), kernels_of_a_clip()
    assert len(second) == len(first) > 10
    assert sum(compiled for _, _, compiled in second.values()) == 0
    assert sum(loaded for _, loaded, _ in second.values()) >= 5
    # A second signature of a kernel would be another compilation in every cold start.
    assert max(signatures for signatures, *_ in first.values()) == 1


def test_where_no_cache_can_be_written_one_line_says_what_to_set(tmp_path):
    copy = tmp_path / "emodask"
    shutil.copytree(
        Path(emodask.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()  # a file, where nobody can make a folder
    shutil.copytree(Path(__file__).parents[2] / "jobs", copy / "jobs", dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "emodask", "extract", "spline", "--source", "a", "--store", "b"],
        env={
            **{key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"},
            "PYTHONPATH": str(tmp_path),
            "XDG_CACHE_HOME": "/dev/null",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("emodask: no folder can be written in which Numba keeps")
    assert done.stderr.endswith("set NUMBA_CACHE_DIR to one that can\n")
