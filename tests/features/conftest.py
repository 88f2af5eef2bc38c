"""Fixtures that tests of features share: a synthetic speaker, large enough to be seen."""

from __future__ import annotations

import zipfile

import pytest

from emodask.sources.synth import synthesize


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An mp4 of a synthetic actor's face."""
    paths = synthesize(
        tmp_path_factory.mktemp("speaker"),
        actors=1,
        clips=8,
        size=(320, 180),
        seconds=0.7,
        modalities=("video-only",),
        workers=1,
    )
    (path,) = (path for path in paths if path.suffix == ".zip")
    with zipfile.ZipFile(path) as archive:
        return archive.read(min(n for n in archive.namelist() if n.endswith(".mp4")))
