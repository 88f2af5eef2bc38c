"""What ``bundle.json`` says of a fitted model, and the files of its classifiers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from emodask.errors import BundleError
from emodask.job import Job
from emodask.models.fitted import Fitted, FittedFusion, FittedModel
from emodask.models.fusion import RULES, weights_shape
from emodask.models.networks.network import Network, shown
from emodask.models.networks.stored import network_settings, restored_network
from emodask.models.system import reduced_dims
from emodask.models.temperature import Temperature
from emodask.sources.folder import Folder

ADAPTED = "adapted-"
"""Begins the files of classifiers of the speaker-adapted model."""

_TRUSTED = (
    "emodask.models.boosting.XGBoost",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)
"""What estimators may hold beyond the types that skops trusts; loading constructs nothing else."""


def described(model: Fitted, prefix: str = "") -> tuple[dict[str, Any], dict[str, bytes]]:
    """A fitted model as plain JSON values, and the files of its classifiers.

    Parameters
    ----------
    model : FittedModel or FittedFusion
    prefix : str
        Begins the names of files.

    Returns
    -------
    about : dict
    files : dict of str to bytes
        By name.
    """
    files: dict[str, bytes] = {}
    names: dict[int, str] = {}
    alone = isinstance(model, FittedModel) and not model.embeddings

    def entry(part: Fitted) -> dict[str, Any]:
        about: dict[str, Any] = {"features": list(part.features)}
        if isinstance(part, FittedFusion):
            members = [{"name": name, **entry(member)} for name, member in part.members.items()]
            weights = None if part.weights is None else part.weights.tolist()
            fusion = {"rule": part.rule, "weights": weights, "members": members}
            return about | {"fusion": fusion, "temperature": None, "file": None}
        file = names.get(id(part))  # of a network that another part reads too
        if file is None:
            suffix, data = _packed(part.estimator)
            file = f"{prefix}classifier{'' if alone else f'-{len(files)}'}.{suffix}"
            files[file], names[id(part)] = data, file
        is_network = isinstance(part.estimator, Network)
        return about | {
            "fusion": None,
            "temperature": _temperature_of(part),
            "file": file,
            "network": network_settings(part.estimator) if is_network else None,
            "embeddings": [{"name": name, **entry(one)} for name, one in part.embeddings.items()],
            "beside": list(part.beside),
        }

    return entry(model), files


def restored(
    about: dict[str, Any],
    classes: Sequence[int],
    job: Job,
    place: Folder,
    found: dict[str, FittedModel] | None = None,
) -> Fitted:
    """The fitted model that :func:`described` gave.

    Parameters
    ----------
    about : dict
    classes : sequence of int
    job : Job
    place : Folder
    found : dict, optional
        Classifiers by what is said of them: those that two parts read are read once, and join it.

    Raises
    ------
    BundleError
        If a part of it is not what it should be, or holds a foreign type.
    """
    fusion, features = about.get("fusion"), about["features"]
    found = {} if found is None else found
    if fusion is None:
        said = {key: value for key, value in about.items() if key != "name"}
        key = json.dumps(said, sort_keys=True)
        if key not in found:
            found[key] = _restored_classifier(about, classes, job, place, found)
        return found[key]
    if fusion["rule"] not in RULES:
        raise BundleError(f"{place.address}: no rule of fusion {fusion['rule']!r}")
    members = {str(m["name"]): restored(m, classes, job, place, found) for m in fusion["members"]}
    read = {name for member in members.values() for name in member.features}
    if foreign := sorted(read.difference(features)):
        raise BundleError(f"{place.address}: it reads {', '.join(foreign)}, which it does not name")
    weights = fusion["weights"]
    if weights is not None:
        weights = np.array(weights, np.float64)
        shape = weights_shape(fusion["rule"], len(members), len(classes))
        if weights.shape != shape or not np.isfinite(weights).all():
            raise BundleError(
                f"{place.address}: weights of fusion are not {shape[0]} x {shape[1]} numbers"
            )
    return FittedFusion(tuple(features), tuple(classes), fusion["rule"], members, weights)


def _restored_classifier(
    about: dict[str, Any],
    classes: Sequence[int],
    job: Job,
    place: Folder,
    found: dict[str, FittedModel],
) -> FittedModel:
    features = tuple(about["features"])
    networks = dict(_embedding_networks(about, classes, job, place, found))
    file, settings = about.get("file", "classifier.skops"), about.get("network")
    packed = _read(place, file, "safetensors" if settings else "skops")
    if settings:
        read = None if networks else features
        where = f"{place.address}: {file}"
        classifier = restored_network(settings, packed, job, read, where)
        if networks:
            _check_width(classifier, networks, tuple(about.get("beside") or ()), job, where)
    else:
        classifier = _unpacked(packed, f"{place.address}: {file}")
    scaled = about.get("temperature")  # absent in bundles of before it
    temperature = None
    if scaled is not None:
        temperature = Temperature(float(scaled["factor"]), tuple(map(float, scaled["offsets"])))
        numbers = (temperature.factor, *temperature.offsets)
        if len(numbers) != 1 + len(classifier.classes_) or not np.isfinite(numbers).all():
            raise BundleError(f"{place.address}: the temperature is not one of its classifier")
    beside = tuple(about.get("beside") or ())
    read_too = {*beside, *(name for one in networks.values() for name in one.features)}
    if foreign := sorted(read_too.difference(features)):
        raise BundleError(f"{place.address}: it reads {', '.join(foreign)}, which it does not name")
    return FittedModel(
        features, tuple(classes), classifier, temperature, embeddings=networks, beside=beside
    )


def _check_width(
    network: Network,
    below: Mapping[str, FittedModel],
    beside: Sequence[str],
    job: Job,
    where: str,
) -> None:
    """Refuse a network that reads another number of numbers than what it reads gives."""
    dims = [tuple(reduced_dims(job, name).values()) for name in beside]
    if not all(size for one in dims for size in one):
        return  # columns of a table that are not known
    given = sum(map(math.prod, dims)) + sum(one.estimator.embedded_ for one in below.values())
    if network.shapes_ != ((given,),):
        raise BundleError(
            f"{where}: it reads {shown(network.shapes_)} numbers, and "
            f"{' and '.join((*beside, *below))} give {given}"
        )


def _embedding_networks(
    about: dict[str, Any],
    classes: Sequence[int],
    job: Job,
    place: Folder,
    found: dict[str, FittedModel],
) -> Iterator[tuple[str, FittedModel]]:
    for one in about.get("embeddings") or ():  # absent in bundles of before them
        network = restored(one, classes, job, place, found)
        if not isinstance(network, FittedModel) or not isinstance(network.estimator, Network):
            raise BundleError(f"{place.address}: {one['name']!r} is no network to read")
        yield str(one["name"]), network


def _packed(estimator: Any) -> tuple[str, bytes]:
    """The ending of a classifier's file, and what it holds."""
    if isinstance(estimator, Network):
        return "safetensors", estimator.weights_
    import skops.io

    return "skops", skops.io.dumps(estimator)


def _read(place: Folder, file: str, suffix: str) -> bytes:
    if not re.fullmatch(rf"({ADAPTED})?classifier(-\d+)?\.{suffix}", file):
        raise BundleError(f"{place.address}: {file!r} is no file of a bundle")
    return place.read(file)


def _unpacked(packed: bytes, where: str) -> Any:
    import skops.io

    foreign = set(skops.io.get_untrusted_types(data=packed)) - set(_TRUSTED)
    if foreign:
        raise BundleError(f"{where} holds a foreign type, {min(foreign)}")
    return skops.io.loads(packed, trusted=list(_TRUSTED))


def _temperature_of(model: FittedModel) -> dict[str, Any] | None:
    """The calibration of a classifier as plain JSON values."""
    if model.temperature is None:
        return None
    return {"factor": model.temperature.factor, "offsets": list(model.temperature.offsets)}
