"""Promises of names of corpora: TESS beside RAVDESS wherever media lie, odd names with reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.emotions import CODES
from emodask.sources.catalogue import scan
from emodask.sources.corpora import corpus_of, credit_of, read_name
from emodask.sources.names import NameRejected
from emodask.sources.tess import EMOTION_WORDS, SPEAKERS, TessName, parse_tess
from tests.media_files import zip_of

FOLDER = "TESS Toronto emotional speech set data"
TESS = {
    f"{FOLDER}/OAF_angry/OAF_back_angry.wav": b"a",
    f"{FOLDER}/OAF_Pleasant_surprise/OAF_back_ps.wav": b"b",
    f"{FOLDER}/YAF_fear/YAF_dog_fear.wav": b"c",
    f"{FOLDER}/OAF_neutral/OA_bite_neutral.wav": b"d",
}
IDS = ["OAF_bite_neutral", "OAF_back_angry", "OAF_back_ps", "YAF_dog_fear"]

names = st.builds(
    TessName,
    speaker=st.sampled_from(list(SPEAKERS)),
    word=st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=9),
    emotion_word=st.sampled_from(list(EMOTION_WORDS)),
)


@given(names, st.text(max_size=20))
def test_every_tess_name_reads_back_whatever_folder_it_lies_in(name, folder):
    assert parse_tess(f"{folder}/{name.clip_id}.wav") == name
    assert parse_tess(f"{name.clip_id.upper()}.WAV") == name
    assert corpus_of(name.clip_id) == "tess"


def test_the_seven_emotions_and_two_speakers_of_tess():
    assert {word: CODES[name] for word, name in EMOTION_WORDS.items()} == {
        "neutral": CODES["neutral"],
        "happy": CODES["happy"],
        "sad": CODES["sad"],
        "angry": CODES["angry"],
        "fear": CODES["fearful"],
        "disgust": CODES["disgust"],
        "ps": CODES["surprised"],
    }
    assert set(SPEAKERS.values()).isdisjoint(range(25))


@pytest.mark.parametrize("how", ["folder", "zip", "manifest", "manifest of a zip"])
def test_tess_is_understood_wherever_it_lies(tmp_path, how):
    if how == "folder" or how == "manifest":
        for name, content in TESS.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        paths = list(TESS)
    else:
        zip_of(tmp_path / "tess.zip", TESS)
        paths = [f"zip://{name}::tess.zip" for name in TESS]
    source = tmp_path
    if how.startswith("manifest"):
        source = tmp_path / "m.csv"
        lines = "".join(f"{path},,,\n" for path in paths)
        source.write_text(f"path,clip_id,actor,emotion\n{lines}")
    catalogue = scan(str(source))
    assert catalogue.problems == ()
    assert [clip.clip_id for clip in catalogue.clips] == IDS
    assert catalogue.corpora == ("tess",)
    assert [(clip.actor, clip.emotion, clip.channel, clip.corpus) for clip in catalogue.clips] == [
        *((101, emotion, 1, "tess") for emotion in (1, 5, 8)),
        (102, 6, 1, "tess"),
    ]
    assert catalogue.clips[0].media_for("audio").read() == b"d"
    assert catalogue.clips[0].media_for("video") is None


def test_two_corpora_in_one_catalogue_share_no_actor_and_no_clip(tmp_path):
    zip_of(tmp_path / "tess.zip", TESS)
    zip_of(tmp_path / "ravdess.zip", {"Actor_02/03-02-04-01-01-01-02.wav": b"x"})
    catalogue = scan(str(tmp_path))
    assert catalogue.actors == (2, 101, 102)
    assert catalogue.corpora == ("ravdess", "tess")
    assert [clip.corpus for clip in catalogue.clips] == ["ravdess"] + ["tess"] * 4


def test_a_name_in_two_spellings_is_a_duplicate_by_name(tmp_path):
    zip_of(tmp_path / "a.zip", {"OA_bite_neutral.wav": b"x", "OAF_bite_neutral.wav": b"y"})
    catalogue = scan(str(tmp_path))
    assert [clip.clip_id for clip in catalogue.clips] == ["OAF_bite_neutral"]
    (problem,) = catalogue.problems
    assert problem.what == "duplicate"
    assert problem.where.endswith("a.zip/OAF_bite_neutral.wav")
    assert "audio-only of OAF_bite_neutral is read from" in problem.reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("OAF_back.wav", "not a TESS name: .* as in OAF_back_angry.wav, but it has 2 part"),
        ("YAF_dog_ps_2.wav", "4 part"),
        ("OAF_back_furious.wav", "emotion 'furious' is not one of neutral, happy, .* ps"),
        ("OAF_b4ck_angry.wav", "'b4ck' is not a word"),
        ("OAF__angry.wav", "'' is not a word"),
        ("YAF_dog_ps.mp4", "TESS is .wav files, not .mp4"),
        ("YAF_dog_ps", "not bare"),
        ("._OAF_back_angry.wav", "seven two-digit numbers"),
        ("XAF_back_angry.wav", "seven two-digit numbers"),
    ],
)
def test_odd_names_are_rejected_saying_why(path, reason):
    with pytest.raises(NameRejected, match=reason):
        read_name(path)


@given(st.text(max_size=30))
def test_a_clip_of_any_other_name_is_of_no_known_corpus_or_reads_back(text):
    corpus = corpus_of(text)
    assert corpus in ("", "ravdess", "tess")
    if corpus:
        assert read_name(f"{'03-' if corpus == 'ravdess' else ''}{text}.wav")[0].clip_id == text


def test_credits_are_given_for_known_corpora_alone():
    assert "Livingstone" in credit_of(["ravdess", "tess", "tess"])
    assert "Pichora-Fuller" in credit_of(["ravdess", "tess"])
    assert "Pichora-Fuller" not in credit_of(["ravdess"])
    assert credit_of(["ravdess", "mine"]) == credit_of([""]) == ""
