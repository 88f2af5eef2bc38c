"""Promises of texts for pages: no folders of this machine in them, whatever these are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from emodask.scrubbing import without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jane doe/secret study/a.wav: cut", "a.wav: cut"),
        ("file:///home/jane/data/a.wav: cut", "a.wav: cut"),
        ("zip://a.wav::file:///home/jane/a.zip", "zip://a.wav::a.zip"),
        ("/data/a.wav is no text/plain", "a.wav is no text/plain"),
        ("see /a/b and /c/d", "see b and d"),
        ("s3://bucket/some/a.wav", "s3://bucket/some/a.wav"),
    ],
)
def test_folders_are_left_out(text, shown):
    assert without_folders(text) == shown


@pytest.mark.parametrize("rest", ["a.wav", "below/a.wav"])
def test_folders_that_are_known_are_left_out_whatever_they_are_called(tmp_path, monkeypatch, rest):
    here = tmp_path / "o'neil, jane: study"
    here.mkdir()
    monkeypatch.chdir(here)
    assert without_folders(f"{Path.cwd()}/{rest}: cut") == "a.wav: cut"
