"""How commands end where a signal comes at a bad moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATE = """
import os, signal, time
from emodask.cli.endings import run_command

class Late:
    def __del__(self):  # what is raised here, Python drops
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.2)

def work():
    late = Late()
    del late
    time.sleep(20)
    raise SystemExit(0)

run_command(work, log_json=False)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_that_comes_in_a_finaliser_is_not_lost(name, code):
    """Python prints and forgets what is raised there: the command went on."""
    words = [sys.executable, "-c", LATE.format(name=name)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert "stopped; what was committed is kept" in done.stderr
