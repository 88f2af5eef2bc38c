"""A served RAVDESS record, and how tests of the download fetch from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emodask.sources.download import (
    DownloadPlan,
    DownloadSummary,
    FileNews,
    Patience,
    Selection,
    fetch,
    plan_download,
)
from tests.servers.zenodo import Zenodo, ravdess_files, zenodo

FILES = ravdess_files()
ONE, TWO, AUDIO = (
    "Video_Speech_Actor_01.zip",
    "Video_Speech_Actor_02.zip",
    "Audio_Speech_Actors_01-24.zip",
)
JUST_ONE = Selection(modalities=("video",), actors=(1,))
HURRY = Patience(connect=10, stall=30, tries=4, first_wait=0.0, longest_wait=0.0)


@pytest.fixture
def site(monkeypatch, tmp_path) -> Iterator[Zenodo]:
    def arrived(name: str) -> int:
        part = tmp_path / f"{name}.part"
        return part.stat().st_size if part.exists() else 0

    monkeypatch.delenv("ZENODO_TOKEN", raising=False)
    with zenodo(FILES) as served:
        served.arrived = arrived
        monkeypatch.setenv("EMODASK_ZENODO_URL", served.url)
        yield served


class News(list[FileNews]):
    """All that was told."""

    def notes(self, what: str) -> list[str]:
        return [news.note for news in self if news.what == what]


def plan(dest, selection=JUST_ONE, **given) -> DownloadPlan:
    return plan_download(str(dest), selection, patience=HURRY, **given)


def run(dest, selection=JUST_ONE, patience=HURRY, **given) -> tuple[DownloadSummary, News]:
    news = News()
    return fetch(plan(dest, selection), patience=patience, on_news=news.append, **given), news


def files(dest: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dest.iterdir()}


def whole(*names: str) -> dict[str, bytes]:
    return {name: FILES[name] for name in names}
