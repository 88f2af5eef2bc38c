"""Promises of manifests: other corpora come in, and every mistake names its line."""

from __future__ import annotations

import pytest

from emodask.errors import SourceError
from emodask.sources.catalogue import scan
from tests.media_files import zip_of

HEADER = "path,clip_id,actor,emotion\n"


def write(folder, text):
    path = folder / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_other_corpora_come_in_by_name_of_emotion(tmp_path):
    (tmp_path / "OAF_back_angry.wav").write_bytes(b"sound")
    zip_of(tmp_path / "b.zip", {"in/side.mp4": b"picture"})
    text = (
        "path,clip_id,actor,emotion,intensity,modality\n"
        "OAF_back_angry.wav,OAF_back,31,Angry,2,\n"
        "zip://in/side.mp4::b.zip,OAF_back,31,angry,2,video-only\n"
    )
    (clip,) = scan(write(tmp_path, text)).clips
    assert (clip.clip_id, clip.actor, clip.emotion, clip.intensity) == ("OAF_back", 31, 5, 2)
    assert clip.media_for("audio").read() == b"sound"
    assert clip.media_for("video").read() == b"picture"


def test_a_clip_described_in_two_ways_is_reported(tmp_path):
    text = HEADER + "a.wav,x,1,angry\nb.mp4,x,2,angry\n"
    catalogue = scan(write(tmp_path, text))
    assert len(catalogue) == 1
    assert catalogue.problems[0].what == "duplicate"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header with the columns path, clip_id, actor, emotion"),
        ("path,clip_id\na,b\n", "missing: actor, emotion"),
        (HEADER + "a.wav,x,1,furious\n", "line 2: emotion is 'furious'; expected one of neutral"),
        (HEADER + "a.wav,x,one,angry\n", "line 2: actor is 'one'; expected an integer"),
        (HEADER + "a.wav,x,0,angry\n", "line 2: actor is '0'"),
        (HEADER + "a.wav,x,99999,angry\n", "line 2: actor is '99999'"),
        (HEADER + "a.wav,,1,angry\n", "line 2: clip_id is ''"),
        (HEADER + "a.txt,x,1,angry\n", "line 2: path is 'a.txt'; expected a file ending in"),
        (HEADER + ",x,1,angry\n", "line 2: path is ''"),
        (HEADER + "a.wav,x,1,angry\nb.wav,y,1,angry,more\n", "line 3: more fields"),
        (HEADER + "zip://m.wav,x,1,angry\n", "names no archive"),
        (HEADER + 'a.wav,"x,1,angry\n', "well-formed CSV"),
    ],
)
def test_every_mistake_names_the_line_and_what_would_be_right(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        scan(write(tmp_path, text))


def test_a_member_that_the_archive_lacks_is_named(tmp_path):
    zip_of(tmp_path / "b.zip", {"m.wav": b"x"})
    with pytest.raises(SourceError, match=r"b\.zip holds no member 'other\.wav'"):
        scan(write(tmp_path, HEADER + "zip://other.wav::b.zip,x,1,angry\n"))


def test_a_manifest_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SourceError, match="not UTF-8"):
        scan(str(path))


def test_a_line_may_name_its_corpus_and_known_names_need_not(tmp_path):
    text = (
        "path,clip_id,actor,emotion,corpus\n"
        "a.wav,s01,201,happy,CREMA-D\nb.wav,s02,201,sad,\nc.wav,YAF_dog_ps,102,surprised,\n"
    )
    clips = scan(write(tmp_path, text)).clips
    found = {clip.clip_id: clip.corpus for clip in clips}
    assert found == {"YAF_dog_ps": "tess", "s01": "crema-d", "s02": ""}


def test_a_line_says_more_than_the_name_of_its_file(tmp_path):
    text = "path,clip_id,actor,emotion,repetition\nOAF_back_angry.wav,,,,2\n"
    (clip,) = scan(write(tmp_path, text)).clips
    assert (clip.clip_id, clip.actor, clip.repetition) == ("OAF_back_angry", 101, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "a.wav,,,\n", "line 2: clip_id is ''; expected 1 to 200"),
        ("path,clip_id,actor,emotion,corpus\na.wav,x,1,sad,my corpus\n", "corpus is 'my corpus'"),
    ],
)
def test_a_line_that_says_too_little_or_nonsense_is_refused(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        scan(write(tmp_path, text))
