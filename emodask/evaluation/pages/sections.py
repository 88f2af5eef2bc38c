"""The report's sections beneath the scores, as far as the metrics tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emodask.evaluation.chosen import choices
from emodask.evaluation.pages.tucker_figure import error_by_rank_figure, factors_figure
from emodask.evaluation.reductions import reduction_sentences
from emodask.evaluation.timings import timing_lines


@dataclass(frozen=True)
class ReductionView:
    """The reduction of one feature: sentences and pictures, the latter as SVG elements."""

    feature: str
    keeps: str
    shown: str
    error: float
    bounds: tuple[float, float]
    errors: str
    factors: str


def sections(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates of these sections are rendered with.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``; of what is absent there is no section.
    """
    return {
        "choices": list(choices(metrics)),
        "reductions": [_reduction(*item) for item in (metrics.get("reductions") or {}).items()],
        "timings": timing_lines(metrics),
        "n_threads": (metrics.get("timings") or {}).get("threads"),
    }


def _reduction(feature: str, about: Mapping[str, Any]) -> ReductionView:
    from markupsafe import Markup

    keeps, shown = reduction_sentences(feature, about)
    # The figures escape the text in them: their markup may pass as it is.
    return ReductionView(
        feature,
        keeps,
        shown,
        about["error"]["value"],
        (about["bounds"][0], about["bounds"][1]),
        Markup(error_by_rank_figure(about["modes"], f"Error by rank, {feature}")),
        Markup(factors_figure(about["modes"], f"Factors, {feature}")),
    )
