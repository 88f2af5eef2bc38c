"""A verdict as HTML: the likely emotions, the timeline under a player, pictures, downloads."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from emodask.display.wording import clock
from emodask.page.judges.problems import size_text
from emodask.prediction.picture import COLOURS

if TYPE_CHECKING:
    from jinja2 import Template

    from emodask.page.judges.cards import BundleCard
    from emodask.page.judges.judgement import Judgement
    from emodask.page.settings import PageSettings

OTHER = "#7f7f7f"
"""Of emotions that a job named itself."""

PICTURES = {
    "face": "What it saw: the picture, and where and how it changes",
    "voice": "What it heard: the sound, its spectrogram brighter where it is louder",
}


@dataclass(frozen=True)
class Player:
    """What plays the recording beside its timeline.

    Attributes
    ----------
    address : str
        Of the recording, for the browser.
    kind : {"video", "audio"}
    """

    address: str
    kind: Literal["video", "audio"]


@dataclass(frozen=True)
class Stretch:
    """The part of a timeline that one window is the nearest to.

    Attributes
    ----------
    start, end : float
        In seconds from the beginning.
    ranked : tuple of (str, float)
        Emotions and probabilities, most likely first; empty if not judged.
    shares : tuple of (str, float, float)
        Emotions with the height at which their area begins and how high it is, in [0, 1].
    reason : str
        Why it was not judged.
    """

    start: float
    end: float
    ranked: tuple[tuple[str, float], ...]
    shares: tuple[tuple[str, float, float], ...]
    reason: str

    @property
    def words(self) -> str:
        """What this stretch shows, as one reads it out.

        Examples
        --------
        >>> Stretch(0, 1, (("sad", 0.8), ("calm", 0.2)), (), "").words
        'sad 80%, then calm 20%'
        >>> Stretch(0, 1, (), (), "silence").words
        'not judged: silence'
        """
        if not self.ranked:
            return f"not judged: {self.reason or 'no reason given'}"
        return ", then ".join(f"{name} {percent(chance)}" for name, chance in self.ranked[:2])


def percent(chance: float) -> str:
    """A probability in whole percent, never rounded to certainty.

    Examples
    --------
    >>> percent(0.5), percent(0.9998), percent(0.0002), percent(1.0)
    ('50%', '>99%', '<1%', '100%')
    """
    if 0.995 <= chance < 1:
        return ">99%"
    return "<1%" if 0 < chance < 0.005 else f"{chance:.0%}"


def stretches(judgement: Judgement) -> tuple[Stretch, ...]:
    """What the timeline shows from when to when.

    Windows overlap: each moment belongs to the window whose middle is the nearest.

    Parameters
    ----------
    judgement : Judgement

    Returns
    -------
    tuple of Stretch
        From 0 to the end of the recording, without gaps.
    """
    steps = judgement.steps
    if not steps:
        return ()
    middles = [(step["start"] + step["end"]) / 2 for step in steps]
    between = [(left + right) / 2 for left, right in itertools.pairwise(middles)]
    end = judgement.seconds or steps[-1]["end"]
    edges = [0.0, *(min(edge, end) for edge in between), end]
    return tuple(
        _stretch(step, start, stop)
        for step, (start, stop) in zip(steps, itertools.pairwise(edges), strict=True)
    )


def verdict_html(judgement: Judgement, player: Player, cards: Sequence[BundleCard]) -> str:
    """The result for the page.

    Parameters
    ----------
    judgement : Judgement
    player : Player
    cards : sequence of BundleCard
        Of all bundles; that of the one that judged is shown.

    Returns
    -------
    str
        HTML, all names and sentences escaped.
    """
    parts = stretches(judgement)
    card = next((card for card in cards if card.name == judgement.bundle), None)
    text = json.dumps(judgement.as_dict(), indent=2, ensure_ascii=False)
    return _render(
        "verdict.html.jinja",
        judgement=judgement,
        player=player,
        card=card,
        parts=parts,
        end=parts[-1].end if parts else judgement.seconds,
        steps=json.dumps([[part.start, part.end, part.words] for part in parts]),
        pictures=[
            (what, PICTURES.get(what, what), _inline("image/png", picture))
            for what, picture in judgement.pictures.items()
        ],
        stem=judgement.name.rsplit(".", 1)[0] or "recording",
        as_json=_inline("application/json", text.encode()),
        as_csv=_inline("text/csv", judgement.as_csv().encode()),
    )


def state_html(text: str) -> str:
    """What is being done at the moment."""
    return _render("state.html.jinja", text=text)


def opening_html(cards: Sequence[BundleCard], settings: PageSettings, results: bool = False) -> str:
    """What the page is for, its limits, and the way to the results if there are any."""
    emotions = list(dict.fromkeys(name for card in cards for name in card.emotions))
    return _render(
        "opening.html.jinja",
        emotions=emotions,
        local=settings.local,
        longest=clock(settings.max_seconds),
        largest=size_text(settings.max_upload),
        results=results,
    )


def package_text(file: str) -> str:
    """A style sheet or script of this package."""
    return resources.files("emodask.page.judging").joinpath(file).read_text(encoding="utf-8")


def _stretch(step: Any, start: float, end: float) -> Stretch:
    chances = step["probabilities"]
    bases = itertools.accumulate(chances.values(), initial=0.0)
    return Stretch(
        start=start,
        end=end,
        ranked=tuple(sorted(chances.items(), key=lambda pair: -pair[1])),
        shares=tuple(
            (name, base, chance)
            for (name, chance), base in zip(chances.items(), bases, strict=False)
        ),
        reason=step["reason"] or "",
    )


def _inline(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _render(name: str, **values: Any) -> str:
    """Fill a template; its braces are escaped too, since Gradio would take them for its own."""
    text = _template(name).render(**values)
    for sign in "{}$`":
        text = text.replace(sign, f"&#{ord(sign)};")
    return text


def _template(name: str) -> Template:
    from emodask.evaluation.pages.page import page_environment

    environment = page_environment("emodask.page.judging")
    environment.filters.update(
        clock=clock, percent=percent, colour=lambda name: COLOURS.get(name, OTHER)
    )
    return environment.get_template(name)
