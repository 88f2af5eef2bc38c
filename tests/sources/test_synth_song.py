"""Sung synthetic clips: named as RAVDESS names song, and other sounds than the spoken ones."""

from __future__ import annotations

import zipfile

import pytest

from emodask.errors import UsageError
from emodask.sources.catalogue import scan
from emodask.sources.synth import clip_order, synthesize

SMALL = {"actors": 1, "size": (64, 36), "seconds": 0.5, "workers": 1, "modalities": ["audio-only"]}


def test_sung_clips_are_named_as_ravdess_names_them_beside_the_spoken(tmp_path):
    (sung,) = synthesize(tmp_path, clips=3, channel="song", **SMALL)
    (spoken,) = synthesize(tmp_path, clips=3, **SMALL)
    assert sung.name == "Audio_Song_Actors_01-01.zip"
    catalogue = scan(str(tmp_path))
    assert catalogue.problems == ()
    assert [clip.clip_id for clip in catalogue.select(channels=[2]).clips] == [
        f"02-0{emotion}-01-01-01-01" for emotion in (1, 2, 3)
    ]
    sizes = [{i.file_size for i in zipfile.ZipFile(path).infolist()} for path in (sung, spoken)]
    assert min(sizes[0]) > max(sizes[1])


def test_song_has_its_six_emotions_alone():
    order = clip_order(1, channel="song")
    assert len({clip.clip_id for clip in order}) == len(order) == 44
    assert {clip.emotion for clip in order} == {1, 2, 3, 4, 5, 6}


def test_more_clips_than_ravdess_has_of_song_are_refused(tmp_path):
    with pytest.raises(UsageError, match="45 clips an actor: give 1 to 44, as RAVDESS has of song"):
        synthesize(tmp_path, clips=45, channel="song", **SMALL)
