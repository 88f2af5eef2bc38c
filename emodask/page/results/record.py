"""``run.json`` as these pages read it: what somebody wrote, checked, whatever else is in it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emodask.errors import EmodaskError

STATES = {
    "running": "running",
    "finished": "finished",
    "failed": "failed",
    "interrupted": "stopped",
}
"""What the states of a record are called on the pages."""


class Counts(BaseModel):
    """Clips by what has become of them."""

    total: int | None = None
    done: int = 0
    failed: int = 0
    incomplete: int = 0
    pending: int = 0


class Failure(BaseModel):
    """A clip that failed, and why."""

    clip: str
    reason: str = ""


class Failures(BaseModel):
    """How many clips failed, and the first of them."""

    count: int = 0
    first: list[Failure] = Field(default_factory=list)


class JobNamed(BaseModel):
    """The job of a run."""

    name: str = ""
    extraction_digest: str = ""


class Record(BaseModel):
    """How a run went, as far as its record says."""

    model_config = ConfigDict(extra="ignore")

    state: str = ""
    error: str | None = None
    started: str | None = None
    ended: str | None = None
    job: JobNamed = Field(default_factory=JobNamed)
    clips: Counts | None = None
    failures: Failures = Field(default_factory=Failures)
    seconds: dict[str, float] = Field(default_factory=dict)
    sources: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)


def parse_record(data: bytes, where: str) -> Record:
    """Read the content of a ``run.json``.

    Raises
    ------
    EmodaskError
        If it is not what a run writes.
    """
    try:
        return Record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise EmodaskError(f"{where}: damaged: {place or 'content'}: {first['msg']}") from None
