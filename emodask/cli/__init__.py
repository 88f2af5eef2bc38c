"""Commands: parse, call one function, print. No logic."""

from __future__ import annotations

import sys

# isort: off
# Each adds its commands to the app, in the order that --help shows.
from emodask.cli import jobs, media, download, stores, models, pretrain, predict, page, results  # noqa: F401

# isort: on
from emodask.cli.app import app
from emodask.cli.endings import run_command, wants_log_json
from emodask.cli.options import LOG_JSON
from emodask.command_line import typed

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; :mod:`emodask.cli.endings` says how it ends."""
    with typed(sys.argv[1:]):
        run_command(app, wants_log_json(sys.argv[1:], LOG_JSON))
