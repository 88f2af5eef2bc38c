"""What the page says of each bundle: what it needs, what it learned from, how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from emodask.emotions import emotion_name
from emodask.models.bundle import Bundle
from emodask.models.trust import trust
from emodask.sources.corpora import credit_of

_NORTH_AMERICAN = {"ravdess": "RAVDESS", "tess": "TESS"}
"""Corpora of acted North American voices."""


@dataclass(frozen=True)
class BundleCard:
    """What people should know of a bundle before they believe it.

    Attributes
    ----------
    name : str
    modalities : tuple of str
        What a recording must have: ``video``, ``audio``.
    emotions : tuple of str
        Between which it chooses.
    trained_on : str
    figure : str
        How well it does on people that it had not met, in one sentence.
    warning : str
        On what it has not learned from.
    trust : str
        What its probabilities are.
    """

    name: str
    modalities: tuple[str, ...]
    emotions: tuple[str, ...]
    trained_on: str
    figure: str
    warning: str
    trust: str

    def as_dict(self) -> dict[str, Any]:
        """For programs: plain JSON values."""
        return {
            **asdict(self),
            "modalities": list(self.modalities),
            "emotions": list(self.emotions),
        }


def cards_of(bundles: Sequence[Bundle]) -> tuple[BundleCard, ...]:
    """A card for each bundle, every name another."""
    plain = [f"{bundle.job.name}: {bundle.model_name}" for bundle in bundles]
    often = Counter(plain)
    seen: Counter[str] = Counter()
    cards = []
    for bundle, name in zip(bundles, plain, strict=True):
        seen[name] += 1
        cards.append(card_of(bundle, f"{name} ({seen[name]})" if often[name] > 1 else name))
    return tuple(cards)


def card_of(bundle: Bundle, name: str) -> BundleCard:
    """The card of one bundle."""
    learned = bundle.about.get("trained_on") or {}
    people = _people(len(learned.get("actors", ())))
    return BundleCard(
        name,
        bundle.modalities,
        tuple(emotion_name(code) for code in bundle.model.classes),
        _trained_on(learned, people),
        _figure(bundle),
        _warning(bundle, learned, people),
        f"{trust(bundle)}.",
    )


def _trained_on(learned: dict[str, Any], people: str) -> str:
    if not learned:
        return "It does not say what it was trained on."
    return f"Trained on {learned['clips']} clips of {people}."


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _figure(bundle: Bundle) -> str:
    found = (bundle.about.get("evaluation") or {}).get("loso")
    if not found:
        return "How well it does on people that it has not met was not measured."
    low, high = found["uar_ci95"]
    guessing = 1 / len(bundle.model.classes)
    return (
        f"Of people that it had not met, it told {100 * found['uar']:.0f} % of clips right, each "
        f"emotion counting alike (95 % interval {100 * low:.0f} to {100 * high:.0f} %; guessing "
        f"gives {100 * guessing:.1f} %)."
    )


def _warning(bundle: Bundle, learned: dict[str, Any], people: str) -> str:
    if not learned:
        return "What it learned from is not known: do not rely on it."
    corpora = [str(name) for name in learned.get("corpora", ())]
    credit = str(learned.get("credit") or "")
    if credit and credit != credit_of(corpora):
        return f"It learned from {credit}."
    if corpora and set(corpora) <= set(_NORTH_AMERICAN):
        kinds = " and ".join(bundle.job.data.channels)
        names = ", ".join(_NORTH_AMERICAN[name] for name in corpora)
        return (
            f"It learned from acted North American {kinds} of {people} (clips named as those of "
            f"{names} are): feelings played on cue, short sentences. It has not met everyday "
            "talk, other accents or other languages."
        )
    return (
        f"It learned from {people}: others may show what they feel in other ways. It judges what "
        "a face and a voice show, not what somebody feels."
    )
