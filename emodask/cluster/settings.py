"""How to reach or start a cluster: a small file that no job depends on, and options."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from emodask.errors import UsageError

SCHEDULERS = ("local", "sync", "slurm", "kubernetes")
STARTED = ("local", "slurm", "kubernetes")
"""Those whose workers emodask starts."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cluster(_Table):
    """What ``--scheduler`` and its companions say, in a file."""

    scheduler: str = "local"
    workers: Annotated[int, Field(ge=1)] | None = None
    max_workers: Annotated[int, Field(ge=1)] | None = None
    memory_limit: str | None = None
    worker_timeout: str | None = None

    @field_validator("memory_limit")
    @classmethod
    def _size(cls, value: str | None) -> str | None:
        from dask.utils import parse_bytes

        try:
            enough = value is None or parse_bytes(value) >= 1 << 28
        except (OverflowError, ValueError):
            raise ValueError(f"not a size: {value!r}; write it as in 4GiB") from None
        if not enough:
            raise ValueError("less than 256 MiB; a worker's libraries alone need that much")
        return value

    @model_validator(mode="after")
    def _bounds(self) -> Cluster:
        if self.workers and self.max_workers and self.max_workers < self.workers:
            raise ValueError(f"max_workers is {self.max_workers}, below workers = {self.workers}")
        return self

    @field_validator("worker_timeout")
    @classmethod
    def _time(cls, value: str | None) -> str | None:
        from dask.utils import parse_timedelta

        try:
            if value is not None:
                parse_timedelta(value)
        except (IndexError, KeyError, ValueError):
            raise ValueError(f"not a time: {value!r}; write it as in 90s or 10 minutes") from None
        return value


class Tls(_Table):
    """Certificates of a ``tls://`` scheduler: paths of PEM files."""

    ca: str
    cert: str
    key: str


class Kubernetes(_Table):
    """What a cluster on Kubernetes is made of; the operator has to be installed there."""

    image: str
    namespace: str | None = None
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)] = "emodask"
    env: dict[str, str] = {}
    cpu: str = "1"


class ClusterSettings(_Table):
    """A cluster file.

    Attributes
    ----------
    cluster : Cluster
    tls : Tls, optional
    slurm : dict
        Keyword arguments of :class:`dask_jobqueue.SLURMCluster`.
    kubernetes : Kubernetes, optional
    """

    cluster: Cluster = Cluster()
    tls: Tls | None = None
    slurm: dict[str, Any] = {}
    kubernetes: Kubernetes | None = None


def load_settings(path: str | Path | None = None, **options: Any) -> ClusterSettings:
    """Read a cluster file, and let options that are not None take precedence.

    Parameters
    ----------
    path : str or Path, optional
        By default what ``EMODASK_CLUSTER`` names, or ``~/.config/emodask/cluster.toml`` if there.
    **options
        ``scheduler``, ``workers``, ``max_workers``, ``memory_limit``.

    Raises
    ------
    UsageError
        If the file is absent, or holds an unknown key or an impossible value.
    """
    given = {key: value for key, value in options.items() if value is not None}
    found = _find(path)
    try:
        tables = tomllib.loads(found.read_text(encoding="utf-8")) if found else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{found}: not a cluster file that can be read: {why}") from error
    wanted = tables.get("cluster", {})
    if not isinstance(wanted, dict):
        raise UsageError(f"{found}: cluster: not a table; write [cluster]")
    tables = {**tables, "cluster": {**_still_meant(wanted, given), **given}}
    try:
        return ClusterSettings(**tables)
    except ValidationError as error:
        raise UsageError(f"{found or 'options'}: {_explain(error)}") from error


def _still_meant(file: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a file says of a cluster as far as options leave it a meaning."""
    dropped = set()
    if options.get("scheduler", "local") not in STARTED:
        dropped = {"workers", "max_workers", "memory_limit"}
    most, fewest = options.get("max_workers"), file.get("workers")
    if isinstance(most, int) and isinstance(fewest, int) and most < fewest:
        dropped.add("workers")
    return {key: value for key, value in file.items() if key not in dropped}


def _find(path: str | Path | None) -> Path | None:
    named = path or os.environ.get("EMODASK_CLUSTER")
    if named:
        return Path(named)
    usual = Path("~/.config/emodask/cluster.toml").expanduser()
    return usual if usual.is_file() else None


_TABLES: dict[str, type[BaseModel]] = {"cluster": Cluster, "tls": Tls, "kubernetes": Kubernetes}


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            inside = len(problem["loc"]) > 1
            table = _TABLES[str(problem["loc"][0])] if inside else ClusterSettings
            lines.append(f"{place}: unknown key; known keys: {', '.join(table.model_fields)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found = problem["input"]
            # A whole table is not shown, nor a variable's value: it may be a secret.
            shown = isinstance(found, str | int | float) and "env" not in problem["loc"]
            lines.append(f"{place}: {message}" + (f" (found {found!r})" if shown else ""))
    return "; ".join(lines)
