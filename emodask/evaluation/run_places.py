"""Where runs are: at a place, among those that a glob matches, or in a folder; and their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from emodask.errors import EvaluationError, UsageError
from emodask.evaluation.run_files import METRICS, REPORT
from emodask.scrubbing import clean_cause
from emodask.sources.addresses import is_url
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason

_MAGIC = frozenset("*?[")
_AT_ONCE = 8
"""Folders looked into at a time."""


def run_addresses(
    place: str,
    options: StorageOptions | None = None,
    is_run: Callable[[Folder], bool] | None = None,
) -> Iterator[str]:
    """The runs at a place: itself, those that a glob matches, or those in the folder.

    Parameters
    ----------
    place : str
        Local path or fsspec URL.
    options : mapping, optional
        For fsspec.
    is_run : callable, optional
        Whether a folder is a run; by default one that holds an evaluation is.

    Raises
    ------
    UsageError
        If there is none.
    EvaluationError
        If the place cannot be read.
    """
    is_run = is_run or _holds_an_evaluation
    folder = Folder.at(place, options)
    is_glob = not _MAGIC.isdisjoint(folder.path)
    if not is_glob and _asked(is_run, folder):
        yield place
        return
    try:
        if is_glob:
            paths = [str(path) for path in folder.fs.glob(folder.path)]
        else:
            found = folder.fs.ls(folder.path, detail=True)
            paths = [str(one["name"]) for one in found if one["type"] == "directory"]
    except (FileNotFoundError, NotADirectoryError):
        paths = []
    except Exception as error:  # each protocol has errors of its own
        raise EvaluationError(f"{folder.address}: cannot be read: {reason(error)}") from (
            clean_cause(error)
        )
    below = [path.rstrip("/") for path in sorted(paths)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        are_runs = list(pool.map(lambda path: _asked(is_run, Folder(folder.fs, path, path)), below))
    below = [path for path, is_one in zip(below, are_runs, strict=True) if is_one]
    if not below:
        raise UsageError(
            f"{folder.address}: no runs there; pass what 'emodask run' had as --out, a folder of "
            "such, or a glob of them"
        )
    for path in below:
        yield str(folder.fs.unstrip_protocol(path)) if is_url(place) else path


def _holds_an_evaluation(folder: Folder) -> bool:
    return any(
        folder.fs.exists(f"{folder.path}/{name}") for name in (f"{REPORT}/{METRICS}", METRICS)
    )


def _asked(is_run: Callable[[Folder], bool], folder: Folder) -> bool:
    try:
        return is_run(folder)
    except Exception as error:  # each protocol has errors of its own
        raise EvaluationError(f"{folder.address}: cannot be read: {reason(error)}") from (
            clean_cause(error)
        )


def distinct_names(paths: Sequence[str]) -> list[str]:
    """The last parts of the runs' paths, as many as it takes to tell those of a name apart.

    Examples
    --------
    >>> distinct_names(["/data/monday/result", "/data/tuesday/result", "/data/voice/report"])
    ['monday/result', 'tuesday/result', 'voice']
    """
    parts = []
    for run in paths:
        path = PurePosixPath(run)
        parts.append((path.parent if path.name == REPORT else path).parts)
    names = []
    for own in parts:
        depth = 1
        while depth < len(own) and sum(other[-depth:] == own[-depth:] for other in parts) > 1:
            depth += 1
        names.append("/".join(part for part in own[-depth:] if part != "/") or "/")
    return names
