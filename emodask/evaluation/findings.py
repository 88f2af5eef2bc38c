"""What a report says beside its table: leakage, the control and calibration, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emodask.evaluation.outcome import HONEST, LEAKY
from emodask.evaluation.results import ADAPTED, CONTROL, Interval, Row, interval_text, percent, rows


@dataclass(frozen=True)
class Leakage:
    """How much the leaky protocol flatters one model.

    Attributes
    ----------
    model : str
    honest, leaky : float or None
        UAR under ``loso`` and under ``within-actor``.
    difference : float
        Leaky minus honest.
    ci95 : (float, float) or None
        Interval of the difference over actors.
    """

    model: str
    honest: float | None
    leaky: float | None
    difference: float
    ci95: Interval | None

    @property
    def kind(self) -> str:
        """What sets the model apart, as of :class:`Row`."""
        return Row(LEAKY, False, self.model).kind


@dataclass(frozen=True)
class Check:
    """Whether one model under one protocol beats chance, and whether its probabilities hold.

    Attributes
    ----------
    row : Row
    shuffled, shuffled_high, p_value : float or None
        Of the control: the mean UAR with labels shuffled within each actor, what 95 % of shuffles
        do not exceed, and the share of shuffles that do as well as the model.
    ece, confidence, accuracy : float or None
        Expected calibration error, mean probability of the verdicts, share that is right.
    """

    row: Row
    shuffled: float | None = None
    shuffled_high: float | None = None
    p_value: float | None = None
    ece: float | None = None
    confidence: float | None = None
    accuracy: float | None = None


def points(value: float | None) -> str:
    """Write a difference of shares as points with a sign; an undefined one as a dash.

    Examples
    --------
    >>> points(0.2208), points(-0.004), points(None)
    ('+22.1', '−0.4', '–')
    """
    if value is None:
        return "–"
    return f"{100 * value:+.1f}".replace("-", "−")


def points_interval(interval: Interval | None) -> str:
    """Write an interval of a difference as points; nothing for None.

    Examples
    --------
    >>> points_interval((-0.01, 0.052))
    '−1.0 to +5.2'
    """
    return "" if interval is None else " to ".join(points(end) for end in interval)


def p_text(value: float | None) -> str:
    """Write a p-value: three decimals, or that it is below one in a thousand.

    Examples
    --------
    >>> p_text(0.0004), p_text(0.042), p_text(None)
    ('< 0.001', '0.042', '–')
    """
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def leakages(metrics: Mapping[str, Any]) -> list[Leakage]:
    """The leakage of each model, the headline's order kept, controls left out."""
    protocols = metrics["protocols"]

    def score(protocol: str, model: str) -> float | None:
        value = (protocols.get(protocol, {}).get("models") or {}).get(model, {}).get("uar")
        return None if value is None else float(value)

    found = [
        Leakage(
            model,
            score(HONEST, model),
            score(LEAKY, model),
            entry["difference"],
            None if entry.get("ci95") is None else (entry["ci95"][0], entry["ci95"][1]),
        )
        for model, entry in (metrics.get("leakage") or {}).items()
        if entry.get("difference") is not None and not model.endswith(CONTROL)
    ]
    return sorted(found, key=lambda one: (one.model.endswith(ADAPTED), -(one.honest or 0)))


def leakage_sentence(found: Leakage) -> str:
    """Say what the leakage of a model means, for somebody who has never heard of it.

    Examples
    --------
    >>> leakage_sentence(Leakage("mlp", 0.49, 0.71, 0.22, (0.17, 0.27)))[:48]
    'Leakage: 22.0 points (95 % interval 17.0–27.0). '
    """
    interval = f" (95 % interval {interval_text(found.ci95)})" if found.ci95 else ""
    low = found.ci95[0] if found.ci95 else None
    if found.ci95 and found.ci95[0] < 0:
        interval = f" (95 % interval {points_interval(found.ci95)})"
    amount = percent(found.difference).replace("-", "−")
    sentence = f"Leakage: {amount} points{interval}. "
    if found.difference <= 0 or (low is not None and low <= 0):
        return sentence + (
            f"Having met the tested people shows no advantage for {found.model} on these clips: "
            "too few clips or actors to see it, or none."
        )
    return sentence + (
        f"So much of what {found.model} seems to recognise under {LEAKY} comes from having met "
        f"the tested people in training, and is gone with new people: expect "
        f"{percent(found.honest, ' %')}, not {percent(found.leaky, ' %')}."
    )


def leakage_line(metrics: Mapping[str, Any]) -> str:
    """All leakages in one line for terminals; empty where there are none."""
    parts = []
    for one in leakages(metrics):
        interval = f" [{points_interval(one.ci95)}]" if one.ci95 else ""
        parts.append(f"{one.model} {points(one.difference)}{interval}")
    return f"leakage ({LEAKY} minus {HONEST}, points of UAR): {', '.join(parts)}" if parts else ""


def checks(metrics: Mapping[str, Any]) -> list[Check]:
    """Control and calibration of every row of a report that has them, in the report's order."""
    found = []
    for row in rows(metrics):
        if not row.model:
            continue
        summary = metrics["protocols"][row.protocol]["models"][row.model]
        control, stated = summary.get("control") or {}, summary.get("calibration") or {}
        if control or stated:
            found.append(
                Check(
                    row,
                    control.get("uar"),
                    control.get("high"),
                    control.get("p_value"),
                    stated.get("ece"),
                    stated.get("confidence"),
                    stated.get("accuracy"),
                )
            )
    return found


def calibration_sentence(check: Check) -> str:
    """Say what an expected calibration error means; empty where there is none.

    Examples
    --------
    >>> row = Row("loso", True, "mlp")
    >>> calibration_sentence(Check(row, ece=0.35, confidence=0.85, accuracy=0.5))[:52]
    'mlp is overconfident: it states 85.0 % on average an'
    """
    if check.ece is None or check.confidence is None or check.accuracy is None:
        return ""
    gap = check.confidence - check.accuracy
    bias = "overconfident" if gap > 0 else "too modest"
    judged = f"is {bias}" if abs(gap) >= 0.02 else "is about as sure as it is right"
    return (
        f"{check.row.model} {judged}: it states {percent(check.confidence, ' %')} on average and "
        f"is right in {percent(check.accuracy, ' %')}. Its expected calibration error is "
        f"{percent(check.ece)} points: so far is what it states from how often it is right, on "
        "average over clips."
    )


def control_sentence(check: Check) -> str:
    """Say what the control shows; empty where there is none.

    Examples
    --------
    >>> row = Row("loso", True, "mlp", uar=0.5)
    >>> control_sentence(Check(row, shuffled=0.124, shuffled_high=0.142, p_value=0.0009))[:46]
    'With labels shuffled within each actor the ver'
    """
    if check.shuffled is None or check.p_value is None:
        return ""
    equals = p_text(check.p_value)
    sentence = (
        f"With labels shuffled within each actor the verdicts of {check.row.model} reach "
        f"{percent(check.shuffled, ' %')}, and up to {percent(check.shuffled_high, ' %')} in 95 % "
        f"of shuffles (p {equals if equals.startswith('<') else '= ' + equals})"
    )
    if check.p_value <= 0.05:
        return sentence + ": its figure is not luck, nor knowledge of the speaker alone."
    return sentence + ": its figure may be luck, or knowledge of the speaker alone."
