"""Where job files lie, by path or by name, and what the paths in them are relative to."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from emodask.errors import JobError
from emodask.sources.addresses import is_url


def with_whole_paths(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    """The settings of a job file, with the paths that are relative to it made whole."""
    features = settings.get("features")
    for table in features.values() if isinstance(features, dict) else ():
        for key in ("path", "weights"):  # of tables, of networks
            place = table.get(key) if isinstance(table, dict) else None
            if isinstance(place, str) and place and not is_url(place):
                table[key] = str(path.parent / os.path.expanduser(place))
    return settings


def shipped_jobs() -> dict[str, Path]:
    """Job files that come with emodask, by name."""
    packaged = Path(str(files("emodask"))) / "jobs"
    folder = packaged if packaged.is_dir() else Path(__file__).parent.parent / "jobs"
    return {path.stem: path for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem)}


def found_job(job: str) -> Path:
    """The file of a job, by path or by the name of one that emodask ships.

    Raises
    ------
    JobError
        If there is none.
    """
    path = Path(job)
    if path.is_file():
        return path
    shipped = shipped_jobs()
    if job in shipped:
        return shipped[job]
    raise JobError(f"{job}: no such job file; emodask ships {', '.join(shipped)}")
