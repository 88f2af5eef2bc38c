"""Protocols: named ways to split clips into training and test sides, leaky ones named as such."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.emotions import EMOTIONS, emotion_name
from emodask.errors import EvaluationError, JobError

Rows = npt.NDArray[np.intp]

RAVDESS_ACTORS = range(1, 25)

LUNA_5: tuple[tuple[int, ...], ...] = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
EMOBOX_6: tuple[tuple[int, ...], ...] = (
    (1, 11, 20, 21),
    (4, 10, 12, 14),
    (8, 9, 19, 23),
    (3, 5, 7, 24),
    (2, 15, 16, 18),
    (6, 13, 17, 22),
)


@dataclass(frozen=True, eq=False)
class Fold:
    """One training side and one test side.

    Attributes
    ----------
    name : str
        What the fold leaves out, like ``actor-07`` or ``group-2``.
    train, test : intp arrays
        Row indices, ascending, disjoint.
    """

    name: str
    train: Rows
    test: Rows


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
        ``assign(actors, rows, seed)`` gives folds and notes; ``rows`` are the clips whose actor
        is known, ``actors`` the codes of all clips.
    """

    name: str
    description: str
    speaker_independent: bool
    leaky_reason: str
    assign: Callable[[npt.NDArray[np.int64], Rows, int], tuple[list[Fold], list[str]]]


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


def actor_ranges(codes: Iterable[int]) -> str:
    """Write actor codes as a short list of ranges.

    Examples
    --------
    >>> actor_ranges([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9-10'
    """
    runs: list[list[int]] = []
    for code in sorted({int(c) for c in codes}):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _fold(name: str, actors: npt.NDArray[np.int64], rows: Rows, test: Iterable[int]) -> Fold:
    """Test on the given actors' clips, train on those of all others."""
    tested = np.isin(actors[rows], list(test))
    return Fold(name, rows[~tested], rows[tested])


def _within_actor(
    actors: npt.NDArray[np.int64], rows: Rows, seed: int
) -> tuple[list[Fold], list[str]]:
    train, test, single = [], [], []
    for actor in np.unique(actors[rows]):
        own = rows[actors[rows] == actor]
        n = len(own)
        if n == 1:
            single.append(actor)
        n_train = 1 if n == 1 else min(max((2 * n + 1) // 3, 1), n - 1)
        # Seeded by seed and actor: an actor's share does not depend on who else is present.
        shuffled = np.random.default_rng([seed, int(actor)]).permutation(own)
        train.append(shuffled[:n_train])
        test.append(shuffled[n_train:])
    notes = []
    if single:
        notes.append(f"actors with one clip, which is trained on: {actor_ranges(single)}")
    fold = Fold("within-actor", np.sort(np.concatenate(train)), np.sort(np.concatenate(test)))
    return [fold], notes


def _actors_20_4(
    actors: npt.NDArray[np.int64], rows: Rows, seed: int
) -> tuple[list[Fold], list[str]]:
    present = np.unique(actors[rows])
    train = [a for a in present if a <= 20]
    test = [a for a in present if 21 <= a <= 24]
    beyond = [a for a in present if a > 24]
    absent = sorted(set(RAVDESS_ACTORS) - set(present.tolist()))
    notes = []
    if not train or not test:
        n_test = max(1, (len(present) + 3) // 6)
        train, test = list(present[:-n_test]), list(present[-n_test:])
        notes.append(
            f"trained on actors {actor_ranges(train)}, tested on {actor_ranges(test)} "
            f"(the last sixth of those present), because actors {actor_ranges(absent)} are absent"
        )
    else:
        if absent:
            notes.append(
                f"trained on actors {actor_ranges(train)}, tested on {actor_ranges(test)}; "
                f"actors {actor_ranges(absent)} are absent"
            )
        if beyond:
            notes.append(f"actors {actor_ranges(beyond)} are on neither side")
            rows = rows[actors[rows] <= 24]
    return [_fold("actors-20-4", actors, rows, test)], notes


def _loso(actors: npt.NDArray[np.int64], rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    present = np.unique(actors[rows])
    return [_fold(f"actor-{a:02d}", actors, rows, [a]) for a in present], []


def _grouped(
    published: Sequence[Sequence[int]],
) -> Callable[[npt.NDArray[np.int64], Rows, int], tuple[list[Fold], list[str]]]:
    """Leave one group of actors out, for the published groups."""

    def assign(
        actors: npt.NDArray[np.int64], rows: Rows, seed: int
    ) -> tuple[list[Fold], list[str]]:
        present = set(np.unique(actors[rows]).tolist())
        grouped = {a for group in published for a in group}
        notes = []
        if absent := grouped - present:
            notes.append(f"the groups lack actors {actor_ranges(absent)}, who are absent")
        groups = [[a for a in group if a in present] for group in published]
        if others := sorted(present - grouped):
            for actor in others:
                min(groups, key=len).append(actor)
            notes.append(
                f"actors {actor_ranges(others)} are in no published group; each in turn "
                "was dealt to the smallest"
            )
        if empty := [i for i, group in enumerate(groups, start=1) if not group]:
            notes.append(f"dropped as empty: group {actor_ranges(empty)}")
        folds = [
            _fold(f"group-{i}", actors, rows, group)
            for i, group in enumerate(groups, start=1)
            if group
        ]
        return folds, notes

    return assign


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "loso",
            "leave one speaker out: each actor is tested by a model trained on all others",
            True,
            "",
            _loso,
        ),
        Protocol(
            "luna-5",
            "five groups of actors, each tested by a model trained on the other four",
            True,
            "",
            _grouped(LUNA_5),
        ),
        Protocol(
            "emobox-6",
            "six groups of actors, each tested by a model trained on the other five",
            True,
            "",
            _grouped(EMOBOX_6),
        ),
        Protocol(
            "actors-20-4",
            "trained on actors 1-20, tested on actors 21-24",
            True,
            "",
            _actors_20_4,
        ),
        Protocol(
            "within-actor",
            "a random two thirds of each actor's clips train, the rest test",
            False,
            "the same people are on both sides, so the model is tested on voices and faces "
            "it was trained on",
            _within_actor,
        ),
    )
}
"""Every protocol by name, in the order reports show them: speaker-independent ones first."""


def _label_name(label: Any) -> str:
    if isinstance(label, (int, np.integer)) and 1 <= label <= len(EMOTIONS):
        return emotion_name(int(label))
    return str(label)


def _check(protocol: Protocol, fold: Fold, actors: npt.NDArray[Any], labels: Any) -> list[str]:
    """Refuse a fold that cannot be trained or tested; say which emotions it cannot learn."""
    for side, rows in (("train", fold.train), ("test", fold.test)):
        if not len(rows):
            present = np.unique(actors[actors > 0])
            raise EvaluationError(
                f"protocol {protocol.name!r} needs clips on both sides of each fold; "
                f"fold {fold.name!r} has none to {side} on, with {len(actors)} clips of "
                f"actors {actor_ranges(present)}"
            )
    known = np.unique(labels[fold.train])
    if len(known) < 2:
        raise EvaluationError(
            f"protocol {protocol.name!r} needs at least 2 emotions to train on; fold "
            f"{fold.name!r} has only {_label_name(known[0])} on its training side"
        )
    unknown = np.setdiff1d(labels[fold.test], known)
    if not len(unknown):
        return []
    names = ", ".join(_label_name(label) for label in unknown)
    return [f"fold {fold.name} tests emotions that its training side lacks: {names}"]


def split(name: str, actors: npt.ArrayLike, labels: npt.ArrayLike, seed: int = 0) -> Split:
    """Split clips by a protocol.

    Parameters
    ----------
    name : str
        A key of :data:`PROTOCOLS`.
    actors : (n,) int array
        Actor code of each clip; clips with code 0 (not known) enter no fold, and a note says so.
    labels : (n,) array
        Emotion code of each clip.
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
        one, a fold with an empty side, or with fewer than two emotions to train on.

    Examples
    --------
    >>> found = split("loso", actors=[1, 1, 2, 2], labels=[3, 5, 3, 5])
    >>> [(fold.name, fold.test.tolist()) for fold in found.folds]
    [('actor-01', [0, 1]), ('actor-02', [2, 3])]
    """
    if name not in PROTOCOLS:
        raise JobError(f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    codes, targets = np.asarray(actors, dtype=np.int64), np.asarray(labels)
    if codes.ndim != 1 or targets.shape != codes.shape:
        raise EvaluationError(
            f"actors and labels must be one code per clip; their shapes are {codes.shape} "
            f"and {targets.shape}"
        )
    rows = np.flatnonzero(codes > 0)
    n_unknown = len(codes) - len(rows)
    n_needed = 2 if protocol.speaker_independent else 1
    present = np.unique(codes[rows])
    if len(present) < n_needed:
        raise EvaluationError(
            f"protocol {name!r} needs clips of at least {n_needed} actor{'s' * (n_needed > 1)}; "
            f"there {'is' if len(present) == 1 else 'are'} {len(present)}"
            + (f" (actor {actor_ranges(present)})" if len(present) else "")
            + (f", and {n_unknown} clips whose actor is not known" if n_unknown else "")
        )
    folds, notes = protocol.assign(codes, rows, seed)
    if n_unknown:
        notes.append(f"{n_unknown} clips whose actor is not known are in no fold")
    for fold in folds:
        notes += _check(protocol, fold, codes, targets)
    return Split(protocol, tuple(folds), tuple(notes))
