"""Bundles of the small job, and small recordings to predict along."""

from __future__ import annotations

import pytest

from emodask.fitting import fit
from emodask.job import parse_job
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav

ADAPTED = parse_job({**SMALL, "evaluation": {"protocols": ["loso"], "speaker_adapted": True}})


@pytest.fixture(scope="session")
def both(small_store, tmp_path_factory):
    """A bundle that sees and hears, and holds a speaker-adapted model."""
    folder = tmp_path_factory.mktemp("bundle") / "both"
    fit(ADAPTED, small_store, folder)
    return folder


@pytest.fixture(scope="session")
def voice(small_store, tmp_path_factory):
    """A bundle that hears alone."""
    folder = tmp_path_factory.mktemp("bundle") / "voice"
    fit(parse_job(SMALL), small_store, folder, model="svc")
    return folder


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Folder with ``talk.mp4`` (2.5 s at 30 frames/s, with sound) and ``talk.wav`` (2.5 s)."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "talk.mp4").write_bytes(mp4(moving_bars(75), sound=tone(2.5)))
    (folder / "talk.wav").write_bytes(wav(tone(2.5), subtype="FLOAT"))
    return folder
