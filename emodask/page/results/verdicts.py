"""What every model said of the clips of a store: ``predictions.csv``, row by row of the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emodask.emotions import CODES, emotion_name
from emodask.errors import EmodaskError, EvaluationError
from emodask.evaluation.run_files import PREDICTIONS
from emodask.page.results.clips import StoredRows
from emodask.page.results.reading import Remembered
from emodask.page.results.runs import Run
from emodask.scrubbing import clean_cause
from emodask.sources.location import reason

MOST_BYTES = 1 << 30
_MOST_KEPT = 1 << 30
"""Bytes of one run's verdicts in memory."""
_AT_ONCE = 200_000
"""Lines read at a time."""
_NAMES = ("clip_id", "true", "predicted", "protocol", "model")

System = tuple[str, str]
"""A protocol and a model."""


@dataclass(frozen=True)
class Verdict:
    """What one model said of one clip under one protocol.

    Attributes
    ----------
    protocol, model, true, predicted : str
    chances : tuple of (str, float)
        Emotions and their probabilities, in [0, 1].
    """

    protocol: str
    model: str
    true: str
    predicted: str
    chances: tuple[tuple[str, float], ...]

    @property
    def right(self) -> bool:
        """Whether it is the truth."""
        return self.true == self.predicted


@dataclass(frozen=True, eq=False)
class Said:
    """What one model said under one protocol; code 0 where a clip was not tested.

    Attributes
    ----------
    true, predicted : int8 arrays, shape (n,)
        Emotion codes.
    chances : float32 array, shape (n, k)
    """

    true: npt.NDArray[np.int8]
    predicted: npt.NDArray[np.int8]
    chances: npt.NDArray[np.float32]

    @property
    def mistaken(self) -> npt.NDArray[np.bool_]:
        """Whether it was wrong of each row."""
        return (self.predicted != 0) & (self.predicted != self.true)


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What every model said of the rows of a store.

    Attributes
    ----------
    emotions : tuple of str
        The columns of probabilities.
    by_system : mapping of (str, str) to Said
        By protocol and model.
    """

    emotions: tuple[str, ...]
    by_system: Mapping[System, Said]

    def of_row(self, row: int) -> list[Verdict]:
        """All verdicts on one clip."""
        return [
            self._verdict(system, said, row)
            for system, said in self.by_system.items()
            if said.predicted[row]
        ]

    def of_system(self, system: System, row: int) -> Verdict | None:
        """One model's verdict on one clip; None if it was not tested on it."""
        said = self.by_system.get(system)
        return self._verdict(system, said, row) if said and said.predicted[row] else None

    def _verdict(self, system: System, said: Said, row: int) -> Verdict:
        chances = tuple(zip(self.emotions, map(float, said.chances[row]), strict=True))
        true, predicted = (emotion_name(int(code[row])) for code in (said.true, said.predicted))
        return Verdict(*system, true, predicted, chances)


class Predictions:
    """The verdicts of the runs that were looked at last."""

    def __init__(self) -> None:
        self._kept: Remembered[Verdicts] = Remembered(2)

    def of(self, run: Run, rows: StoredRows) -> Verdicts:
        """The verdicts on the rows of a run's store; none if nothing was evaluated yet.

        Raises
        ------
        EmodaskError
            If the file cannot be read.
        """
        stamp = run.stamps.get(PREDICTIONS)
        if stamp is None:
            return Verdicts((), {})
        if stamp.size > MOST_BYTES:
            raise EvaluationError(
                f"{PREDICTIONS}: {stamp.size / 1e9:.1f} GB, more than this page reads; download it"
            )
        version = (stamp, rows.version)
        try:
            return self._kept.get(run.url, version, lambda: _read(run, rows))
        except EmodaskError:
            raise
        except MemoryError as error:
            raise EvaluationError(f"{PREDICTIONS}: too large for this server's memory") from error
        except (ValueError, KeyError, TypeError) as error:
            raise EvaluationError(
                f"{PREDICTIONS}: damaged: {type(error).__name__} {reason(error)}"
            ) from clean_cause(error)
        except Exception as error:  # each protocol has errors of its own
            raise EvaluationError(f"{PREDICTIONS}: cannot be read: {reason(error)}") from (
                clean_cause(error)
            )


def _read(run: Run, rows: StoredRows) -> Verdicts:
    by_system: dict[System, Said] = {}
    emotions: tuple[str, ...] = ()
    for lines in _lines(run):
        emotions = tuple(name for name in CODES if name in lines.columns)
        place = rows.names.get_indexer(pd.Index(lines["clip_id"].astype(object)))
        for system, at in lines.groupby(["protocol", "model"], observed=True).indices.items():
            if system not in by_system:
                by_system[system] = _nothing_said(len(rows), len(emotions), len(by_system))
            said = by_system[system]
            at = at[place[at] >= 0]  # the store may be another one by now
            some, where = lines.iloc[at], place[at]
            for codes, name in ((said.true, "true"), (said.predicted, "predicted")):
                codes[where] = [CODES[value] for value in some[name]]
            said.chances[where] = some[list(emotions)].to_numpy(np.float32)
    return Verdicts(emotions, by_system)


def _lines(run: Run) -> Iterator[Any]:
    """Parts of the file as tables."""
    with run.report.fs.open(f"{run.report.path}/{PREDICTIONS}", "rb") as file:
        columns = dict.fromkeys(_NAMES, str)
        yield from pd.read_csv(
            file,
            chunksize=_AT_ONCE,
            usecols=lambda name: name in _NAMES or name in CODES,
            dtype={**columns, **dict.fromkeys(CODES, np.float32)},
            keep_default_na=False,
            encoding="utf-8",
        )


def _nothing_said(n_rows: int, n_emotions: int, n_systems: int) -> Said:
    if (n_systems + 1) * n_rows * (2 + 4 * n_emotions) > _MOST_KEPT:
        raise EvaluationError(
            f"{PREDICTIONS}: {n_systems + 1} models and protocols of {n_rows} clips are more than "
            "this page holds; download it"
        )
    return Said(
        np.zeros(n_rows, np.int8),
        np.zeros(n_rows, np.int8),
        np.zeros((n_rows, n_emotions), np.float32),
    )
