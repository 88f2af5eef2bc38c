"""Commands: parse, call one function, print. No logic."""

from __future__ import annotations

import os
import sys

# isort: off
# Each adds its commands to the app, in the order that --help shows.
from emodask.cli import jobs, media, stores, models  # noqa: F401

# isort: on
from emodask.cli.app import app
from emodask.errors import EmodaskError

__all__ = ["app", "main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line: exit code 2 for misuse, 1 for failed work, 130 after Ctrl-C."""
    try:
        app()
    except EmodaskError as error:
        sys.stderr.write(f"emodask: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("EMODASK_DEBUG"):
            raise
        from emodask.sources.location import reason

        sys.stderr.write(
            f"emodask: unexpected {type(error).__name__}: {reason(error)}. "
            "EMODASK_DEBUG=1 shows where; please report it\n"
        )
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            sys.stderr.write(
                "\nemodask: stopped; what was committed is kept. Run the same command to go on\n"
            )
        raise
