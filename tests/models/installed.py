"""Classifiers that need a package beyond scikit-learn."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from emodask.models.classifiers import CLASSIFIERS


def needs(kind: str) -> None:
    """Skip where the package of a kind is absent; fail in CI."""
    package = CLASSIFIERS[kind].package if kind in CLASSIFIERS else ""
    if package and find_spec(package) is None:
        message = f"{package} is not installed; pip install 'emodask[{package}]'"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
