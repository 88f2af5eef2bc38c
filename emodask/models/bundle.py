"""The bundle: a fitted model as a folder of plain arrays, JSON, skops or safetensors. No pickle."""

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
from emodask.models.bundle_entries import ADAPTED, described, restored
from emodask.models.bundle_weights import read_weights, write_weights
from emodask.models.fitted import Fitted
from emodask.models.system import is_streamed
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import StorageOptions, reason
from emodask.sources.names import MODALITIES, Modality

if TYPE_CHECKING:
    from emodask.reduction import TensorReducer

FORMAT = 1
_INDEX = "bundle.json"


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
        By feature; none of those that are streamed.
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
    place = Folder.at(folder, storage_options)
    try:
        place.make()
        place.remove(_INDEX)
        for name, reducer in bundle.reducers.items():
            packed = io.BytesIO()
            np.savez(packed, allow_pickle=False, **reducer.to_arrays())
            place.write(f"reduction-{name}.npz", packed.getvalue())
        about, written = described(bundle.model)
        adapted, more = described(bundle.adapted, ADAPTED) if bundle.adapted else (None, {})
        for name, data in {**written, **more}.items():
            place.write(name, data)
        write_weights(place, bundle.job, bundle.model.features)
        index = {
            "format": FORMAT,
            "version": emodask.__version__,
            "model": bundle.model_name,
            **about,
            "modalities": list(bundle.modalities),
            "tables": list(bundle.tables),
            "classes": list(bundle.model.classes),
            "adapted": adapted,
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
            if is_streamed(job, name):
                continue
            with np.load(
                io.BytesIO(place.read(f"reduction-{name}.npz")), allow_pickle=False
            ) as arrays:
                reducers[name] = TensorReducer.from_arrays(dict(arrays))
        model = restored(index, index["classes"], job, place)
        other = index.get("adapted")  # absent in bundles of before it
        adapted = restored(other, index["classes"], job, place) if other else None
        return Bundle(job, index["model"], model, reducers, index["about"], adapted)
    except EmodaskError:
        raise
    except Exception as error:
        raise BundleError(
            f"{where}: damaged: {type(error).__name__}: {reason(error)}"
        ) from clean_cause(error)
