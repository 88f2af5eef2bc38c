"""One job file -> validated, frozen settings; and the digest of what extraction depends on."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from emodask.emotions import CODES, EMOTIONS
from emodask.errors import JobError
from emodask.features import VARIANT, FamilySettings, family
from emodask.job_files import found_job, with_whole_paths
from emodask.models.search import Search
from emodask.nearest import meant
from emodask.sources.names import MODALITIES, Modality

EmotionName = Literal["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]

RESERVED = frozenset(
    {
        *("clip", "clip_id", "corpus"),
        *("actor", "emotion", "intensity", "statement", "repetition", "channel"),
        *("status", "error", "seconds", "frames", "checksum"),
    }
)
"""Names of what every store holds: no feature can have them."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Data(_Settings):
    """Which clips take part, and which of their files are read."""

    emotions: Annotated[tuple[EmotionName, ...], Field(min_length=2)] = get_args(EmotionName)
    channels: Annotated[tuple[Literal["speech", "song"], ...], Field(min_length=1)] = ("speech",)
    video: Literal["auto", "video-only", "full-av"] = "auto"
    audio: Literal["auto", "audio-only", "full-av"] = "auto"
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    batch: Annotated[int, Field(ge=1, le=1000)] = 12

    @model_validator(mode="after")
    def _distinct(self) -> Data:
        for key in ("emotions", "channels"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} names something twice")
        return self

    @property
    def emotion_codes(self) -> tuple[int, ...]:
        """Codes of the emotions, ascending: the order of classes everywhere."""
        return tuple(sorted(CODES[name] for name in self.emotions))


class Feature(_Settings):
    """One array of the store: a feature family and its settings."""

    kind: str
    settings: FamilySettings

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants of each clip that the array holds beside the clip itself."""
        return tuple(getattr(self.settings, "variants", ()))

    @property
    def streamed(self) -> bool:
        """Whether the array is too large to hold: a family's, unless settings make it small."""
        return family(self.kind).streamed and bool(getattr(self.settings, "streamed", True))

    @property
    def row_dims(self) -> dict[str, int]:
        """Dimensions of what a model reads of a clip: all but that of variants."""
        dims = family(self.kind).dims(self.settings)
        return {dim: size for dim, size in dims.items() if dim != VARIANT}


class Reduction(_Settings):
    """Partial Tucker of one feature array, on named dimensions."""

    dims: tuple[str, ...] = ()
    ranks: tuple[Annotated[int, Field(ge=1)], ...] = ()
    tol: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    n_iter_max: Annotated[int, Field(ge=1, le=10_000)] = 100

    @model_validator(mode="after")
    def _paired(self) -> Reduction:
        if len(self.dims) != len(self.ranks):
            raise ValueError(
                f"{len(self.dims)} dims but {len(self.ranks)} ranks; give one rank a dim"
            )
        if len(set(self.dims)) != len(self.dims):
            raise ValueError("dims names a dimension twice")
        return self


class Model(_Settings):
    """One classifier on some features or on what networks learnt, or a late fusion of models.

    Attributes
    ----------
    kind : str
    features : tuple of str
        All of the job's by default, of a classifier without ``embeddings``.
    embeddings : tuple of str
        Networks of the job whose last hidden layers it reads, trained on the same training part. A
        network that reads others and holds people out, to know when to stop, must hold out the
        same: those ``validation`` and ``random_state`` choose, which must be equal. By others it
        would be stopped too late, since what it reads knows them.
    parameters : dict
        The classifier's own.
    scale, calibrate, augment : bool
    search : Search, optional
    members : tuple of str
        Models that a fusion joins.
    rule : str, optional
        How it joins them.
    """

    kind: str
    features: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    scale: StrictBool = False
    calibrate: StrictBool = False
    augment: StrictBool = False
    search: Search | None = None
    members: tuple[str, ...] = ()
    rule: Literal["mean", "product", "weighted", "stacked"] | None = None


class Evaluation(_Settings):
    """How clips are split into train and test."""

    protocols: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "loso",
        "actors-20-4",
        "within-actor",
    )
    seed: Seed | None = None
    speaker_adapted: StrictBool = False
    permuted: StrictBool = False


class Job(_Settings):
    """A system: data, features, reduction, models, protocols.

    Attributes
    ----------
    name, description : str
    seed : int
        Seeds everything random; feature noise by seed and clip name.
    data : Data
    features : mapping of str to Feature
        By array name, in file order.
    reductions : mapping of str to Reduction
        By array name.
    models : mapping of str to Model
        By model name; the first is the one that a bundle holds unless told otherwise.
    evaluation : Evaluation
    """

    name: Name
    description: str = ""
    seed: Seed = 0
    data: Data = Data()
    features: dict[Name, Feature] = Field(min_length=1)
    reductions: dict[str, Reduction] = {}
    models: dict[str, Model] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The media that features are computed from, in a fixed order."""
        needed = {family(feature.kind).modality for feature in self.features.values()}
        return tuple(modality for modality in MODALITIES if modality in needed)

    @property
    def tables(self) -> tuple[str, ...]:
        """The features that are tables, in file order."""
        return tuple(
            name
            for name, feature in self.features.items()
            if family(feature.kind).modality == "table"
        )

    def needs(self, features: Iterable[str]) -> tuple[str, ...]:
        """What a clip must have for some features: media, and rows of tables.

        Examples
        --------
        >>> load_job("audio-action-units").needs(["action_units", "spline"])
        ('audio', 'table action_units')
        """
        kinds = {name: family(self.features[name].kind).modality for name in features}
        media = tuple(modality for modality in MODALITIES if modality in kinds.values())
        return media + tuple(f"table {name}" for name in self.tables if name in kinds)

    def extraction(self) -> dict[str, Any]:
        """The settings that the bytes of a store depend on, as plain JSON values."""
        data = self.data.model_dump(mode="json")
        data["emotions"] = [EMOTIONS[code - 1] for code in self.data.emotion_codes]
        data["channels"] = sorted(data["channels"])
        return {
            "seed": self.seed,
            "data": data,
            "features": {
                name: {"kind": feature.kind, **feature.settings.model_dump(mode="json")}
                for name, feature in self.features.items()
            },
        }

    def settings(self) -> dict[str, Any]:
        """All settings as plain JSON values, as a job file would hold them."""
        features = self.extraction()["features"]
        rest = self.model_dump(mode="json", exclude={"features"})
        return {**rest, "features": features}


def digest(settings: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that name a set of settings, whatever the order of keys.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def load_job(job: str | Path | Job) -> Job:
    """Read a job file, by path or by the name of one that emodask ships.

    Parameters
    ----------
    job : str, Path or Job
        ``jobs/spline.toml``, or ``spline`` for the one of that name among the shipped jobs.

    Raises
    ------
    JobError
        If there is no such file, or it has an unknown key or an impossible value; the message says
        where, and what would be right.

    Examples
    --------
    >>> load_job("hog3d-spline").modalities
    ('video', 'audio')
    """
    if isinstance(job, Job):
        return job
    path = found_job(str(job))
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_job(with_whole_paths(settings, path), str(path))


def parse_job(settings: Mapping[str, Any], where: str = "job") -> Job:
    """Validate the settings of a job.

    Parameters
    ----------
    settings : mapping
        As read from TOML, or as :meth:`Job.settings` gives them.
    where : str
        What messages call it.
    """
    plain = dict(settings)
    try:
        features = {
            name: _feature(name, table, where)
            for name, table in _table(plain, "features", where).items()
        }
        job = Job(**{**plain, "features": features})
    except ValidationError as error:
        raise JobError(f"{where}: {_explain(error)}") from error
    _check_references(job, where)
    return job


def _table(settings: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = settings.get(key)
    if not isinstance(table, Mapping) or not table:
        raise JobError(f"{where}: needs at least one table [{key}.NAME]")
    return table


def _feature(name: str, table: Any, where: str) -> Feature:
    if not isinstance(table, Mapping):
        raise JobError(f"{where}: features.{name} is not a table")
    settings = dict(table)
    kind = settings.pop("kind", name)
    try:
        found = family(str(kind))
    except JobError as error:
        raise JobError(f"{where}: features.{name}.kind: {error}") from error
    if found.modality == "table":
        settings.setdefault("dim", f"{name}_column")
    try:
        return Feature(kind=kind, settings=found.settings(**settings))
    except ValidationError as error:
        raise JobError(
            f"{where}: {_explain(error, f'features.{name}.', found.settings)}"
        ) from error


def _explain(
    error: ValidationError, prefix: str = "", settings: type[BaseModel] | None = None
) -> str:
    lines = []
    for problem in error.errors():
        place = prefix + ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = (settings or _table_of(problem["loc"])).model_fields
            close = meant(str(problem["loc"][-1]), known)
            lines.append(f"{place}: unknown key; known keys: {', '.join(known)}{close}")
        elif problem["type"] == "missing":
            lines.append(f"{place}: missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found = problem["input"]
            shown = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
            lines.append(f"{place.rstrip('.') or 'job'}: {message}{shown}")
    return "; ".join(lines)


def _table_of(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The table that an unknown key at a location of a job file stands in."""
    tables: dict[str, type[BaseModel]] = {
        "data": Data,
        "reductions": Reduction,
        "models": Model,
        "evaluation": Evaluation,
    }
    if len(location) > 3 and location[2] == "search":
        return Search
    return tables[str(location[0])] if len(location) > 1 else Job


def _check_references(job: Job, where: str) -> None:
    from emodask.evaluation.protocols import PROTOCOLS
    from emodask.models.checking import check_features, check_models

    taken = {dim for f in job.features.values() for dim in family(f.kind).dims(f.settings)}
    for name in job.features:
        if name in taken | RESERVED:
            raise JobError(
                f"{where}: features.{name}: the store has something of that name; use another"
            )
    for name, reduction in job.reductions.items():
        if name not in job.features:
            raise JobError(f"{where}: reductions.{name}: no such feature; {_have(job.features)}")
        sizes = job.features[name].row_dims
        for dim, rank in zip(reduction.dims, reduction.ranks, strict=True):
            if dim not in sizes:
                raise JobError(
                    f"{where}: reductions.{name}.dims: no dimension {dim!r}; {_have(sizes)}"
                )
            if sizes[dim] and rank > sizes[dim]:  # a table's columns are known once it is read
                raise JobError(
                    f"{where}: reductions.{name}.ranks: rank {rank} on {dim}, which has size "
                    f"{sizes[dim]}; use at most that"
                )
    for name, model in job.models.items():
        for feature_name in model.features:
            if feature_name not in job.features:
                raise JobError(
                    f"{where}: models.{name}.features: no feature {feature_name!r}; "
                    f"{_have(job.features)}"
                    f"{meant(feature_name, job.features)}"
                )
    check_models(job.models, where)
    check_features(job, where)
    for protocol in job.evaluation.protocols:
        if protocol not in PROTOCOLS:
            raise JobError(
                f"{where}: evaluation.protocols: no protocol {protocol!r}; {_have(PROTOCOLS)}"
                f"{meant(protocol, PROTOCOLS)}"
            )


def _have(names: Mapping[str, Any]) -> str:
    return f"there are {', '.join(names)}"
