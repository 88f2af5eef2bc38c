"""What a job says of networks and of what they learn, refused before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from emodask.errors import JobError, UsageError
from emodask.models.classifiers import CLASSIFIERS, is_network, make_classifier
from emodask.models.system import reduced_dims
from emodask.nearest import meant

if TYPE_CHECKING:
    from emodask.job import Job, Model


def check_shapes(job: Job, where: str) -> None:
    """Refuse networks whose layers cannot take what their features become.

    Parameters
    ----------
    job : Job
    where : str
        What messages call the job.

    Raises
    ------
    JobError
    """
    for name, model in job.models.items():
        if not is_network(model.kind):
            continue
        for key, right in (
            ("shapes", "they follow from the features"),
            ("scale", "set scale = true of the model itself"),
        ):
            if key in model.parameters:
                raise JobError(f"{where}: models.{name}.parameters: no {key} here; {right}")
            if model.search and any(key in sample for sample in model.search.samples()):
                raise JobError(f"{where}: models.{name}.search: no {key} here; {right}")
        if CLASSIFIERS[model.kind].absent:
            continue
        if model.embeddings:
            _check_on_embeddings(job, name, where)
            continue
        features = model.features or tuple(job.features)
        shapes = [tuple(reduced_dims(job, feature).values()) for feature in features]
        try:
            make_classifier(model.kind, model.parameters).check_shapes(shapes)
        except ValueError as error:
            raise JobError(
                f"{where}: models.{name}.features: {model.kind}: {error} ({', '.join(features)})"
            ) from error


def _check_on_embeddings(job: Job, name: str, where: str) -> None:
    """Refuse a network that cannot read what others have learnt: numbers side by side."""
    model = job.models[name]
    try:
        make_classifier(model.kind, model.parameters).check_shapes([(0,)])  # how many is not known
    except ValueError as error:
        reads, _, _ = str(error).partition(", not ")
        raise JobError(
            f"{where}: models.{name}.embeddings: {model.kind}: {reads}, not numbers side by side, "
            "as what other networks learnt is"
        ) from error
    _check_held_out(job, name, where)


def _check_held_out(job: Job, name: str, where: str) -> None:
    """Refuse a network that would be stopped by people on whom a network below was trained.

    Who is held out follows from the training side, ``validation`` and ``random_state`` alone: the
    same people where both are equal.
    """
    model = job.models[name]
    upper = make_classifier(model.kind, model.parameters, job.seed)
    if not upper.validation:  # nobody stops it
        return
    for other in model.embeddings:
        lower = job.models[other]
        below = make_classifier(lower.kind, lower.parameters, job.seed)
        samples = list(lower.search.samples()) if lower.search else []
        for key in ("validation", "random_state"):
            wanted = getattr(upper, key)
            tried = [sample[key] for sample in samples if key in sample] or [getattr(below, key)]
            if any(value != wanted for value in tried):
                found = " or ".join(str(value) for value in tried)
                raise JobError(
                    f"{where}: models.{name}.parameters: {key} is {wanted}, but {found} of "
                    f"{other}, whose embeddings it reads: {name} would be stopped by people on "
                    f"whom {other} was trained. Give both the same {key}, or {name} validation = 0"
                )


def check_devices(job: Job, names: Iterable[str]) -> None:
    """Refuse devices that this machine does not have, of models that will be fitted on it.

    Parameters
    ----------
    job : Job
    names : iterable of str
        Models; those that they read are looked at too.

    Raises
    ------
    JobError
    """
    for name in names:
        model = job.models[name]
        check_devices(job, (*model.members, *model.embeddings))
        if not is_network(model.kind):
            continue
        searched = model.search.samples() if model.search else ()
        for parameters in (model.parameters, *searched):
            device = str(parameters.get("device", "auto"))
            if device == "auto" or device.startswith("cpu"):  # without PyTorch's slow import
                continue
            from emodask.networks.device import chosen_device

            try:
                chosen_device(device)
            except UsageError as error:
                where = f"job {job.name}: models.{name}.parameters.device"
                raise JobError(f"{where}: {error}") from error


def check_embeddings(name: str, models: Mapping[str, Model], place: str) -> None:
    """Refuse a model of embeddings that nothing gives, or that would read itself.

    Whether a network holds out the same people as those that it reads, :func:`check_shapes` looks:
    it knows the job.

    Parameters
    ----------
    name : str
        A model that has embeddings.
    models : mapping of str to Model
    place : str
        What messages call it.

    Raises
    ------
    JobError
    """
    model = models[name]
    settings: dict[str, Any] = {
        "augment": model.augment,
        "calibrate": model.calibrate,
        "search": model.search,
    }
    for key, given in settings.items():
        if given:
            raise JobError(f"{place}.{key}: a model of embeddings has none; {_INSTEAD[key]}")
    if len(set(model.embeddings)) != len(model.embeddings):
        raise JobError(f"{place}.embeddings: names a model twice")
    for other in model.embeddings:
        if other not in models:
            networks = [one for one in models if one != name and is_network(models[one].kind)]
            have = f"networks are {', '.join(networks)}" if networks else "there is no network"
            raise JobError(
                f"{place}.embeddings: no model {other!r}; {have}{meant(other, networks)}"
            )
        if not is_network(models[other].kind):
            kinds = ", ".join(kind for kind in CLASSIFIERS if is_network(kind))
            raise JobError(
                f"{place}.embeddings: {other} is of kind {models[other].kind!r} and has no hidden "
                f"layer to read; networks have: {kinds}"
            )
    path = _way_back(name, models, (name,))
    if path:
        raise JobError(f"{place}.embeddings: it would read itself: {' of '.join(path)}")


_INSTEAD = {
    "augment": "set it on the networks that it reads",
    # What the networks learnt of their training rows says nothing of how they judge others.
    "calibrate": "the networks have met every row that it could be calibrated on",
    "search": "the networks have met every row that it could be chosen on",
}


def _way_back(
    start: str, models: Mapping[str, Model], path: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Embeddings of embeddings that lead back to where they start."""
    for other in models[path[-1]].embeddings:
        if other == start:
            return (*path, other)
        if other in models and other not in path:
            found = _way_back(start, models, (*path, other))
            if found:
                return found
    return None
