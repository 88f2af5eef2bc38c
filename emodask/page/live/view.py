"""A state as the page shows it: the whole page, and the parts of it that change."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from emodask.display.wording import clock, plural
from emodask.page.live.state import LiveState, Step

if TYPE_CHECKING:
    from jinja2 import Template

PARTS = ("status", "numbers", "result", "failures", "facts")
"""Blocks of the template that are sent anew when they change, as elements of the same ids."""

_NOW = {
    "synthesise": "Synthesising clips",
    "extract": "Extracting features",
    "evaluate": "Evaluating on held-out people",
    "fit": "Fitting the bundle's model on all clips",
}
_BEFORE = {"extract": "Looking for workers and clips", "evaluate": "Reading the store"}
"""What a stage begins with, before anything can be counted."""

_SCORING = "Scoring, and writing the report"
_ENDED = {"finished": "Finished", "failed": "Failed", "interrupted": "Stopped"}


def package_text(name: str) -> str:
    """A file of this package."""
    return resources.files("emodask.page.live").joinpath(name).read_text(encoding="utf-8")


def page_html(state: LiveState, run: str, now: float, *, report: bool) -> str:
    """The whole page.

    Parameters
    ----------
    state : LiveState
    run : str
        A name that no other job's page has.
    now : float
        On the clock of the state.
    report : bool
        Whether the report can be had from the page's own server.
    """
    return _template().render(run=run, **_words(state, now, report))


def update(state: LiveState, run: str, now: float, *, report: bool) -> dict[str, Any]:
    """What an open page needs to become that of a state; parameters as of :func:`page_html`."""
    template, words = _template(), _words(state, now, report)
    parts = {name: _block(template, name, words) for name in PARTS}
    step = words["step"]
    return {
        "run": run,
        "outcome": state.outcome,
        "title": words["title"],
        "sentence": words["sentence"],
        "urgent": f"{state.outcome} {state.stage} {state.failures.count} {state.troubles.count}",
        "progress": [step.done, step.total] if step and step.total else None,
        "bar": words["bar"],
        **{f"part-{name}": html for name, html in parts.items()},
    }


def _block(template: Template, name: str, words: dict[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(words)))


def _words(state: LiveState, now: float, report: bool) -> dict[str, Any]:
    doing, step = _doing(state)
    counted = step is not None and step.whole
    share = f"{100 * step.done // step.total}%" if step and counted and step.total else ""
    running = state.outcome == "running"
    seconds = step.left_at(now) if step and running and counted else None
    left = "" if seconds is None else _about(seconds)
    if not running:
        sentence = _ENDED[state.outcome]
        failed = state.counts.get("failed", 0)
        if state.outcome == "finished" and failed:
            sentence += f"; {plural(failed, 'clip')} failed"
    elif step and step.total:
        sentence = f"{doing}: {step.done} of {step.total} {step.what}"
    else:
        sentence = doing
    title = " ".join(part for part in (share, state.stage) if part) if running else sentence
    return {
        "state": state,
        "step": step,
        "running": running,
        "title": f"{title or 'starting'} – emodask {state.command} {state.job}".rstrip(),
        "heading": f"emodask {state.command} {state.job}".rstrip(),
        "sentence": f"{sentence}, {left} left" if left else sentence,
        "headline": sentence,
        "share": share,
        "bar": f"Progress: {step.what}" if step and not counted else "Progress of this stage",
        "left": left,
        "elapsed": clock(state.seconds(now)),
        "report": report,
    }


def _doing(state: LiveState) -> tuple[str, Step | None]:
    """What the job does, and how far that is if it can be counted."""
    step = state.step
    if state.stage == "evaluate" and step and step.what == "folds" and step.done == step.total:
        return _SCORING, None
    words = _NOW if step else {**_NOW, **_BEFORE}
    return words.get(state.stage, "Starting"), step


def _about(seconds: float) -> str:
    return f"about {clock(seconds)}" if seconds >= 1 else "a moment"


def _template() -> Template:
    from emodask.evaluation.pages.page import page_environment

    environment = page_environment("emodask.page.live")
    environment.filters["plural"] = plural
    return environment.get_template("page.html.jinja")
