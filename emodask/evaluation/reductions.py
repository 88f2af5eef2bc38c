"""What the reductions of an evaluation found: factors, and the error by rank, for the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.errors import JobError
from emodask.evaluation.folds import ReducedFolds
from emodask.evaluation.outcome import HONEST
from emodask.features import family
from emodask.job import Job

if TYPE_CHECKING:
    from emodask.reduction import PartialTucker

MOST_COMPONENTS = 12
"""A factor's leading columns that are kept: ``metrics.json`` is no bundle."""
_DIGITS = 5


def describe_reductions(job: Job, found: Sequence[ReducedFolds]) -> dict[str, Any]:
    """What ``metrics.json`` says of every feature that is reduced by a Tucker decomposition.

    Nothing is read for it: the fits have summed all of it already.

    Parameters
    ----------
    job : Job
    found : sequence of ReducedFolds

    Returns
    -------
    dict
        By feature, plain JSON values: ``dims`` (name, size and rank of each dimension),
        ``fold`` (the one whose factors are given, of ``loso`` where that ran), ``error`` (of that
        fold, and the least and greatest of all folds), ``bounds`` (what the spectra alone say of
        it) and ``modes``: of each reduced dimension its ``labels``, the leading ``components``,
        ``error_by_rank`` (relative error of cutting that dimension alone to 1, 2, ... components)
        and ``agreement`` (the least share of the subspace that another fold's has in common).
    """
    described = {}
    for feature in job.features:
        pairs = [
            (task, reducer.tucker_)
            for one in found
            if one.feature == feature
            for task, reducer in zip(one.tasks, one.reducers, strict=True)
            if reducer.tucker_ is not None
        ]
        if not pairs:
            continue
        task, tucker = next((p for p in pairs if p[0].protocol == HONEST), pairs[0])
        kind, settings = job.features[feature].kind, job.features[feature].settings
        dims = dict(job.features[feature].row_dims)
        names, labels = list(dims), _labels(kind, settings)
        ranks = dict(zip(tucker.modes, (f.shape[1] for f in tucker.factors_), strict=True))
        errors = [float(other.reconstruction_error_) for _, other in pairs]
        by_rank = [_error_by_rank(shares) for shares in tucker.spectra_]
        cut = [error[f.shape[1] - 1] for error, f in zip(by_rank, tucker.factors_, strict=True)]
        described[feature] = {
            "dims": [
                {"name": name, "size": size, "rank": ranks.get(place + 1)}
                for place, (name, size) in enumerate(dims.items())
            ],
            "numbers": math.prod(tucker.feature_shape_),
            "components": math.prod(tucker.core_shape_),
            "fold": {"protocol": task.protocol, "fold": task.fold, "clips": len(task.train)},
            "error": {
                "value": round(float(tucker.reconstruction_error_), _DIGITS),
                "lowest": round(min(errors), _DIGITS),
                "highest": round(max(errors), _DIGITS),
                "folds": len(errors),
            },
            "bounds": [
                round(max(cut), _DIGITS),
                round(min(1.0, math.sqrt(sum(error**2 for error in cut))), _DIGITS),
            ],
            "modes": [
                {
                    "dim": names[mode - 1],
                    "size": int(factor.shape[0]),
                    "rank": int(factor.shape[1]),
                    "labels": list(labels.get(names[mode - 1], ())),
                    "components": _rounded(factor.T[:MOST_COMPONENTS]),
                    "error_by_rank": [round(error, _DIGITS) for error in by_rank[place]],
                    "agreement": _agreement(place, factor, [other for _, other in pairs]),
                }
                for place, (mode, factor) in enumerate(
                    zip(tucker.modes, tucker.factors_, strict=True)
                )
            ],
        }
    return described


def reduction_sentences(feature: str, about: Mapping[str, Any]) -> tuple[str, str]:
    """How much a reduction keeps, and how far its folds agree, in plain words.

    Examples
    --------
    >>> about = {
    ...     "dims": [{"name": "basis", "size": 14, "rank": 10}],
    ...     "numbers": 14,
    ...     "components": 10,
    ...     "fold": {"protocol": "loso", "fold": "actor-01", "clips": 90},
    ...     "error": {"value": 0.1, "lowest": 0.1, "highest": 0.12, "folds": 3},
    ...     "bounds": [0.1, 0.1],
    ...     "modes": [{"dim": "basis", "agreement": 0.99}],
    ... }
    >>> print("\\n".join(reduction_sentences("spline", about)))
    spline: 14 numbers a clip (basis 14 → 10) become 10. What they lose is 10.0 % of the norm of the 90 training clips, so they keep 99.0 % of their variance; over all 3 fits the loss is 10.0 to 12.0 %.
    The factors shown are those of fold actor-01 of loso. Every other fold's span at least 99.0 % of the same subspace.
    """  # noqa: E501
    error, fold = about["error"], about["fold"]
    shape = " × ".join(
        f"{d['name']} {d['size']}" + (f" → {d['rank']}" if d["rank"] else "") for d in about["dims"]
    )
    text = (
        f"{feature}: {about['numbers']} numbers a clip ({shape}) become {about['components']}. "
        f"What they lose is {100 * error['value']:.1f} % of the norm of the {fold['clips']} "
        f"training clips, so they keep {100 * (1 - error['value'] ** 2):.1f} % of their variance"
    )
    if error["folds"] > 1:
        text += (
            f"; over all {error['folds']} fits the loss is {100 * error['lowest']:.1f} to "
            f"{100 * error['highest']:.1f} %"
        )
    shown = f"The factors shown are those of fold {fold['fold']} of {fold['protocol']}."
    least = [mode["agreement"] for mode in about["modes"] if mode["agreement"] is not None]
    if least:
        share = f"{100 * min(least):.1f} %"
        shown += f" Every other fold's span at least {share} of the same subspace."
    return f"{text}.", shown


def _labels(kind: str, settings: Any) -> Mapping[str, tuple[str, ...]]:
    """Names of a family's numbers, where what names them is installed."""
    try:
        return family(kind).coords(settings)
    except JobError:
        return {}


def _error_by_rank(shares: npt.NDArray[np.float64]) -> list[float]:
    """Relative error of cutting one mode to its 1, 2, ... leading components, the others whole."""
    left = np.maximum(0.0, shares[::-1].cumsum()[::-1])
    return [float(error) for error in np.sqrt(np.append(left[1:], 0.0))]


def _agreement(
    place: int, factor: npt.NDArray[np.float64], others: Sequence[PartialTucker]
) -> float | None:
    """The least mean squared cosine of the angles between a subspace and others'; None alone."""
    shares = [
        float(np.square(factor.T @ other.factors_[place]).sum() / factor.shape[1])
        for other in others
        if other.factors_[place] is not factor
    ]
    return round(min(1.0, *shares), _DIGITS) if shares else None


def _rounded(components: npt.NDArray[np.float64]) -> list[list[float]]:
    # Adding 0 makes -0.0 plain.
    return [[float(value) for value in row] for row in components.round(_DIGITS) + 0.0]
