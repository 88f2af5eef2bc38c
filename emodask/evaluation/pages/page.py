"""Pages: the templates of this package, with the filters that they share."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from emodask.evaluation.findings import (
    calibration_sentence,
    control_sentence,
    p_text,
    points,
    points_interval,
)
from emodask.evaluation.results import interval_text, percent
from emodask.evaluation.timings import duration

if TYPE_CHECKING:
    from jinja2 import Template


def page_template(name: str) -> Template:
    """A template of this package, with the filters that pages share; all text is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files("emodask.evaluation.pages")
    environment = Environment(
        loader=FunctionLoader(lambda file: folder.joinpath(file).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        interval=interval_text,
        points=points,
        points_interval=points_interval,
        p_value=p_text,
        unbroken=_unbroken,
        duration=duration,
        calibration=calibration_sentence,
        control=control_sentence,
    )
    return environment.get_template(name)


def _unbroken(sentence: str) -> str:
    """Keep figures with their units, and intervals, on one line."""
    no_break_space, word_joiner = "\u00a0", "\u2060"
    return sentence.replace(" %", f"{no_break_space}%").replace("–", f"{word_joiner}–{word_joiner}")
