"""How far the probabilities of a bundle can be trusted, as it knows it and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emodask.models.bundle import Bundle
from emodask.models.fitted import Fitted, FittedFusion


@dataclass(frozen=True)
class Trust:
    """What a bundle knows of its probabilities.

    Attributes
    ----------
    origin : str
        What they are.
    calibrated : bool
        Whether they have been fitted to how often the model is right.
    error : float or None
        Expected calibration error on whole clips of people that the model had not met, in [0, 1];
        None if it was not measured.
    protocol : str
        Under which it was measured.
    """

    origin: str
    calibrated: bool
    error: float | None = None
    protocol: str = ""

    def __str__(self) -> str:
        """One sentence without a full stop."""
        if self.error is None:
            return f"{self.origin}; how far off they are was not measured"
        return (
            f"{self.origin}; expected calibration error on clips of new people "
            f"{100 * self.error:.1f} points ({self.protocol})"
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        return {
            "origin": self.origin,
            "calibrated": self.calibrated,
            "expected_calibration_error": self.error,
            "protocol": self.protocol or None,
        }


def trust(bundle: Bundle, adapted: bool = False) -> Trust:
    """What a bundle knows of the probabilities of its model.

    Parameters
    ----------
    bundle : Bundle
    adapted : bool
        Of its speaker-adapted model.
    """
    model = bundle.adapted if adapted and bundle.adapted else bundle.model
    origin, calibrated = _origin(model)
    measured = bundle.about.get("evaluation_adapted" if adapted else "evaluation") or {}
    for name, figures in sorted(measured.items(), key=lambda item: item[0] != "loso"):
        if figures.get("speaker_independent") and figures.get("ece") is not None:
            return Trust(origin, calibrated, float(figures["ece"]), name)
    return Trust(origin, calibrated)


def _origin(model: Fitted) -> tuple[str, bool]:
    if isinstance(model, FittedFusion):
        if model.rule == "stacked":
            return "a stack learnt on actors that its members had not met", True
        return f"{model.rule} of the members' probabilities, not calibrated as a whole", False
    if model.temperature is not None:
        return "calibrated on actors that the classifier had not met", True
    if hasattr(model.estimator, "predict_proba"):
        return "the classifier's own, not calibrated", False
    return "softmax of decision values, not calibrated", False
