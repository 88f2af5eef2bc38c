"""A fitted network as JSON settings and safetensors, and back: nothing stored is run as code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emodask.errors import BundleError
from emodask.job import Job
from emodask.models.classifiers import CLASSIFIERS, is_network, make_classifier
from emodask.models.networks.network import Network, shown
from emodask.models.networks.weights import unpacked
from emodask.models.system import reduced_dims

_OF_HERE = ("device", "shapes", "scale")
"""Parameters that are not settings of the architecture."""


def network_settings(network: Network) -> dict[str, Any]:
    """All of a fitted network but its weights, as plain JSON values."""
    name = type(network).__name__
    kinds = [kind for kind in CLASSIFIERS if CLASSIFIERS[kind].path.endswith(f":{name}")]
    parameters = {k: v for k, v in network.get_params().items() if k not in _OF_HERE}
    settings = {
        "kind": kinds[0],
        "parameters": parameters,
        "shapes": network.shapes_,
        "scale": network.scale,
        "classes": network.classes_.tolist(),
    }
    return dict(json.loads(json.dumps(settings)))


def restored_network(
    settings: Mapping[str, Any],
    weights: bytes,
    job: Job,
    features: Sequence[str] | None,
    where: str,
) -> Network:
    """The network of settings and weights, computing on what device there is.

    Parameters
    ----------
    settings : mapping
        What :func:`network_settings` gave.
    weights : bytes
        safetensors.
    job : Job
        Whose emotions it tells apart.
    features : sequence of str or None
        Those of the job that it reads; None where it reads what other networks learnt.
    where : str
        What messages call the file.

    Raises
    ------
    BundleError
        If that is not a network of the job.
    JobError
        If PyTorch is not installed.
    """
    kind, classes = settings["kind"], settings["classes"]
    if not isinstance(kind, str) or not is_network(kind):
        raise BundleError(f"{where}: no network of kind {kind!r}")
    known = set(job.data.emotion_codes)
    if len(classes) < 2 or sorted(set(classes)) != classes or not known.issuperset(classes):
        raise BundleError(f"{where}: its classes are not emotions of the job")
    shapes = tuple(tuple(dims) for dims in settings["shapes"])
    if not all(type(size) is int and size > 0 for dims in shapes for size in dims):
        raise BundleError(f"{where}: its shapes are not whole numbers above 0")
    if features is not None:
        wanted = tuple(tuple(reduced_dims(job, name).values()) for name in features)
        if wanted != shapes and all(size for dims in wanted for size in dims):
            raise BundleError(f"{where}: it reads {shown(shapes)}, the job has {shown(wanted)}")
    here = {"device": "auto", "shapes": shapes, "scale": settings["scale"]}
    parameters = {**settings["parameters"], **here}
    network: Network = make_classifier(kind, parameters)
    network._validate_params()
    network.check_shapes(shapes)
    network.classes_, network.shapes_ = np.array(classes), shapes
    network.weights_ = weights
    try:
        unpacked(network, weights)
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error
    return network
