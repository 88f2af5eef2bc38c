"""What a job says of its models, refused before any work if it cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from emodask.errors import JobError
from emodask.models.classifiers import CLASSIFIERS, is_network, make_classifier
from emodask.nearest import meant

if TYPE_CHECKING:
    from emodask.job import Job, Model

FUSION = "fusion"
"""The kind of a model that joins others; every other kind is a classifier."""


def check_models(models: Mapping[str, Model], where: str) -> None:
    """Refuse models that cannot be made.

    Parameters
    ----------
    models : mapping of str to Model
    where : str
        What messages call the job.

    Raises
    ------
    JobError
        Saying where, what was found, and what would be right.
    """
    for name, model in models.items():
        place = f"{where}: models.{name}"
        if name.endswith(("+adapted", "+permuted")):
            raise JobError(f"{place}: reports name rows of their own so; use another name")
        if model.kind == FUSION:
            _check_fusion(name, models, place)
        else:
            _check_classifier(model, place)
            if model.embeddings:
                from emodask.models.networks.checking import check_embeddings

                check_embeddings(name, models, place)


def _check_classifier(model: Model, place: str) -> None:
    if model.kind not in CLASSIFIERS:
        known = (*CLASSIFIERS, FUSION)
        raise JobError(
            f"{place}.kind: no classifier {model.kind!r}; there are {', '.join(known)}"
            f"{meant(model.kind, known)}"
        )
    for key, given in (("members", model.members), ("rule", model.rule)):
        if given:
            raise JobError(
                f'{place}.{key}: {model.kind} has none; models of kind = "{FUSION}" have'
            )
    # Where a package is absent, reading the job is possible, and fitting is refused.
    if CLASSIFIERS[model.kind].absent:
        return
    if model.parameters:
        _check_parameters(model.kind, model.parameters, f"{place}.parameters")
    if model.search is None:
        return
    for sample in model.search.samples():
        for name in model.parameters.keys() & sample:
            raise JobError(f"{place}.search: {name} is fixed in parameters; leave it out of one")
        _check_parameters(model.kind, {**model.parameters, **sample}, f"{place}.search")


def _check_parameters(kind: str, parameters: Mapping[str, Any], place: str) -> None:
    try:
        make_classifier(kind, parameters)._validate_params()
    except (JobError, ValueError, TypeError) as error:
        raise JobError(f"{place}: {error}") from error


def check_features(job: Job, where: str) -> None:
    """Refuse features and models that do not go together.

    Raises
    ------
    JobError
    """
    from emodask.models.networks.checking import check_shapes

    check_variants(job, where)
    check_streamed(job, where)
    check_shapes(job, where)


def check_variants(job: Job, where: str) -> None:
    """Refuse variants of clips that differ between features, and models that would find none.

    Raises
    ------
    JobError
    """
    named = {name: feature.variants for name, feature in job.features.items() if feature.variants}
    for name, variants in named.items():
        first, expected = next(iter(named.items()))
        if variants != expected:
            raise JobError(
                f"{where}: features.{name}.variants: {', '.join(variants)}; but those of {first} "
                f"are {', '.join(expected)}. Give all features the same ones, in one order"
            )
    for name, model in job.models.items():
        if model.augment and not named.keys() & set(model.features or job.features):
            raise JobError(
                f"{where}: models.{name}.augment: none of its features has variants; give one "
                "some, such as variants = ['noise20', 'pitch+2']"
            )


def check_streamed(job: Job, where: str) -> None:
    """Refuse to reduce features that are streamed, and models that would need all of one at once.

    Raises
    ------
    JobError
    """
    streamed = {name for name, feature in job.features.items() if feature.streamed}
    for name in streamed & job.reductions.keys():
        raise JobError(
            f"{where}: reductions.{name}: {name} is read as it is stored, batch by batch, and "
            "nothing reduces it; leave the table out"
        )
    for name, model in job.models.items():
        joins = model.kind == FUSION or model.embeddings
        read = list(model.features if joins else model.features or job.features)
        for feature in streamed.intersection(read):
            _check_streaming(job, model, read, feature, f"{where}: models.{name}")


def _check_streaming(job: Job, model: Model, read: list[str], feature: str, place: str) -> None:
    if not is_network(model.kind):
        networks = ", ".join(kind for kind in CLASSIFIERS if is_network(kind))
        raise JobError(
            f"{place}.features: {model.kind} cannot read {feature}, which is too large to hold of "
            f"all clips. A network can ({networks}), and {model.kind} can read what one has learnt "
            'of it: embeddings = ["NAME"], a model of the job that is a network; or give it other '
            "features"
        )
    others = ", ".join(name for name in (*read, *model.embeddings) if name != feature)
    if others:
        raise JobError(
            f"{place}.features: {feature} is read batch by batch and cannot stand beside {others}; "
            f'give the model features = ["{feature}"], others to another model, and join both by '
            f'a model of kind = "{FUSION}"'
        )
    if job.evaluation.speaker_adapted:
        raise JobError(
            f"{place}: {feature} is read batch by batch and cannot be standardised by each "
            "speaker's own clips; leave speaker_adapted out of [evaluation], or put the model "
            "into a job of its own"
        )


def _check_fusion(name: str, models: Mapping[str, Model], place: str) -> None:
    model = models[name]
    settings: dict[str, Any] = {
        "features": model.features,
        "embeddings": model.embeddings,
        "parameters": model.parameters,
        "scale": model.scale,
        "calibrate": model.calibrate,
        "augment": model.augment,
        "search": model.search,
    }
    for key, given in settings.items():
        if given:
            raise JobError(f"{place}.{key}: a fusion has none; set it on its members")
    if len(model.members) < 2 or len(set(model.members)) != len(model.members):
        raise JobError(f"{place}.members: a fusion joins at least two models, each named once")
    for member in model.members:
        if member not in models:
            raise JobError(
                f"{place}.members: no model {member!r}; there are {', '.join(models)}"
                f"{meant(member, models)}"
            )
    path = _way_back(name, models, (name,))
    if path:
        raise JobError(f"{place}.members: a fusion of itself: {' of '.join(path)}")


def _way_back(
    start: str, models: Mapping[str, Model], path: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Members of members that lead back to where they start."""
    for member in models[path[-1]].members:
        if member == start:
            return (*path, member)
        if member in models and member not in path:
            found = _way_back(start, models, (*path, member))
            if found:
                return found
    return None


def check_installed(job: Job, names: Iterable[str] | None = None) -> None:
    """Refuse models of which the package is not installed, before any long work.

    Parameters
    ----------
    job : Job
    names : iterable of str, optional
        Models that will be fitted; by default all.

    Raises
    ------
    JobError
        Saying what to install.
    """
    for name in names or job.models:
        model = job.models[name]
        read = (*model.members, *model.embeddings)
        if read:
            check_installed(job, read)
        if model.kind != FUSION and CLASSIFIERS[model.kind].package:
            try:
                make_classifier(model.kind, model.parameters)
            except JobError as error:
                raise JobError(f"job {job.name}: models.{name}: {error}") from error
