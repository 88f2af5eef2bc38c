"""The table of classifiers that a job's ``[models.NAME]`` can name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask import networks
from emodask.errors import JobError
from emodask.models.fusion import LEAST
from emodask.nearest import meant

_NETWORKS = "networks"


@dataclass(frozen=True)
class Classifier:
    """Where a scikit-learn classifier lies, and what emodask sets on it unless the job does.

    ``package`` is what it needs beyond scikit-learn, and the extra that installs it; ``networks``
    is the extra of PyTorch.
    """

    path: str
    defaults: tuple[tuple[str, Any], ...] = ()
    package: str = ""

    @property
    def absent(self) -> str:
        """What to install that is not, in a sentence; empty where all is there."""
        if self.package == _NETWORKS:
            return "" if networks.installed() else networks.ABSENT
        if self.package and find_spec(self.package) is None:
            return f"{self.package} is not installed: pip install 'emodask[{self.package}]'"
        return ""


def _network(name: str, module: str = "kinds") -> Classifier:
    return Classifier(f"emodask.models.networks.{module}:{name}", package=_NETWORKS)


CLASSIFIERS: dict[str, Classifier] = {
    "mlp": Classifier("sklearn.neural_network:MLPClassifier"),
    "svc": Classifier("sklearn.svm:SVC", (("break_ties", True),)),
    "logistic": Classifier("sklearn.linear_model:LogisticRegression", (("max_iter", 1000),)),
    "ridge": Classifier("sklearn.linear_model:RidgeClassifier", (("class_weight", "balanced"),)),
    "random-forest": Classifier("sklearn.ensemble:RandomForestClassifier"),
    "gaussian-nb": Classifier("sklearn.naive_bayes:GaussianNB"),
    "lda": Classifier("sklearn.discriminant_analysis:LinearDiscriminantAnalysis"),
    "xgboost": Classifier("emodask.models.boosting:XGBoost", package="xgboost"),
    "mfcc-image-cnn": _network("MfccImageCnn"),
    "sequence-cnn": _network("SequenceCnn"),
    "curve-cnn": _network("CurveCnn"),
    "dense-head": _network("DenseHead"),
    "embedding-fusion": _network("EmbeddingFusion"),
    "frame-layer": _network("FrameLayer"),
    "frame-cnn": _network("FrameCnn", "frame_cnn"),
    "conv-head": _network("ConvHead"),
}


def is_network(kind: str) -> bool:
    """Whether a kind is one of emodask's networks: only they read features that are streamed."""
    return kind in CLASSIFIERS and CLASSIFIERS[kind].path.startswith("emodask.models.networks")


def make_classifier(kind: str, parameters: Mapping[str, Any], seed: int = 0) -> Any:
    """A new, unfitted classifier.

    Parameters
    ----------
    kind : str
        A key of :data:`CLASSIFIERS`.
    parameters : mapping
        scikit-learn's own parameter names; lists become tuples.
    seed : int
        Its ``random_state`` unless the parameters name one.

    Raises
    ------
    JobError
        If the kind or a parameter's name is unknown, or its package is not installed.

    Examples
    --------
    >>> make_classifier("svc", {"kernel": "poly", "C": 0.95}).kernel
    'poly'
    """
    if kind not in CLASSIFIERS:
        raise JobError(f"no classifier {kind!r}; there are {', '.join(CLASSIFIERS)}")
    entry = CLASSIFIERS[kind]
    module, name = entry.path.split(":")
    make = getattr(importlib.import_module(module), name)
    if entry.absent:
        raise JobError(entry.absent)
    known = make().get_params()
    chosen = {**dict(entry.defaults), **parameters}
    unknown = [key for key in parameters if key not in known]
    if unknown:
        # What a network is told of the job is none of the parameters that a job has.
        offered = sorted(set(known) - ({"shapes", "scale"} if is_network(kind) else set()))
        raise JobError(
            f"{kind} has no parameter {unknown[0]!r}; it has {', '.join(offered)}"
            f"{meant(unknown[0], offered)}"
        )
    if "random_state" in known:
        chosen.setdefault("random_state", seed)
    return make(**{k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()})


def probabilities(model: Any, features: Any) -> npt.NDArray[np.float64]:
    """Probability of each class that a fitted classifier knows.

    Classifiers without probabilities of their own give a softmax of their decision function: in
    the right order, but not calibrated.

    Parameters
    ----------
    model : fitted classifier
    features : ndarray or StreamedMatrix, shape (n, p)

    Returns
    -------
    ndarray of float64, shape (n, classes)
        Rows add up to 1.
    """
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(features), np.float64)
    from scipy.special import softmax

    return np.asarray(softmax(decision_scores(model, features), axis=1), np.float64)


def decision_scores(classifier: Any, features: Any) -> npt.NDArray[np.float64]:
    """How much a fitted classifier is for each class that it knows.

    Parameters
    ----------
    classifier : fitted classifier
    features : ndarray or StreamedMatrix, shape (n, p)

    Returns
    -------
    ndarray of float64, shape (n, classes)
        Its decision function, or else the logarithms of its probabilities.
    """
    if not hasattr(classifier, "decision_function"):
        said = np.asarray(classifier.predict_proba(features), np.float64)
        return np.log(np.maximum(said, LEAST))
    scores = np.asarray(classifier.decision_function(features), np.float64)
    return np.stack([-scores, scores], axis=1) / 2 if scores.ndim == 1 else scores
