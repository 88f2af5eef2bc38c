"""The report's sections beneath the scores, as far as the metrics tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from emodask.evaluation.chosen import choices
from emodask.evaluation.pages.training_figure import training_figure
from emodask.evaluation.pages.tucker_figure import error_by_rank_figure, factors_figure
from emodask.evaluation.reductions import reduction_sentences
from emodask.evaluation.results import Row, rows
from emodask.evaluation.timings import charged_trainings, timing_lines
from emodask.evaluation.training import Training, trainings


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


@dataclass(frozen=True)
class TrainingView:
    """How one network learned under one protocol: what the table says, and an SVG element."""

    protocol: str
    leaky: bool
    model: str
    parameters: str
    n_folds: int
    epochs: str
    best_epochs: str
    valid_uar: float | None
    uar: float | None
    curves: str


def sections(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates of these sections are rendered with.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``; of what is absent there is no section.
    """
    every = {(row.protocol, row.model): row for row in rows(metrics)}
    learned = [_training(one, every[one.protocol, one.model]) for one in trainings(metrics)]
    return {
        "trainings": learned,
        "trainings_by_protocol": [
            (protocol, list(views))
            for protocol, views in groupby(learned, key=lambda view: view.protocol)
        ],
        "choices": list(choices(metrics)),
        "reductions": [_reduction(*item) for item in (metrics.get("reductions") or {}).items()],
        "timings": timing_lines(metrics),
        "charged_trainings": charged_trainings(metrics),
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


def _training(one: Training, row: Row) -> TrainingView:
    from markupsafe import Markup

    title = f"How {one.model} learned under {one.protocol}"
    return TrainingView(
        protocol=one.protocol,
        leaky=not row.speaker_independent,
        model=one.model,
        parameters=one.parameters_text,
        n_folds=len(one.folds),
        epochs=one.epochs,
        best_epochs=one.best_epochs,
        valid_uar=one.valid_uar,
        uar=one.uar,
        curves=Markup(training_figure(one.folds, row.chance, title)),
    )
