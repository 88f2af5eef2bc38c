"""Runs made by hand: what models of a known skill would leave behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from emodask.emotions import CODES, EMOTIONS, emotion_name
from emodask.evaluation.outcome import Outcome, describe, leakages
from emodask.evaluation.protocols import PROTOCOLS


def fabricated(skill: float, n_actors: int = 6, takes: int = 2, seed: int = 0) -> Outcome:
    """Clips of a model that is right with probability ``skill``, and says so."""
    rng = np.random.default_rng(seed)
    actor = np.repeat(np.arange(1, n_actors + 1), 8 * takes)
    true = np.tile(np.arange(1, 9), n_actors * takes)
    predicted = np.where(rng.random(len(true)) < skill, true, rng.integers(1, 9, len(true)))
    probability = np.full((len(true), 8), 0.2 / 7)
    probability[np.arange(len(true)), predicted - 1] = 0.8
    names = np.array([f"clip-{i:03d}" for i in range(len(true))])
    return Outcome(names, actor, true, predicted, probability, EMOTIONS)


def metrics_of(outcomes: dict[tuple[str, str], Outcome], job: str = "fabricated") -> dict[str, Any]:
    """What an evaluation says of outcomes by protocol and model."""
    protocols: dict[str, Any] = {}
    for (name, model), outcome in outcomes.items():
        about = PROTOCOLS[name]
        entry = protocols.setdefault(
            name,
            {
                "speaker_independent": about.speaker_independent,
                "description": about.description,
                "leaky_reason": about.leaky_reason,
                "notes": [],
                "n_clips": len(outcome),
                "n_actors": len(np.unique(outcome.actor)),
                "folds": len(np.unique(outcome.actor)),
                "models": {},
            },
        )
        entry["models"][model] = describe(outcome)
    return {
        "protocols": protocols,
        "leakage": leakages(outcomes),
        "job": {"name": job},
        "data": {"emotions": list(EMOTIONS)},
    }


def write_run(
    folder: Path, outcomes: dict[tuple[str, str], Outcome], job: str = "fabricated"
) -> Path:
    """Leave behind what ``emodask run`` would."""
    report = folder / "report"
    report.mkdir(parents=True)
    (report / "metrics.json").write_text(json.dumps(metrics_of(outcomes, job)))
    with (report / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ["clip_id", "actor", "true", "predicted", *CODES, "protocol", "fold", "model"]
        writer.writerow(columns)
        for (protocol, model), one in outcomes.items():
            for i in range(len(one)):
                names = emotion_name(int(one.true[i])), emotion_name(int(one.predicted[i]))
                chances = [f"{chance:.6f}" for chance in one.probability[i]]
                writer.writerow(
                    [one.clip_id[i], one.actor[i], *names, *chances, protocol, "all", model]
                )
    return folder
