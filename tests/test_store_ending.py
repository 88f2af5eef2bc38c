"""How zarr's event loop ends with the interpreter: without a word on stderr."""

from __future__ import annotations

import subprocess
import sys

import pytest

BUSY_AT_THE_END = """
import sys, time
import emodask.store
import zarr
from zarr.core.sync import loop

zarr.create_group(sys.argv[1])
loop[0].call_soon_threadsafe(time.sleep, 1.5)
"""


@pytest.mark.parametrize(
    "limit", [5.0, 0.1], ids=["that stops in time", "that is left to the process"]
)
def test_a_busy_loop_at_the_end_says_nothing(tmp_path, limit):
    limited = f"emodask.store.ending._LIMIT = {limit}"
    ended = subprocess.run(
        [sys.executable, "-c", BUSY_AT_THE_END + limited, str(tmp_path / "s.zarr")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
