"""Splits keep their promises: no shared actors, fixed by the seed, and every change is noted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emodask.errors import EvaluationError, JobError
from emodask.evaluation import protocols
from emodask.evaluation.assignments import EMOBOX_6, LUNA_5
from emodask.evaluation.identities import Identities, actor_ranges
from emodask.evaluation.protocols import PROTOCOLS

CROSSED = ("statement-held-out", "speech-to-song", "cross-corpus")
"""Protocols that need more columns than actors and emotions; test_crossed_protocols.py has them."""
PLAIN = [name for name in PROTOCOLS if name not in CROSSED]
INDEPENDENT = [name for name in PLAIN if PROTOCOLS[name].speaker_independent]


def split(name, actors, labels, seed=0):
    return protocols.split(name, Identities.of(actors, labels), seed)


@st.composite
def clips(draw):
    """Actors and labels in any order; every actor has three emotions, so most protocols apply."""
    present = draw(st.lists(st.integers(1, 30), min_size=2, max_size=12, unique=True))
    pairs = [(a, e) for a in present for e in (3, 5, 8)]
    pairs += draw(
        st.lists(st.tuples(st.sampled_from([*present, 0]), st.integers(1, 8)), max_size=40)
    )
    shuffled = draw(st.permutations(pairs))
    return np.array([a for a, _ in shuffled]), np.array([e for _, e in shuffled])


def _full(n_each: int = 60) -> tuple[np.ndarray, np.ndarray]:
    actors = np.repeat(np.arange(1, 25), n_each)
    return actors, np.tile(np.arange(n_each) % 8 + 1, 24)


def _split_or_none(name, actors, labels, seed=0):
    """Give a split, or None where all present actors are in one group, which is refused."""
    if name == "within-actor":
        # A draw may leave one emotion to train on, which is refused: make all clips distinct.
        labels = np.arange(len(labels))
    try:
        return split(name, actors, labels, seed)
    except EvaluationError:
        groups = {"luna-5": LUNA_5, "emobox-6": EMOBOX_6}[name]
        assert any(set(actors.tolist()) - {0} <= set(group) for group in groups)
        return None


@pytest.mark.parametrize("name", INDEPENDENT)
@settings(deadline=None, max_examples=40)
@given(data=clips())
def test_speaker_independent_folds_never_share_an_actor(name, data):
    actors, labels = data
    found = _split_or_none(name, actors, labels)
    for fold in found.folds if found else ():
        assert not set(actors[fold.train]) & set(actors[fold.test])


@pytest.mark.parametrize("name", PLAIN)
@settings(deadline=None, max_examples=40)
@given(data=clips())
def test_folds_are_valid_disjoint_and_leave_out_unknown_actors(name, data):
    actors, labels = data
    found = _split_or_none(name, actors, labels)
    if found is None:
        return
    tested = np.concatenate([fold.test for fold in found.folds])
    assert len(np.unique(tested)) == len(tested)
    for fold in found.folds:
        both = np.concatenate([fold.train, fold.test])
        assert len(fold.train)
        assert len(fold.test)
        assert len(np.unique(both)) == len(both)
        assert np.isin(both, np.flatnonzero(actors > 0)).all()
        assert (np.diff(fold.train) > 0).all()
        assert (np.diff(fold.test) > 0).all()
    if name not in ("actors-20-4", "within-actor", "random-80-20"):
        assert np.array_equal(np.sort(tested), np.flatnonzero(actors > 0))
    assert any("not known" in note for note in found.notes) == (actors == 0).any()


@pytest.mark.parametrize("name", PLAIN)
@settings(deadline=None, max_examples=20)
@given(data=clips(), seed=st.integers(0, 2**32))
def test_the_same_clips_and_seed_give_the_same_folds(name, data, seed):
    first, second = (_split_or_none(name, *data, seed) for _ in range(2))
    if first is None:
        return
    assert first.notes == second.notes
    for a, b in zip(first.folds, second.folds, strict=True):
        assert a.name == b.name
        assert np.array_equal(a.train, b.train)
        assert np.array_equal(a.test, b.test)


@settings(deadline=None, max_examples=40)
@given(data=clips(), seed=st.integers(0, 2**32))
def test_within_actor_trains_two_thirds_of_each_actor(data, seed):
    actors, labels = data
    (fold,) = _split_or_none("within-actor", actors, labels, seed).folds
    for actor in set(actors.tolist()) - {0}:
        n = int((actors == actor).sum())
        n_train = int((actors[fold.train] == actor).sum())
        assert n_train == min(max(round(2 * n / 3), 1), max(n - 1, 1))
        assert n_train + int((actors[fold.test] == actor).sum()) == n


@settings(deadline=None, max_examples=40)
@given(data=clips(), seed=st.integers(0, 2**32))
def test_within_actor_depends_on_an_actors_own_clips_alone(data, seed):
    actors, labels = data
    (whole,) = _split_or_none("within-actor", actors, labels, seed).folds
    actor = actors[actors > 0][0]
    own = np.flatnonzero(actors == actor)
    (alone,) = _split_or_none("within-actor", actors[own], labels[own], seed).folds
    assert np.array_equal(own[alone.test], whole.test[actors[whole.test] == actor])


def test_within_actor_is_forty_twenty_and_drawn_by_the_seed():
    actors, labels = _full()
    (first,), (other,) = (split("within-actor", actors, labels, s).folds for s in (0, 1))
    assert (np.bincount(actors[first.train])[1:] == 40).all()
    assert (np.bincount(actors[first.test])[1:] == 20).all()
    assert not np.array_equal(first.test, other.test)


def test_within_actor_draws_each_actor_anew():
    actors, labels = _full()
    (fold,) = split("within-actor", actors, labels).folds
    places = {tuple(fold.test[actors[fold.test] == a] % 60) for a in range(1, 25)}
    assert len(places) == 24


def test_random_splits_are_leaky_and_say_why():
    leaky = [name for name, protocol in PROTOCOLS.items() if protocol.leaky_reason]
    assert leaky == ["within-actor", "random-80-20"]
    assert not any(PROTOCOLS[name].speaker_independent for name in leaky)


def test_random_80_20_trains_four_fifths_of_all_clips_drawn_by_the_seed():
    actors, labels = _full()
    (first,), (other,) = (split("random-80-20", actors, labels, s).folds for s in (0, 1))
    assert len(first.train) == 1152
    assert len(first.test) == 288
    assert not np.array_equal(first.test, other.test)


def test_within_actor_trains_on_a_single_clip():
    found = split("within-actor", [1, 2, 2, 2], [3, 3, 5, 5])
    assert 0 in found.folds[0].train
    assert found.notes == ("actors with one clip, which is trained on: 1",)


def test_full_ravdess_splits_as_published_without_notes():
    actors, labels = _full(8)
    for name, groups in (("luna-5", LUNA_5), ("emobox-6", EMOBOX_6)):
        found = split(name, actors, labels)
        assert found.notes == ()
        assert [sorted(set(actors[f.test].tolist())) for f in found.folds] == [
            sorted(g) for g in groups
        ]
    assert split("loso", actors, labels).notes == ()
    assert [f.name for f in split("loso", actors, labels).folds][6] == "actor-07"
    (fold,) = split("actors-20-4", actors, labels).folds
    assert set(actors[fold.test].tolist()) == {21, 22, 23, 24}
    assert len(fold.train) == 160


@pytest.mark.parametrize("groups", [LUNA_5, EMOBOX_6])
def test_published_groups_hold_each_actor_once(groups):
    assert sorted(a for group in groups for a in group) == list(range(1, 25))


@pytest.mark.parametrize(
    ("present", "tested"),
    [
        (range(1, 15), {13, 14}),
        (range(1, 4), {3}),
        (range(21, 25), {24}),
        (range(1, 21), {18, 19, 20}),
    ],
)
def test_actors_20_4_keeps_the_proportion_when_a_side_is_absent(present, tested):
    actors = np.repeat(list(present), 8)
    found = split("actors-20-4", actors, np.tile(np.arange(1, 9), len(present)))
    (fold,) = found.folds
    assert set(actors[fold.test].tolist()) == tested
    assert f"tested on {actor_ranges(tested)} (the last sixth" in found.notes[0]
    assert "are absent" in found.notes[0]


def test_actors_20_4_notes_absent_actors_and_leaves_out_others():
    actors = np.repeat([1, 2, 22, 30], 8)
    found = split("actors-20-4", actors, np.tile(np.arange(1, 9), 4))
    assert set(actors[found.folds[0].train].tolist()) == {1, 2}
    assert "actors 3-21, 23-24 are absent" in found.notes[0]
    assert "30 are on neither side" in found.notes[1]


def test_groups_drop_the_empty_and_deal_out_unlisted_actors():
    actors = np.repeat([2, 5, 3, 6], 8)
    labels = np.tile(np.arange(1, 9), 4)
    found = split("luna-5", actors, labels)
    assert [f.name for f in found.folds] == ["group-1", "group-2"]
    assert "dropped as empty: group 3-5" in found.notes
    dealt = split("luna-5", actors + 30, labels)
    assert len(dealt.folds) == 4
    assert any("32-33, 35-36 are in no published group;" in note for note in dealt.notes)


def test_emotions_that_training_lacks_are_noted():
    found = split("loso", [1, 1, 2, 2, 2], [3, 5, 3, 5, 8])
    assert found.notes == ("fold actor-02 tests emotions that its training side lacks: surprised",)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_one_actor_is_refused_by_speaker_independent_protocols(name):
    with pytest.raises(EvaluationError, match=r"at least 2 actors; there is 1 \(actor 7\)"):
        split(name, [7, 7, 0], [3, 5, 3])


def test_actors_of_one_group_are_refused():
    with pytest.raises(EvaluationError, match="none to train on, with 4 clips of actors 2, 5"):
        split("luna-5", [2, 2, 5, 5], [3, 5, 3, 5])


def test_one_emotion_to_train_on_is_refused():
    with pytest.raises(EvaluationError, match="only happy on its training side"):
        split("loso", [1, 1, 2, 2], [3, 3, 3, 5])


def test_no_clip_to_test_on_is_refused():
    with pytest.raises(EvaluationError, match="none to test on"):
        split("within-actor", [1, 2], [3, 5])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_clips_are_refused(name):
    with pytest.raises(EvaluationError, match="there are 0"):
        split(name, [], [])


def test_unequal_lengths_are_refused():
    with pytest.raises(EvaluationError, match="one code per clip"):
        split("loso", [1, 2], [3])


def test_an_unknown_protocol_is_refused_with_the_known_ones():
    with pytest.raises(JobError, match=r"'lose'.*loso.*within-actor"):
        split("lose", [1, 2], [3, 5])
