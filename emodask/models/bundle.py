"""The bundle: a fitted model as a folder of plain arrays, JSON and a skops file. No pickle."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import emodask
from emodask.errors import BundleError, BundleWriteError, EmodaskError
from emodask.job import Job, parse_job
from emodask.models.bundle_weights import read_weights, write_weights
from emodask.models.fitted import Fitted, FittedFusion, FittedModel
from emodask.models.fusion import RULES, weights_shape
from emodask.models.temperature import Temperature
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.sources.names import MODALITIES, Modality

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer

FORMAT = 1
_INDEX = "bundle.json"
_ADAPTED = "adapted-"
"""Begins the files of classifiers of the speaker-adapted model."""
_TRUSTED = (
    "emodask.models.boosting.XGBoost",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)
"""What estimators may hold beyond the types that skops trusts; loading constructs nothing else."""


@dataclass(frozen=True)
class Bundle:
    """A fitted model, ready to predict.

    Attributes
    ----------
    job : Job
        How media is read and features are computed.
    model_name : str
    model : FittedModel or FittedFusion
    reducers : dict of str to TensorReducer
    about : dict
        What it was trained on, and how well it did on people it had not seen.
    adapted : FittedModel or FittedFusion, optional
        The model fitted on features that are standardised by each speaker's own clips.
    """

    job: Job
    model_name: str
    model: Fitted
    reducers: dict[str, TensorReducer]
    about: dict[str, Any]
    adapted: Fitted | None = None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What the model has to see and hear."""
        needed = self.needs
        return tuple(modality for modality in MODALITIES if modality in needed)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that the model reads a row of."""
        return tuple(name for name in self.job.tables if name in self.model.features)

    @property
    def needs(self) -> tuple[str, ...]:
        """What a clip must have: media, and rows of tables."""
        return self.job.needs(self.model.features)


def save_bundle(
    bundle: Bundle, folder: str | Path, storage_options: StorageOptions | None = None
) -> None:
    """Write a bundle; ``bundle.json`` comes last and makes it whole.

    Raises
    ------
    BundleError
        If the folder cannot be written.
    """
    import skops.io

    place = Folder.at(folder, storage_options)
    try:
        place.make()
        place.remove(_INDEX)
        for name, reducer in bundle.reducers.items():
            packed = io.BytesIO()
            np.savez(packed, allow_pickle=False, **reducer.to_arrays())
            place.write(f"reduction-{name}.npz", packed.getvalue())
        classifiers = dict(_classifiers(bundle.model))
        adapted = dict(_classifiers(bundle.adapted, _ADAPTED)) if bundle.adapted else {}
        for name, fitted in {**classifiers, **adapted}.items():
            place.write(name, skops.io.dumps(fitted.estimator))
        write_weights(place, bundle.job, bundle.model.features)
        index = {
            "format": FORMAT,
            "version": emodask.__version__,
            "model": bundle.model_name,
            "features": list(bundle.model.features),
            "modalities": list(bundle.modalities),
            "tables": list(bundle.tables),
            "classes": list(bundle.model.classes),
            "temperature": _temperature_of(bundle.model),
            "fusion": _described(bundle.model, iter(classifiers)),
            "adapted": bundle.adapted
            and {
                "features": list(bundle.adapted.features),
                "temperature": _temperature_of(bundle.adapted),
                "fusion": _described(bundle.adapted, iter(adapted)),
                "file": next(iter(adapted)),
            },
            "job": bundle.job.settings(),
            "about": bundle.about,
        }
        place.write(_INDEX, (json.dumps(index, indent=1) + "\n").encode())
    except Exception as error:  # each protocol has errors of its own
        raise BundleWriteError(
            f"{place.address}: cannot be written: {reason(error)}"
        ) from clean_cause(error)


def load_bundle(folder: str | Path, storage_options: StorageOptions | None = None) -> Bundle:
    """Read a bundle. Nothing in it is run as code.

    Raises
    ------
    BundleError
        If it is not a whole bundle, or holds types other than scikit-learn's and NumPy's.
    """
    from emodask.reduction import TensorReducer

    place = Folder.at(folder, storage_options)
    where = place.address
    try:
        index = json.loads(place.read(_INDEX))
    except FileNotFoundError:
        raise BundleError(
            f"{where}: not a bundle (no {_INDEX}); write one with 'emodask fit'"
        ) from None
    except Exception as error:  # each protocol has errors of its own
        raise BundleError(f"{where}: {_INDEX} cannot be read: {reason(error)}") from clean_cause(
            error
        )
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise BundleError(f"{where}: not a bundle of format {FORMAT}")
    try:
        job = parse_job(index["job"], f"{where}/{_INDEX}")
        reducers = {}
        read_weights(place, job, index["features"])
        for name in index["features"]:
            with np.load(
                io.BytesIO(place.read(f"reduction-{name}.npz")), allow_pickle=False
            ) as arrays:
                reducers[name] = TensorReducer.from_arrays(dict(arrays))
        model = _restored(index, index["classes"], place)
        other = index.get("adapted")  # absent in bundles of before it
        adapted = _restored(other, index["classes"], place) if other else None
        return Bundle(job, index["model"], model, reducers, index["about"], adapted)
    except EmodaskError:
        raise
    except Exception as error:
        raise BundleError(
            f"{where}: damaged: {type(error).__name__}: {reason(error)}"
        ) from clean_cause(error)


def _classifiers(model: Fitted, prefix: str = "") -> Iterator[tuple[str, FittedModel]]:
    """The classifiers of a model, each with the name of its file."""
    if isinstance(model, FittedModel):
        yield f"{prefix}classifier.skops", model
        return
    for number, leaf in enumerate(_leaves(model)):
        yield f"{prefix}classifier-{number}.skops", leaf


def _leaves(model: Fitted) -> Iterator[FittedModel]:
    if isinstance(model, FittedModel):
        yield model
        return
    for member in model.members.values():
        yield from _leaves(member)


def _described(model: Fitted, files: Iterator[str]) -> dict[str, Any] | None:
    """How a late fusion is made, as plain JSON values; None for a classifier alone."""
    if isinstance(model, FittedModel):
        return None
    members = []
    for name, member in model.members.items():
        inner = _described(member, files)
        members.append(
            {
                "name": name,
                "features": list(member.features),
                "fusion": inner,
                "temperature": _temperature_of(member),
                "file": None if inner else next(files),
            }
        )
    weights = None if model.weights is None else model.weights.tolist()
    return {"rule": model.rule, "weights": weights, "members": members}


def _temperature_of(model: Fitted) -> dict[str, Any] | None:
    """The calibration of a classifier as plain JSON values; None for a fusion."""
    if isinstance(model, FittedFusion) or model.temperature is None:
        return None
    return {"factor": model.temperature.factor, "offsets": list(model.temperature.offsets)}


def _restored(about: dict[str, Any], classes: list[int], place: Folder) -> Fitted:
    """The fitted model that :func:`_described` and the files of classifiers hold."""
    fusion, features = about.get("fusion"), about["features"]
    if fusion is None:
        classifier = _read_classifier(place, about.get("file", "classifier.skops"))
        scaled = about.get("temperature")  # absent in bundles of before it
        temperature = None
        if scaled is not None:
            temperature = Temperature(float(scaled["factor"]), tuple(map(float, scaled["offsets"])))
            numbers = (temperature.factor, *temperature.offsets)
            if len(numbers) != 1 + len(classifier.classes_) or not np.isfinite(numbers).all():
                raise BundleError(f"{place.address}: the temperature is not one of its classifier")
        return FittedModel(tuple(features), tuple(classes), classifier, temperature)
    if fusion["rule"] not in RULES:
        raise BundleError(f"{place.address}: no rule of fusion {fusion['rule']!r}")
    members = {str(m["name"]): _restored(m, classes, place) for m in fusion["members"]}
    weights = fusion["weights"]
    if weights is not None:
        weights = np.array(weights, np.float64)
        shape = weights_shape(fusion["rule"], len(members), len(classes))
        if weights.shape != shape or not np.isfinite(weights).all():
            raise BundleError(
                f"{place.address}: weights of fusion are not {shape[0]} x {shape[1]} numbers"
            )
    return FittedFusion(tuple(features), tuple(classes), fusion["rule"], members, weights)


def _read_classifier(place: Folder, file: str) -> Any:
    import skops.io

    if not re.fullmatch(rf"({_ADAPTED})?classifier(-\d+)?\.skops", file):
        raise BundleError(f"{place.address}: {file!r} is no file of a bundle")
    packed = place.read(file)
    foreign = set(skops.io.get_untrusted_types(data=packed)) - set(_TRUSTED)
    if foreign:
        raise BundleError(f"{place.address}: {file} holds a foreign type, {min(foreign)}")
    return skops.io.loads(packed, trusted=list(_TRUSTED))
