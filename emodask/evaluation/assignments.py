"""How each protocol deals clips out: the folds, and what to say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emodask.errors import EvaluationError
from emodask.evaluation.identities import Identities, actor_ranges
from emodask.sources.names import CHANNELS

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


Assign = Callable[[Identities, Rows, int], tuple[list[Fold], list[str]]]
"""``assign(clips, rows, seed)`` gives folds and notes; ``rows`` are the clips of known actors."""


def counted(n: int, noun: str = "clip") -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> counted(1), counted(2)
    ('1 clip', '2 clips')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _present(clips: Identities, rows: Rows) -> list[int]:
    return [int(actor) for actor in np.unique(clips.actor[rows])]


def _fold(name: str, clips: Identities, rows: Rows, test: Iterable[int]) -> Fold:
    """Test on the given actors' clips, train on those of all others."""
    tested = np.isin(clips.actor[rows], list(test))
    return Fold(name, rows[~tested], rows[tested])


def within_actor(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Train on a random two thirds of each actor's clips, test on the rest."""
    train, test, single = [], [], []
    for actor in _present(clips, rows):
        own = rows[clips.actor[rows] == actor]
        n = len(own)
        if n == 1:
            single.append(actor)
        n_train = 1 if n == 1 else min(max((2 * n + 1) // 3, 1), n - 1)
        # Seeded by seed and actor: an actor's share does not depend on who else is present.
        shuffled = np.random.default_rng([seed, actor]).permutation(own)
        train.append(shuffled[:n_train])
        test.append(shuffled[n_train:])
    notes = []
    if single:
        notes.append(f"actors with one clip, which is trained on: {actor_ranges(single)}")
    fold = Fold("within-actor", np.sort(np.concatenate(train)), np.sort(np.concatenate(test)))
    return [fold], notes


def random_80_20(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Train on a random four fifths of all clips, test on the rest."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    n_train = max(1, round(0.8 * len(rows)))
    fold = Fold("random-80-20", np.sort(shuffled[:n_train]), np.sort(shuffled[n_train:]))
    return [fold], []


def _foreign(clips: Identities, rows: Rows) -> set[int]:
    """Actors of corpora other than RAVDESS, to whom its published splits say nothing."""
    others = ~np.isin(clips.corpus[rows], ["", "ravdess"])
    return set(_present(clips, rows[others]))


def actors_20_4(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Train on RAVDESS's actors 1-20, test on 21-24."""
    everybody = _present(clips, rows)
    beyond = sorted(_foreign(clips, rows) | {a for a in everybody if a > RAVDESS_ACTORS[-1]})
    present = [a for a in everybody if a not in beyond]
    train = [a for a in present if a <= 20]
    test = [a for a in present if a > 20]
    absent = sorted(set(RAVDESS_ACTORS) - set(present))
    notes = []
    if train and test:
        if absent:
            notes.append(
                f"trained on actors {actor_ranges(train)}, tested on {actor_ranges(test)}; "
                f"actors {actor_ranges(absent)} are absent"
            )
    else:
        if len(present) < 2:  # nobody whom the published split knows, or one: split who there is
            present, beyond = everybody, []
        n_test = max(1, (len(present) + 3) // 6)
        train, test = present[:-n_test], present[-n_test:]
        notes.append(
            f"trained on actors {actor_ranges(train)}, tested on {actor_ranges(test)} "
            f"(the last sixth of those present), because actors {actor_ranges(absent)} are absent"
        )
    if beyond:
        notes.append(f"actors {actor_ranges(beyond)} are on neither side")
        rows = rows[~np.isin(clips.actor[rows], beyond)]
    return [_fold("actors-20-4", clips, rows, test)], notes


def loso(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Test on each actor in turn."""
    return [_fold(f"actor-{a:02d}", clips, rows, [a]) for a in _present(clips, rows)], []


def grouped(published: Sequence[Sequence[int]]) -> Assign:
    """Leave one group of RAVDESS's actors out, for the published groups."""

    def assign(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
        everybody = set(_present(clips, rows))
        present = everybody - _foreign(clips, rows)
        in_groups = {a for group in published for a in group}
        notes = []
        if absent := in_groups - present:
            notes.append(f"the groups lack actors {actor_ranges(absent)}, who are absent")
        groups = [[a for a in group if a in present] for group in published]
        if others := sorted(everybody - (present & in_groups)):
            for actor in others:
                min(groups, key=len).append(actor)
            notes.append(
                f"actors {actor_ranges(others)} are in no published group; each in turn "
                "was dealt to the smallest"
            )
        if empty := [i for i, group in enumerate(groups, start=1) if not group]:
            notes.append(f"dropped as empty: group {actor_ranges(empty)}")
        folds = [
            _fold(f"group-{i}", clips, rows, group)
            for i, group in enumerate(groups, start=1)
            if group
        ]
        return folds, notes

    return assign


def _crossed(
    name: str, clips: Identities, rows: Rows, test: npt.NDArray[np.bool_], other: Rows
) -> Fold:
    """Test on some rows, train on those of other rows whose actors are not tested."""
    tested = rows[test]
    return Fold(name, other[~np.isin(clips.actor[other], clips.actor[tested])], tested)


def statement_held_out(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Test on one actor's clips of one statement, train on others' clips of other statements."""
    known = rows[clips.statement[rows] > 0]
    statements = np.unique(clips.statement[known])
    if len(statements) < 2:
        found = f"statement {statements[0]} alone" if len(statements) else "no clip of a known one"
        raise EvaluationError(
            "protocol 'statement-held-out' needs clips of at least 2 statements, as RAVDESS's 01 "
            f"and 02 or a manifest's column 'statement' say; there is {found}, in "
            f"{counted(len(rows))}"
        )
    folds = [
        _crossed(
            f"actor-{actor:02d}-statement-{statement}",
            clips,
            known,
            (clips.actor[known] == actor) & (clips.statement[known] == statement),
            known[clips.statement[known] != statement],
        )
        for actor in _present(clips, known)
        for statement in statements
    ]
    notes = []
    if left_out := len(rows) - len(known):
        notes.append(f"{counted(left_out)} whose statement is not known: in no fold")
    return [fold for fold in folds if len(fold.test)], notes


def speech_to_song(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Test on what one actor sings, train on what all others say."""
    channel = clips.channel[rows]
    speech, song = rows[channel == CHANNELS["speech"]], rows[channel == CHANNELS["song"]]
    if not len(speech) or not len(song):
        raise EvaluationError(
            "protocol 'speech-to-song' needs clips of both channels; there are "
            f"{counted(len(speech))} of speech and {len(song)} of song among {len(rows)}. "
            'Name both in the job, channels = ["speech", "song"], and pass sources of both'
        )
    singers = _present(clips, song)
    folds = [
        _crossed(f"actor-{a:02d}", clips, song, clips.actor[song] == a, speech) for a in singers
    ]
    notes = []
    if silent := set(_present(clips, speech)) - set(singers):
        notes.append(f"actors {actor_ranges(silent)} do not sing: trained on, not tested")
    if left_out := len(rows) - len(speech) - len(song):
        notes.append(f"{counted(left_out)} whose channel is not known: in no fold")
    return folds, notes


def cross_corpus(clips: Identities, rows: Rows, seed: int) -> tuple[list[Fold], list[str]]:
    """Test on each corpus, trained on the others."""
    known = rows[clips.corpus[rows] != ""]
    corpora = [str(name) for name in np.unique(clips.corpus[known])]
    if len(corpora) < 2:
        found = f"{corpora[0]} alone" if corpora else "no clip of a known one"
        raise EvaluationError(
            f"protocol 'cross-corpus' needs clips of at least 2 corpora; there is {found}, in "
            f"{counted(len(rows))}. Pass sources of another too: RAVDESS and TESS are known by "
            "their file names, any other by a manifest's column 'corpus'"
        )
    folds = [
        _crossed(
            f"test-{name}",
            clips,
            known,
            clips.corpus[known] == name,
            known[clips.corpus[known] != name],
        )
        for name in corpora
    ]
    notes = []
    if left_out := len(rows) - len(known):
        notes.append(f"{counted(left_out)} whose corpus is not known: in no fold")
    return folds, notes
