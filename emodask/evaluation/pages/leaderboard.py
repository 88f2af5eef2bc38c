"""Many runs side by side: one row a run and model, sorted by what holds for new people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from emodask.errors import EmodaskError, EvaluationError, UsageError
from emodask.evaluation.metrics import N_DRAWS
from emodask.evaluation.outcome import HONEST
from emodask.evaluation.results import CONTROL, Row, interval_text, ordered_protocols, percent, rows
from emodask.evaluation.run_files import RunFiles, open_run
from emodask.evaluation.run_places import distinct_names, run_addresses
from emodask.scrubbing import clean_cause
from emodask.sources.addresses import is_url
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason


@dataclass(frozen=True)
class Entry:
    """One model of one run, under every protocol that it ran.

    Attributes
    ----------
    run, job, model : str
        Names; ``run`` is unlike that of every other run on the board.
    report : str
        Where the page of the run is, from the leaderboard's; empty where no link can lead there.
    scores : dict of str to Row
        By protocol.
    """

    run: str
    job: str
    model: str
    report: str
    scores: dict[str, Row]

    @property
    def kind(self) -> str:
        """What sets the model apart, as of :class:`emodask.evaluation.results.Row`."""
        return next(iter(self.scores.values())).kind

    @property
    def features(self) -> tuple[str, ...]:
        """The feature families that the model hears and sees."""
        return next(iter(self.scores.values())).features

    @property
    def first(self) -> Row:
        """The row that it is ranked by: ``loso``, or else what comes next on the board."""
        return self.scores.get(HONEST) or next(iter(self.scores.values()))

    @property
    def tested(self) -> str:
        """On what, in a few words: rows with other words cannot be compared."""
        row = self.first
        emotions = f"{round(1 / row.chance)} emotions" if row.chance else ""
        counts = [(row.n_clips, "clips"), (row.n_actors, "actors")]
        return ", ".join([*(f"{n} {noun}" for n, noun in counts if n is not None), emotions])


@dataclass(frozen=True)
class Leaderboard:
    """Entries, best on new people first.

    Attributes
    ----------
    entries : tuple of Entry
    protocols : tuple of (str, bool)
        Name and whether it is speaker-independent: ``loso`` first, leaky ones last.
    n_runs : int
    skipped : tuple of (str, str)
        Runs that cannot be read, and why.
    """

    entries: tuple[Entry, ...]
    protocols: tuple[tuple[str, bool], ...]
    n_runs: int
    skipped: tuple[tuple[str, str], ...]

    @property
    def mixed(self) -> bool:
        """Whether rows were tested on different clips, actors or emotions."""
        return len({entry.tested for entry in self.entries}) > 1

    @property
    def headline(self) -> str:
        """The first unadapted model on people it has never met, in a sentence."""
        for entry in self.entries:
            row = entry.first
            if not entry.kind and row.speaker_independent and row.uar is not None:
                interval = f"; 95 % interval {interval_text(row.uar_ci95)}" if row.uar_ci95 else ""
                best = "Highest" if self.mixed else "Best"
                return (
                    f"{best} on people never met: {entry.model} of {entry.job}, with "
                    f"{percent(row.uar, ' %')} of emotions recognised (UAR under {row.protocol}"
                    f"{interval}); chance is {percent(row.chance, ' %')}."
                )
        return "No run here tested people that its models had never met."


def leaderboard(
    runs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    storage_options: StorageOptions | None = None,
) -> Leaderboard:
    """Put many runs side by side, and write them as one page.

    Parameters
    ----------
    runs : sequence of str or Path
        Runs, folders of runs, or globs of them: local or fsspec URLs.
    out : str or Path, optional
        Path or URL of the page: HTML that needs nothing but itself.
    storage_options : mapping, optional
        For fsspec.

    Returns
    -------
    Leaderboard

    Raises
    ------
    UsageError
        If there is no run at a place, or ``out`` cannot be meant.
    EvaluationError
        If a place or the page cannot be read or written.
    """
    target = _target(out, storage_options)
    opened: dict[str, RunFiles] = {}
    skipped: dict[str, str] = {}
    for place in runs:
        for address in run_addresses(str(place), storage_options):
            try:
                run = open_run(address, storage_options)
                rows(run.metrics)
            except EmodaskError as error:
                skipped[Folder.at(address, storage_options).address] = str(error)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                folder = Folder.at(address, storage_options).address
                skipped[folder] = f"{folder}: damaged metrics.json: {type(error).__name__} {error}"
            else:
                opened.setdefault(run.folder.address, run)
    if not opened:
        raise EvaluationError("; ".join(skipped.values()))
    board = _board(list(opened.values()), tuple(skipped.items()), out)
    if target is not None:
        _write(board, *target)
    return board


def render_leaderboard(board: Leaderboard) -> str:
    """Write the page: an HTML document without scripts or external requests, all text escaped."""
    from emodask.evaluation.pages.page import page_template

    return page_template("leaderboard.html.jinja").render(board=board, n_draws=N_DRAWS)


def _board(
    runs: list[RunFiles], skipped: tuple[tuple[str, str], ...], out: str | Path | None
) -> Leaderboard:
    independent: dict[str, bool] = {}
    entries = []
    names = distinct_names([run.folder.path for run in runs])
    for run, name in zip(runs, names, strict=True):
        by_model: dict[str, dict[str, Row]] = {}
        for row in rows(run.metrics):
            if row.model:
                by_model.setdefault(row.model, {})[row.protocol] = row
                honest = independent.get(row.protocol, True)
                independent[row.protocol] = honest and row.speaker_independent
        entries += [
            Entry(name, run.job, model, _link(run, out), scores)
            for model, scores in by_model.items()
        ]
    order = ordered_protocols(
        {"protocols": {n: {"speaker_independent": i} for n, i in independent.items()}}
    )
    entries.sort(key=_rank)
    return Leaderboard(
        tuple(entries),
        tuple((name, independent[name]) for name, _ in order),
        len(runs),
        skipped,
    )


def _rank(entry: Entry) -> tuple[bool, bool, bool, float, str, str]:
    row = entry.first
    return (
        entry.model.endswith(CONTROL),
        not row.speaker_independent,
        row.protocol != HONEST,
        -(row.uar or 0),
        entry.run,
        entry.model,
    )


def _link(run: RunFiles, out: str | Path | None) -> str:
    """Where the run's page is, seen from the leaderboard's; only between files of one disk."""
    local = Path(run.folder.path) / "index.html"
    if out is None or is_url(str(out)) or not local.is_file():
        return ""
    return quote(os.path.relpath(local, Path(out).absolute().parent).replace(os.sep, "/"))


def _target(out: str | Path | None, options: StorageOptions | None) -> tuple[Folder, str] | None:
    if out is None:
        return None
    folder, slash, name = str(out).rpartition("/")
    if not name or name in (".", ".."):
        raise UsageError(f"{out}: a folder; name a page in it, such as leaderboard.html")
    return Folder.at(folder or ("/" if slash else "."), options), name


def _write(board: Leaderboard, place: Folder, name: str) -> None:
    try:
        place.make()
        place.write(name, render_leaderboard(board).encode("utf-8"))
    except Exception as error:  # each protocol has errors of its own
        raise EvaluationError(
            f"{place.address}/{name}: the page cannot be written: {reason(error)}"
        ) from clean_cause(error)
