"""``python -m emodask``: the command line."""

from emodask.cli import main

main()
