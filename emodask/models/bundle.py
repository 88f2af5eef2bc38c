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
from emodask.models.fitted import Fitted, FittedFusion, FittedModel
from emodask.models.fusion import RULES
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.sources.names import MODALITIES, Modality

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer

FORMAT = 1
_INDEX = "bundle.json"
_TRUSTED = (
    "emodask.models.boosting.XGBoost",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
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
    """

    job: Job
    model_name: str
    model: Fitted
    reducers: dict[str, TensorReducer]
    about: dict[str, Any]

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
        for name, fitted in classifiers.items():
            place.write(name, skops.io.dumps(fitted.estimator))
        index = {
            "format": FORMAT,
            "version": emodask.__version__,
            "model": bundle.model_name,
            "features": list(bundle.model.features),
            "modalities": list(bundle.modalities),
            "tables": list(bundle.tables),
            "classes": list(bundle.model.classes),
            "fusion": _described(bundle.model, iter(classifiers)),
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
        for name in index["features"]:
            with np.load(
                io.BytesIO(place.read(f"reduction-{name}.npz")), allow_pickle=False
            ) as arrays:
                reducers[name] = TensorReducer.from_arrays(dict(arrays))
        model = _restored(index.get("fusion"), index["features"], index["classes"], place)
        return Bundle(job, index["model"], model, reducers, index["about"])
    except EmodaskError:
        raise
    except Exception as error:
        raise BundleError(
            f"{where}: damaged: {type(error).__name__}: {reason(error)}"
        ) from clean_cause(error)


def _classifiers(model: Fitted) -> Iterator[tuple[str, FittedModel]]:
    """The classifiers of a model, each with the name of its file."""
    if isinstance(model, FittedModel):
        yield "classifier.skops", model
        return
    leaves = _leaves(model)
    yield from ((f"classifier-{number}.skops", leaf) for number, leaf in enumerate(leaves))


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
                "file": None if inner else next(files),
            }
        )
    weights = None if model.weights is None else model.weights.tolist()
    return {"rule": model.rule, "weights": weights, "members": members}


def _restored(
    fusion: dict[str, Any] | None,
    features: list[str],
    classes: list[int],
    place: Folder,
    file: str = "classifier.skops",
) -> Fitted:
    """The fitted model that :func:`_described` and the files of classifiers hold."""
    if fusion is None:
        return FittedModel(tuple(features), tuple(classes), _read_classifier(place, file))
    if fusion["rule"] not in RULES:
        raise BundleError(f"{place.address}: no rule of fusion {fusion['rule']!r}")
    members = {
        str(m["name"]): _restored(m["fusion"], m["features"], classes, place, m["file"])
        for m in fusion["members"]
    }
    weights = fusion["weights"]
    if weights is not None:
        weights = np.array(weights, np.float64)
        if weights.shape != (len(members), len(classes)) or not np.isfinite(weights).all():
            shape = f"{len(members)} x {len(classes)}"
            raise BundleError(f"{place.address}: weights of fusion are not {shape} numbers")
    return FittedFusion(tuple(features), tuple(classes), fusion["rule"], members, weights)


def _read_classifier(place: Folder, file: str) -> Any:
    import skops.io

    if not re.fullmatch(r"classifier(-\d+)?\.skops", file):
        raise BundleError(f"{place.address}: {file!r} is no file of a bundle")
    packed = place.read(file)
    foreign = set(skops.io.get_untrusted_types(data=packed)) - set(_TRUSTED)
    if foreign:
        raise BundleError(f"{place.address}: {file} holds a foreign type, {min(foreign)}")
    return skops.io.loads(packed, trusted=list(_TRUSTED))
