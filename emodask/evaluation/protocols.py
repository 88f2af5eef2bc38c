"""Protocols: named ways to split clips into training and test sides, leaky ones named as such."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emodask.emotions import CODES, EMOTIONS, emotion_name
from emodask.errors import EvaluationError, JobError, ProtocolError
from emodask.evaluation.assignments import (
    EMOBOX_6,
    LUNA_5,
    Assign,
    Fold,
    actors_20_4,
    cross_corpus,
    grouped,
    loso,
    random_80_20,
    speech_to_song,
    statement_held_out,
    within_actor,
)
from emodask.evaluation.identities import Identities, actor_ranges


@dataclass(frozen=True)
class Protocol:
    """A named way to split clips.

    Attributes
    ----------
    name : str
        What jobs and reports call it.
    description : str
        What is trained on and what is tested on, in a few plain words.
    speaker_independent : bool
        Whether no actor is ever on both sides of a fold.
    leaky_reason : str
        Why the figures flatter, for a protocol that is not speaker-independent; else empty.
    assign : callable
        ``assign(clips, rows, seed)`` gives folds and notes; ``rows`` are the clips whose actor
        is known.
    by_fold : bool
        Whether each fold asks a question of its own, so that its figures are shown alone too.
    """

    name: str
    description: str
    speaker_independent: bool
    leaky_reason: str
    assign: Assign
    by_fold: bool = False


@dataclass(frozen=True, eq=False)
class Split:
    """A protocol applied to the clips there are.

    Attributes
    ----------
    protocol : Protocol
        Which one.
    folds : tuple of Fold
        Their test sides are disjoint.
    notes : tuple of str
        Everything in which these folds differ from the protocol as published.
    """

    protocol: Protocol
    folds: tuple[Fold, ...]
    notes: tuple[str, ...]


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "loso",
            "leave one speaker out: each actor is tested by a model trained on all others",
            True,
            "",
            loso,
        ),
        Protocol(
            "luna-5",
            "five groups of actors, each tested by a model trained on the other four",
            True,
            "",
            grouped(LUNA_5),
        ),
        Protocol(
            "emobox-6",
            "six groups of actors, each tested by a model trained on the other five",
            True,
            "",
            grouped(EMOBOX_6),
        ),
        Protocol(
            "actors-20-4",
            "trained on actors 1-20, tested on actors 21-24",
            True,
            "",
            actors_20_4,
        ),
        Protocol(
            "statement-held-out",
            "each actor saying one sentence is tested by a model trained on all others saying "
            "the other",
            True,
            "",
            statement_held_out,
        ),
        Protocol(
            "speech-to-song",
            "each actor singing is tested by a model trained on all others speaking",
            True,
            "",
            speech_to_song,
        ),
        Protocol(
            "cross-corpus",
            "each corpus is tested by a model trained on the other",
            True,
            "",
            cross_corpus,
            by_fold=True,
        ),
        Protocol(
            "within-actor",
            "a random two thirds of each actor's clips train, the rest test",
            False,
            "the same people are on both sides, so the model is tested on voices and faces "
            "it was trained on",
            within_actor,
        ),
        Protocol(
            "random-80-20",
            "a random four fifths of all clips train, the rest test",
            False,
            "the same people are on both sides, so the model is tested on voices and faces "
            "it was trained on",
            random_80_20,
        ),
    )
}
"""Every protocol by name, in the order reports show them: speaker-independent ones first."""


def _label_name(label: Any) -> str:
    if isinstance(label, (int, np.integer)) and 1 <= label <= len(EMOTIONS):
        return emotion_name(int(label))
    return str(label)


def _check(protocol: Protocol, fold: Fold, clips: Identities) -> list[str]:
    """Refuse a fold that cannot be trained or tested; say which emotions it cannot learn."""
    for side, rows in (("train", fold.train), ("test", fold.test)):
        if not len(rows):
            present = np.unique(clips.actor[clips.actor > 0])
            raise EvaluationError(
                f"protocol {protocol.name!r} needs clips on both sides of each fold; "
                f"fold {fold.name!r} has none to {side} on, with {len(clips)} clips of "
                f"actors {actor_ranges(present)}"
            )
    known = np.unique(clips.emotion[fold.train])
    if len(known) < 2:
        raise EvaluationError(
            f"protocol {protocol.name!r} needs at least 2 emotions to train on; fold "
            f"{fold.name!r} has only {_label_name(known[0])} on its training side"
        )
    unknown = np.setdiff1d(clips.emotion[fold.test], known)
    if not len(unknown):
        return []
    names = ", ".join(_label_name(label) for label in unknown)
    return [f"fold {fold.name} tests emotions that its training side lacks: {names}"]


def _check_people(clips: Identities) -> None:
    """Refuse an actor code that two corpora use: two people would count as one."""
    owner: dict[int, str] = {}
    pairs = {(int(a), str(c)) for a, c in zip(clips.actor, clips.corpus, strict=True) if a and c}
    for actor, corpus in sorted(pairs):
        if owner.setdefault(actor, corpus) != corpus:
            raise EvaluationError(
                f"actor {actor} is a speaker of {owner[actor]} and of {corpus}, who would count "
                "as one person; give each speaker a code of their own in the manifest (RAVDESS "
                "has 1-24, TESS 101 and 102)"
            )


def split(name: str, clips: Identities, seed: int = 0) -> Split:
    """Split clips by a protocol.

    Parameters
    ----------
    name : str
        A key of :data:`PROTOCOLS`.
    clips : Identities
        Clips of actor 0 (not known) enter no fold, and a note says so.
    seed : int
        Non-negative. Only ``within-actor`` draws lots: the split of an actor's clips depends on
        the seed, the actor's code and the order of the actor's clips, on nothing else.

    Returns
    -------
    Split
        At least one fold; no fold of a speaker-independent protocol shares an actor.

    Raises
    ------
    JobError
        If no protocol has that name.
    EvaluationError
        If the clips do not allow the protocol: fewer than two actors for a speaker-independent
        one, a fold with an empty side, or with fewer than two emotions to train on; one statement,
        channel or corpus for a protocol that needs two; one actor code in two corpora.

    Examples
    --------
    >>> found = split("loso", Identities.of(actor=[1, 1, 2, 2], emotion=[3, 5, 3, 5]))
    >>> [(fold.name, fold.test.tolist()) for fold in found.folds]
    [('actor-01', [0, 1]), ('actor-02', [2, 3])]
    """
    if name not in PROTOCOLS:
        raise JobError(f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    rows = np.flatnonzero(clips.actor > 0)
    n_unknown = len(clips) - len(rows)
    n_needed = 2 if protocol.speaker_independent else 1
    present = np.unique(clips.actor[rows])
    if len(present) < n_needed:
        raise EvaluationError(
            f"protocol {name!r} needs clips of at least {n_needed} actor{'s' * (n_needed > 1)}; "
            f"there {'is' if len(present) == 1 else 'are'} {len(present)}"
            + (f" (actor {actor_ranges(present)})" if len(present) else "")
            + (f", and {n_unknown} clips whose actor is not known" if n_unknown else "")
        )
    _check_people(clips)
    folds, notes = protocol.assign(clips, rows, seed)
    if n_unknown:
        notes.append(f"{n_unknown} clips whose actor is not known are in no fold")
    for fold in folds:
        notes += _check(protocol, fold, clips)
    return Split(protocol, tuple(folds), tuple(notes))


def require_possible(
    names: Iterable[str], clips: Identities, where: str, emotions: Sequence[int] = ()
) -> None:
    """Refuse protocols that clips do not allow, before anything is computed for them.

    Of the emotions that a job names, each fold need not train all: a note says which it lacks. But
    one that no fold of a speaker-independent protocol trains among those that test it could never
    be recognised there, whatever is computed.

    Parameters
    ----------
    names : iterable of str
        Keys of :data:`PROTOCOLS`.
    clips : Identities
        All clips that sources or a store hold.
    where : str
        What names the protocols, for the message.
    emotions : sequence of int
        Codes that the job names.

    Raises
    ------
    ProtocolError
        Naming each of them, and why.
    """
    reasons = []
    for name in names:
        try:
            folds = split(name, clips).folds
        except EvaluationError as error:
            reasons.append(str(error))
            continue
        if PROTOCOLS[name].speaker_independent:
            reasons += _never_learnt(name, folds, clips, emotions)
    if reasons:
        raise ProtocolError(
            f"{where}: {'; '.join(reasons)}. Pass the sources that it needs, or take it out of "
            "evaluation.protocols"
        )


def _never_learnt(
    name: str, folds: Iterable[Fold], clips: Identities, emotions: Sequence[int]
) -> list[str]:
    """Of some emotions, those that every fold which tests them lacks on its training side."""
    reasons = []
    for emotion in emotions:
        shown = clips.emotion == emotion
        testing = [fold for fold in folds if shown[fold.test].any()]
        if testing and not any(shown[fold.train].any() for fold in testing):
            people = actor_ranges(np.unique(clips.actor[shown & (clips.actor > 0)]))
            reasons.append(
                f"protocol {name!r} never trains {_label_name(emotion)} where it is tested: its "
                f"{int(shown.sum())} clip(s) are of actors {people}. Add clips of it by others, or "
                "take it out of data.emotions"
            )
    return reasons


def require_emotions(names: Iterable[str], clips: Identities, where: str) -> None:
    """Refuse a job that names an emotion which no clip shows.

    Parameters
    ----------
    names : iterable of str
        Emotions that the job names.
    clips : Identities
        All clips that sources or a store hold.
    where : str
        What names the emotions, for the message.

    Raises
    ------
    JobError
    """
    shown = set(clips.emotion.tolist())
    absent = [name for name in names if CODES[name] not in shown]
    if absent:
        there = ", ".join(name for name, code in CODES.items() if code in shown)
        raise JobError(
            f"{where}: data.emotions names {', '.join(absent)}, which none of the {len(clips)} "
            f"clip(s) shows; there are {there or 'none of known emotion'}. Take out of "
            "data.emotions what is not there, or pass sources that have clips of it"
        )
