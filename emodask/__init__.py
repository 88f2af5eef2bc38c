"""Actor zips in, an honest emotion report out.

The public names below are imported when first used, so that ``import emodask`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emodask.errors import EmodaskError as EmodaskError
    from emodask.evaluation.compare import compare as compare
    from emodask.evaluation.evaluate import evaluate as evaluate
    from emodask.extraction import extract as extract
    from emodask.features.hog3d import hog3d as hog3d
    from emodask.features.spline import spline_features as spline_features
    from emodask.fitting import fit as fit
    from emodask.job import load_job as load_job
    from emodask.pipeline import run as run
    from emodask.prediction import predict as predict
    from emodask.prediction import predict_timeline as predict_timeline
    from emodask.reduction import PartialTucker as PartialTucker
    from emodask.sources.catalogue import scan as scan
    from emodask.store import open_store as open  # noqa: F401

__version__ = "0.1.0"

_HOMES = {
    "EmodaskError": "emodask.errors:EmodaskError",
    "PartialTucker": "emodask.reduction:PartialTucker",
    "compare": "emodask.evaluation.compare:compare",
    "evaluate": "emodask.evaluation.evaluate:evaluate",
    "extract": "emodask.extraction:extract",
    "fit": "emodask.fitting:fit",
    "hog3d": "emodask.features.hog3d:hog3d",
    "load_job": "emodask.job:load_job",
    "open": "emodask.store:open_store",
    "predict": "emodask.prediction:predict",
    "predict_timeline": "emodask.prediction:predict_timeline",
    "run": "emodask.pipeline:run",
    "scan": "emodask.sources.catalogue:scan",
    "spline_features": "emodask.features.spline:spline_features",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'emodask' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
