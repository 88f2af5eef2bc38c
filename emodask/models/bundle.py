"""The bundle: a fitted model as a folder of plain arrays, JSON and a skops file. No pickle."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import emodask
from emodask.errors import BundleError, BundleWriteError, EmodaskError
from emodask.job import Job, parse_job
from emodask.models.system import FittedModel
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.sources.names import MODALITIES, Modality

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer

FORMAT = 1
_INDEX = "bundle.json"
_TRUSTED = (
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
    model : FittedModel
    reducers : dict of str to TensorReducer
    about : dict
        What it was trained on, and how well it did on people it had not seen.
    """

    job: Job
    model_name: str
    model: FittedModel
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
        place.write("classifier.skops", skops.io.dumps(bundle.model.estimator))
        index = {
            "format": FORMAT,
            "version": emodask.__version__,
            "model": bundle.model_name,
            "features": list(bundle.model.features),
            "modalities": list(bundle.modalities),
            "tables": list(bundle.tables),
            "classes": list(bundle.model.classes),
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
    import skops.io

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
        packed = place.read("classifier.skops")
        foreign = set(skops.io.get_untrusted_types(data=packed)) - set(_TRUSTED)
        if foreign:
            raise BundleError(f"{where}: classifier.skops holds a foreign type, {min(foreign)}")
        estimator = skops.io.loads(packed, trusted=list(_TRUSTED))
        model = FittedModel(tuple(index["features"]), tuple(index["classes"]), estimator)
        return Bundle(job, index["model"], model, reducers, index["about"])
    except EmodaskError:
        raise
    except Exception as error:
        raise BundleError(
            f"{where}: damaged: {type(error).__name__}: {reason(error)}"
        ) from clean_cause(error)
