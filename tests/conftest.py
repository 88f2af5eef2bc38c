"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# Kernels compile in the first example: time says nothing here.
settings.register_profile("emodask", deadline=None)
settings.load_profile("emodask")


@pytest.fixture(scope="session")
def ravdess() -> Path:
    """Folder with real RAVDESS zips; skips where they are absent, fails in CI."""
    folder = ROOT / os.environ.get("EMODASK_RAVDESS", "../shared/data/ravdess")
    if not (folder / "Audio_Speech_Actors_01-14.zip").is_file():
        message = f"no RAVDESS media in {folder}; set EMODASK_RAVDESS to a folder that has them"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder.resolve()
