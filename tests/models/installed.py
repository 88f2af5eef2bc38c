"""Classifiers that need a package beyond scikit-learn."""

from __future__ import annotations

import os

import pytest

from emodask.models.classifiers import CLASSIFIERS


def needs(kind: str) -> None:
    """Skip where the package of a kind is absent; fail in CI."""
    absent = CLASSIFIERS[kind].absent if kind in CLASSIFIERS else ""
    if absent:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{kind}: {absent}")
