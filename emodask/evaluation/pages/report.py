"""The report: ``metrics.json`` as one self-contained page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emodask.errors import EvaluationError
from emodask.evaluation.adaptation import ADAPTED, ADAPTED_MEANING
from emodask.evaluation.findings import (
    Check,
    checks,
    leakage_sentence,
    leakages,
    points,
)
from emodask.evaluation.metrics import N_DRAWS
from emodask.evaluation.outcome import HONEST, LEAKY
from emodask.evaluation.pages.actor_figure import per_actor_figure
from emodask.evaluation.pages.figures import confusion_figure, per_emotion_figure
from emodask.evaluation.pages.page import page_template
from emodask.evaluation.pages.reliability_figure import reliability_figure
from emodask.evaluation.pages.sections import sections
from emodask.evaluation.protocols import actor_ranges
from emodask.evaluation.results import (
    Row,
    headline,
    headline_row,
    job_name,
    leaky_reason,
    ordered_protocols,
    percent,
    rows,
)
from emodask.scrubbing import clean_cause
from emodask.sources.folder import Folder
from emodask.sources.location import reason

if TYPE_CHECKING:
    from emodask.pictures.section import Section

PAGE = "index.html"
MAX_FAILURES = 100
"""A page lists this many failures; metrics.json has them all."""
FEW_ACTORS = 6
"""Below this many tested actors a page warns that a bootstrap over them is too narrow."""


@dataclass(frozen=True)
class ProtocolView:
    """One protocol as the page shows it.

    Attributes
    ----------
    name, description, leaky_reason : str
        What it does, and why its figures flatter (empty if speaker-independent).
    extent : str
        Folds, clips and actors in words.
    notes : tuple of str
        How it differs from the protocol as published.
    rows : tuple of Row
        Its models, best first, or the one row that says it did not run.
    """

    name: str
    description: str
    leaky_reason: str
    extent: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Pictures:
    """The pictures of one model under one protocol, as SVG elements."""

    caption: str
    confusion: str
    per_emotion: str
    per_actor: str = ""
    reliability: str = ""
    check: Check | None = None
    mistakes: tuple[Mapping[str, Any], ...] = ()


def _counted(number: int | None, noun: str) -> str:
    return "" if number is None else f"{number} {noun}{'' if number == 1 else 's'}"


def protocol_views(metrics: Mapping[str, Any]) -> Iterator[ProtocolView]:
    """The protocols of ``metrics.json`` in the order of reports."""
    every = rows(metrics)
    for name, entry in ordered_protocols(metrics):
        extent = (
            _counted(entry.get("folds"), "fold"),
            _counted(entry.get("n_clips"), "clip") and f"{entry['n_clips']} clips tested",
            _counted(entry.get("n_actors"), "actor"),
        )
        notes = [str(note) for note in entry.get("notes", ())]
        n_actors = entry.get("n_actors")
        if entry.get("models") and n_actors is not None and 2 <= n_actors < FEW_ACTORS:
            notes.append(
                f"{n_actors} actors cannot show how much people differ: "
                "the intervals are too narrow"
            )
        yield ProtocolView(
            name=name,
            description=str(entry.get("description", "")),
            leaky_reason=leaky_reason(name, entry),
            extent=", ".join(part for part in extent if part),
            notes=tuple(notes),
            rows=tuple(row for row in every if row.protocol == name),
        )


def _pictures(metrics: Mapping[str, Any], row: Row) -> Pictures:
    from markupsafe import Markup

    summary = metrics["protocols"][row.protocol]["models"][row.model]
    caption = f"{row.model} under {row.protocol}"
    emotions = list(summary["per_emotion"])
    actors, stated = summary.get("per_actor"), summary.get("calibration")
    # The figures escape the text in them: their markup may pass as it is.
    return Pictures(
        caption=caption,
        confusion=Markup(
            confusion_figure(summary["confusion"], emotions, f"Confusion matrix of {caption}")
        ),
        per_emotion=Markup(
            per_emotion_figure(summary["per_emotion"], f"Scores of each emotion, {caption}")
        ),
        per_actor=Markup(
            per_actor_figure(actors, row.uar, row.chance, f"UAR of each actor, {caption}")
            if actors
            else ""
        ),
        reliability=Markup(
            reliability_figure(stated["bins"], f"Reliability diagram, {caption}") if stated else ""
        ),
        check=next((check for check in checks(metrics) if check.row == row), None),
        mistakes=tuple(summary.get("mistakes", ())),
    )


def contrast_sentence(metrics: Mapping[str, Any]) -> str:
    """Say what a leaky protocol would have claimed, so nobody compares the wrong figures."""
    honest = headline_row(metrics)
    leaky = [r for r in rows(metrics) if not r.speaker_independent and r.uar is not None]
    if not leaky:
        return ""
    same = [r for r in leaky if honest and r.model == honest.model]
    row = (same or leaky)[0]
    entry = metrics["protocols"][row.protocol]
    return (
        f"Under the leaky protocol {row.protocol} the same figure is {percent(row.uar, ' %')}: "
        f"{leaky_reason(row.protocol, entry)}. It says nothing about new people."
        + "".join(
            f" Leakage, the difference: {points(one.difference)} points."
            for one in leakages(metrics)
            if honest and (row.protocol, honest.protocol) == (LEAKY, HONEST)
            if one.model == row.model == honest.model
        )
    )


def flat_settings(settings: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted keys with JSON values."""
    if isinstance(settings, Mapping) and settings:
        for key, value in settings.items():
            yield from flat_settings(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        text = settings if isinstance(settings, str) else json.dumps(settings, ensure_ascii=False)
        yield prefix, text


def _data_sentence(data: Mapping[str, Any]) -> str:
    """Count the clips in one sentence: how many, how many usable, whose."""
    done = data.get("done", data.get("clips", 0))
    parts = [f"{_counted(data.get('clips', done), 'clip')}: {done} done"]
    parts += [f"{data[key]} {key}" for key in ("failed", "incomplete", "pending") if data.get(key)]
    text = ", ".join(parts)
    if data.get("usable", done) != done:
        text += f" ({data['usable']} have what this job's models need)"
    if actors := data.get("actors"):
        text += f"; {_counted(len(actors), 'actor')} ({actor_ranges(actors)})"
    if emotions := data.get("emotions"):
        text += f"; {_counted(len(emotions), 'emotion')} ({', '.join(emotions)})"
    return text + "."


def _adapted_meaning(views: Sequence[ProtocolView]) -> str:
    """What speaker-adapted rows are; nothing where there are none."""
    adapted = any(row.model.endswith(ADAPTED) for view in views for row in view.rows)
    return ADAPTED_MEANING if adapted else ""


def render_report(
    metrics: Mapping[str, Any],
    seen: Section | None = None,
    sounds: Mapping[str, str] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``. Only ``protocols`` and ``job`` are required; what else is
        absent is left out.
    sounds : mapping of str to str, optional
        ``data:`` addresses of sounds by clip, as of
        :func:`emodask.evaluation.pages.sounds.sounds_of_mistakes`.
    seen : Section, optional
        The pictures of what the models see, of :func:`emodask.pictures.section.what_models_see`.

    Returns
    -------
    str
        An HTML document without scripts or external requests. All text in ``metrics`` is escaped.

    Examples
    --------
    >>> absent = {"speaker_independent": True, "not_run": "one actor"}
    >>> page = render_report({"protocols": {"loso": absent}, "job": {"name": "<demo>"}})
    >>> "one actor" in page, "&lt;demo&gt;" in page, "<demo>" in page
    (True, True, False)
    """
    template = page_template("report.html.jinja")
    views = list(protocol_views(metrics))
    best = headline_row(metrics)
    leaks = leakages(metrics)
    others = [v.rows[0] for v in views if not best or v.name != best.protocol]
    data = metrics.get("data") or {}
    failures = list(data.get("failures") or ())
    shown = failures[:MAX_FAILURES]
    job = metrics.get("job") or {}
    return template.render(
        name=job_name(metrics),
        description=job.get("description", ""),
        headline=headline(metrics),
        contrast=contrast_sentence(metrics),
        best=best,
        n_rivals=sum(
            best is not None and (row.protocol, row.kind) == (best.protocol, best.kind)
            for row in rows(metrics)
        ),
        best_pictures=_pictures(metrics, best) if best else None,
        other_pictures=[_pictures(metrics, row) for row in others if row.uar is not None],
        views=views,
        checks=checks(metrics),
        leakages=leaks,
        leakage_sentence=leakage_sentence(leaks[0]) if leaks else "",
        honest_name=HONEST,
        leaky_name=LEAKY,
        n_draws=N_DRAWS,
        adapted_meaning=_adapted_meaning(views),
        data_sentence=_data_sentence(data) if data else "",
        restricting=data.get("restricting", ""),
        failures=shown,
        n_unlisted=max(data.get("failed", 0), len(failures)) - len(shown),
        credit=data.get("credit", ""),
        settings=[(k, v) for k, v in flat_settings(job) if k not in ("name", "description")],
        versions=metrics.get("versions") or {},
        created=metrics.get("created", ""),
        command=metrics.get("command", ""),
        digest=metrics.get("digest", ""),
        sounds=sounds or {},
        seen=seen,
        **sections(metrics),
    )


def write_report(
    metrics: Mapping[str, Any],
    folder: str,
    storage_options: Mapping[str, Any] | None = None,
    seen: Section | None = None,
    sounds: Mapping[str, str] | None = None,
) -> str:
    """Write the page as ``index.html`` into a folder.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.
    folder : str
        Path or URL, anything fsspec writes; made if it does not exist.
    storage_options : mapping, optional
        Passed on to fsspec.
    seen, sounds : optional
        See :func:`render_report`.

    Returns
    -------
    str
        Path of the page within its file system.

    Raises
    ------
    EvaluationError
        If the folder cannot be written.

    Examples
    --------
    >>> absent = {"speaker_independent": True, "not_run": "one actor"}
    >>> write_report({"protocols": {"loso": absent}, "job": {}}, "memory://report")
    '/report/index.html'
    """
    page = render_report(metrics, seen, sounds)
    place = Folder.at(folder, storage_options)
    try:
        place.make()
        place.write(PAGE, page.encode("utf-8"))
    except Exception as error:  # each protocol has errors of its own
        raise EvaluationError(
            f"{place.address}: the report cannot be written: {reason(error)}"
        ) from clean_cause(error)
    return f"{place.path}/{PAGE}"
