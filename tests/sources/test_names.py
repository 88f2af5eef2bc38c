"""Promises of the name grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.sources.names import KINDS, ClipName, NameRejected, parse_name

speech = st.builds(
    ClipName,
    channel=st.just(1),
    emotion=st.integers(2, 8),
    intensity=st.integers(1, 2),
    statement=st.integers(1, 2),
    repetition=st.integers(1, 2),
    actor=st.integers(1, 24),
)
song = st.builds(
    ClipName,
    channel=st.just(2),
    emotion=st.integers(1, 6),
    intensity=st.just(1),
    statement=st.integers(1, 2),
    repetition=st.integers(1, 2),
    actor=st.integers(1, 24),
)


@given(st.one_of(speech, song), st.sampled_from(list(KINDS.values())), st.text(max_size=20))
def test_every_ravdess_name_reads_back_whatever_folder_it_lies_in(name, kind, folder):
    parsed, found = parse_name(f"{folder}/{name.file_name(kind)}")
    assert (parsed, found) == (name, kind)
    assert name.clip_id == name.file_name(kind)[3:-4]


@given(st.text(max_size=40))
def test_arbitrary_text_is_rejected_with_a_reason_or_is_canonical(text):
    reason = ""
    try:
        name, kind = parse_name(text)
    except NameRejected as rejected:
        reason = str(rejected)
    assert reason or text.lower().endswith(name.file_name(kind))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("03-01-06-01-02-01.wav", "6 part"),
        ("readme.txt", "seven two-digit numbers"),
        ("", "seven two-digit numbers"),
        ("3-01-06-01-02-01-12.wav", "'3' is not a two-digit number"),
        ("03-01-06-01-02-01-٠١.wav", "is not a two-digit number"),
        ("04-01-06-01-02-01-12.wav", "modality 04"),
        ("03-01-06-01-02-01-12.mp4", "is a .wav"),
        ("02-01-06-01-02-01-12.wav", "is a .mp4"),
        ("03-03-06-01-02-01-12.wav", "vocal channel 03"),
        ("03-01-09-01-02-01-12.wav", "emotion 09"),
        ("03-01-00-01-02-01-12.wav", "emotion 00"),
        ("03-01-06-03-02-01-12.wav", "intensity 03"),
        ("03-01-06-01-03-01-12.wav", "statement 03"),
        ("03-01-06-01-02-03-12.wav", "repetition 03"),
        ("03-01-06-01-02-01-25.wav", "actor 25 is not between 01 and 24"),
        ("03-01-06-01-02-01-00.wav", "actor 00"),
        ("03-02-07-01-02-01-12.wav", "song has no emotion 07 (disgust)"),
        ("03-01-01-02-02-01-12.wav", "neutral has no strong"),
        ("__MACOSX/._03-01-06-01-02-01-12.wav", "is not a two-digit number"),
    ],
)
def test_anything_else_is_rejected_saying_why(path, reason):
    with pytest.raises(NameRejected, match=reason.replace("(", r"\(").replace(")", r"\)")):
        parse_name(path)
