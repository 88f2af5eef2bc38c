"""Pages: the templates of this package, with the filters that they share."""

from __future__ import annotations

import functools
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
    from jinja2 import Environment, Template


_PACKAGE = "emodask.evaluation.pages"


def page_template(name: str, package: str = _PACKAGE) -> Template:
    """A template of a package, with the filters that pages share; all text is escaped.

    Parameters
    ----------
    name : str
    package : str
        Whose templates may include those of this package too.
    """
    return page_environment(package).get_template(name)


@functools.cache
def page_environment(package: str) -> Environment:
    """Where templates of a package come from; it may add filters that are its own."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folders = [resources.files(one) for one in dict.fromkeys((package, _PACKAGE))]

    def load(file: str) -> str | None:
        for folder in folders:
            if folder.joinpath(file).is_file():
                return folder.joinpath(file).read_text(encoding="utf-8")
        return None

    environment = Environment(
        loader=FunctionLoader(load),
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
    return environment


def _unbroken(sentence: str) -> str:
    """Keep figures with their units, and intervals, on one line."""
    no_break_space, word_joiner = "\u00a0", "\u2060"
    return sentence.replace(" %", f"{no_break_space}%").replace("–", f"{word_joiner}–{word_joiner}")
