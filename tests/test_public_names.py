"""The names that others rely on are there, light to import, and never hidden by a module."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest

import emodask

OPTIONAL = ("torch", "skorch", "safetensors", "transformers")
"""Packages of the extras of networks, which modules of networks import at once."""


def test_every_public_name_is_a_function_or_class_whatever_was_imported_before():
    for module in pkgutil.walk_packages(emodask.__path__, "emodask."):
        if module.name != "emodask.__main__":
            try:
                __import__(module.name)
            except ModuleNotFoundError as absent:
                if absent.name not in OPTIONAL or os.environ.get("CI"):
                    raise
    for name in set(emodask.__all__) - {"__version__"}:
        assert callable(getattr(emodask, name)), name
    modules = {module.name for module in pkgutil.iter_modules(emodask.__path__)}
    assert modules.isdisjoint(emodask.__all__)


def test_importing_emodask_stays_light():
    heavy = ["dask", "distributed", "librosa", "numba", "sklearn", "zarr", "cv2", "av", "numpy"]
    code = f"import sys, emodask; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = emodask.nonsense
    assert {"scan", "extract", "open"} <= set(dir(emodask))
