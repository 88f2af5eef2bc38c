"""Splits across statements, channels and corpora: both sides differ in it, and share no actor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import EvaluationError
from emodask.evaluation.identities import Identities
from emodask.evaluation.protocols import split

CROSSED = ("statement-held-out", "speech-to-song", "cross-corpus")


def clips_of(*rows: tuple[int, int, int, int, str]) -> Identities:
    """Clips of (actor, emotion, statement, channel, corpus)."""
    actor, emotion, statement, channel, corpus = zip(*rows, strict=True)
    return Identities.of(actor, emotion, statement, channel, corpus)


@st.composite
def corpora(draw) -> Identities:
    """Two corpora of speakers of their own, who speak and sing both statements."""
    rows = []
    for corpus, first in (("ravdess", 1), ("tess", 101)):
        for actor in range(first, first + draw(st.integers(1, 4))):
            sides = [(e, s, c) for e in (3, 5) for s in (1, 2) for c in (1, 2)]
            more = st.tuples(st.integers(1, 8), st.integers(0, 2), st.integers(0, 2))
            sides += draw(st.lists(more, max_size=6))
            rows += [(actor, *side, corpus) for side in sides]
    rows += [(0, 3, 1, 1, "ravdess"), (200, 3, 0, 0, "")]
    return clips_of(*draw(st.permutations(rows)))


@pytest.mark.parametrize("name", CROSSED)
@given(clips=corpora())
def test_no_actor_is_on_both_sides_and_no_clip_is_tested_twice(name, clips):
    found = split(name, clips)
    for fold in found.folds:
        assert not set(clips.actor[fold.train]) & set(clips.actor[fold.test])
        assert (np.diff(fold.train) > 0).all()
        assert (np.diff(fold.test) > 0).all()
    tested = np.concatenate([fold.test for fold in found.folds])
    assert len(np.unique(tested)) == len(tested)
    assert (clips.actor[tested] > 0).all()


@given(clips=corpora())
def test_no_statement_is_on_both_sides(clips):
    found = split("statement-held-out", clips)
    for fold in found.folds:
        assert not set(clips.statement[fold.train]) & set(clips.statement[fold.test])
        assert len(set(clips.statement[fold.test])) == len(set(clips.actor[fold.test])) == 1
    tested = np.concatenate([fold.test for fold in found.folds])
    known = np.flatnonzero((clips.statement > 0) & (clips.actor > 0))
    assert np.array_equal(np.sort(tested), known)
    left_out = (clips.actor > 0).sum() - len(known)
    assert any("whose statement is not known" in note for note in found.notes) == (left_out > 0)


@given(clips=corpora())
def test_what_is_spoken_trains_and_what_is_sung_is_tested(clips):
    for fold in split("speech-to-song", clips).folds:
        assert set(clips.channel[fold.train]) == {1}
        assert set(clips.channel[fold.test]) == {2}
        (actor,) = set(clips.actor[fold.test])
        others = (clips.channel == 1) & (clips.actor > 0) & (clips.actor != actor)
        assert np.array_equal(fold.train, np.flatnonzero(others))


@given(clips=corpora())
def test_each_corpus_is_tested_by_what_is_learnt_on_the_other(clips):
    found = split("cross-corpus", clips)
    assert [fold.name for fold in found.folds] == ["test-ravdess", "test-tess"]
    for fold, other in zip(found.folds, ("tess", "ravdess"), strict=True):
        assert set(clips.corpus[fold.train]) == {other}
        assert set(clips.corpus[fold.test]) == {fold.name.removeprefix("test-")}
    assert "1 clip whose corpus is not known: in no fold" in found.notes


def test_a_ravdess_of_four_actors_is_held_out_by_actor_and_statement():
    rows = [(a, e, s, 1, "ravdess") for a in range(1, 5) for e in (3, 5, 8) for s in (1, 2)]
    found = split("statement-held-out", clips_of(*rows))
    assert len(found.folds) == 8
    assert found.folds[1].name == "actor-01-statement-2"
    assert {(len(fold.train), len(fold.test)) for fold in found.folds} == {(9, 3)}
    assert found.notes == ()


def test_actors_who_do_not_sing_train_and_song_without_an_emotion_tests_the_others():
    spoken = [(a, e, 1, 1, "ravdess") for a in (17, 18, 19) for e in range(1, 9)]
    sung = [(a, e, 1, 2, "ravdess") for a in (17, 19) for e in range(1, 7)]
    found = split("speech-to-song", clips_of(*spoken, *sung))
    assert [fold.name for fold in found.folds] == ["actor-17", "actor-19"]
    assert [len(fold.train) for fold in found.folds] == [16, 16]
    assert found.notes == ("actors 18 do not sing: trained on, not tested",)


RAVDESS = [(a, e, s, 1, "ravdess") for a in (1, 2) for e in (3, 5) for s in (1, 2)]


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        (
            "statement-held-out",
            [row for row in RAVDESS if row[2] == 2],
            r"at least 2 statements, as RAVDESS's 01 and 02 .*; there is statement 2 alone, in 4",
        ),
        (
            "statement-held-out",
            [(a, e, 0, 1, "tess") for a in (101, 102) for e in (3, 5)],
            "there is no clip of a known one, in 4 clips",
        ),
        (
            "speech-to-song",
            RAVDESS,
            r'8 clips of speech and 0 of song among 8\. Name both .*channels = \["speech", "song"',
        ),
        (
            "cross-corpus",
            RAVDESS,
            r"at least 2 corpora; there is ravdess alone, in 8 clips\. Pass sources of another",
        ),
        (
            "cross-corpus",
            [(*row[:4], "") for row in RAVDESS],
            "there is no clip of a known one, in 8 clips",
        ),
        (
            "loso",
            [*RAVDESS, (2, 3, 1, 1, "mine")],
            "actor 2 is a speaker of mine and of ravdess, who would count as one person",
        ),
    ],
)
def test_what_clips_do_not_allow_is_refused_saying_what_there_is(name, rows, message):
    with pytest.raises(EvaluationError, match=message):
        split(name, clips_of(*rows))


BOTH = [(a, e, 1, 1, "ravdess") for a in range(1, 25) for e in (3, 5)] + [
    (a, e, 0, 1, "tess") for a in (101, 102) for e in (3, 5)
]


@pytest.mark.parametrize("name", ["luna-5", "emobox-6"])
def test_published_groups_stay_and_speakers_of_other_corpora_join_them_with_a_note(name):
    clips = clips_of(*BOTH)
    found = split(name, clips)
    (note,) = found.notes
    assert (
        "actors 101-102 are in no published group; each in turn was dealt to the smallest" in note
    )
    alone = split(name, clips_of(*BOTH[:48]))
    for fold, published in zip(found.folds, alone.folds, strict=True):
        tested = {a for a in clips.actor[fold.test].tolist() if a < 25}
        assert tested == set(clips.actor[published.test].tolist())


def test_a_split_by_ravdess_codes_leaves_speakers_of_other_corpora_out_and_says_so():
    clips = clips_of(*BOTH)
    found = split("actors-20-4", clips)
    (fold,) = found.folds
    assert set(clips.actor[fold.test].tolist()) == {21, 22, 23, 24}
    assert set(clips.corpus[fold.train].tolist()) == {"ravdess"}
    assert found.notes == ("actors 101-102 are on neither side",)


def test_codes_of_another_corpus_are_not_taken_for_ravdess_actors():
    rows = [(a, e, 1, 1, "mine") for a in (2, 3, 10, 8) for e in (3, 5)]
    found = split("luna-5", clips_of(*rows))
    assert "the groups lack actors 1-24, who are absent" in found.notes
    assert any("actors 2-3, 8, 10 are in no published group" in note for note in found.notes)
    (fold,) = split("actors-20-4", clips_of(*rows)).folds
    assert set(clips_of(*rows).actor[fold.test].tolist()) == {10}


def test_speakers_are_held_out_across_corpora():
    clips = clips_of(*BOTH)
    folds = split("loso", clips).folds
    assert [fold.name for fold in folds][-2:] == ["actor-101", "actor-102"]
    assert set(clips.corpus[folds[0].train].tolist()) == {"ravdess", "tess"}
