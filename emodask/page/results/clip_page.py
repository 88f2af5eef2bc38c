"""One clip: who it is, what became of it, what models said, what its store can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from emodask.emotions import EMOTIONS
from emodask.errors import EmodaskError
from emodask.page.results.clips import StoredRows, bounded
from emodask.page.results.runs import Run
from emodask.page.results.verdicts import Verdict, Verdicts
from emodask.pictures.section import Section, stored_pictures
from emodask.pictures.stored import StoredClip, StoredFeatures, stored_emotion
from emodask.scrubbing import without_folders
from emodask.sources.location import reason
from emodask.store import Status, attributes, missing_modalities, stored_array

if TYPE_CHECKING:
    from emodask.page.results.clips import Sheet

STATUS_NAMES = {status: status.name.lower() for status in Status}
CHANNEL_NAMES = {1: "speech", 2: "song"}
_MOST_FEATURES = 100


@dataclass(frozen=True)
class ClipLine:
    """One line of the table of clips."""

    clip: str
    actor: int
    emotion: str
    status: str
    verdict: Verdict | None = None
    error: str = ""


@dataclass(frozen=True)
class ClipFacts:
    """What a store says of one clip.

    Attributes
    ----------
    clip, emotion, status, error : str
    actor : int
    facts : tuple of (str, str)
        The rest of its identity and its cost, for reading.
    features : tuple of (str, str, bool)
        Name, shape in words, and whether it is there.
    """

    clip: str
    actor: int
    emotion: str
    status: str
    error: str
    facts: tuple[tuple[str, str], ...]
    features: tuple[tuple[str, str, bool], ...]


def lines_of(
    rows: StoredRows,
    sheet: Sheet,
    verdicts: Verdicts | None = None,
    system: tuple[str, str] | None = None,
    with_errors: bool = False,
) -> list[ClipLine]:
    """The lines of one page of the table.

    Parameters
    ----------
    rows : StoredRows
    sheet : Sheet
    verdicts : Verdicts, optional
    system : (str, str), optional
        Protocol and model whose verdicts are shown.
    with_errors : bool
        Read what became of each clip too.
    """
    errors = rows.column("error", sheet.rows) if with_errors else [""] * len(sheet.rows)
    return [
        ClipLine(
            str(rows.names[row]),
            int(rows.actor[row]),
            stored_emotion(int(rows.emotion[row])),
            STATUS_NAMES[Status(int(rows.status[row]))],
            verdicts.of_system(system, row) if verdicts and system else None,
            without_folders(error),
        )
        for row, error in zip(sheet.rows, errors, strict=True)
    ]


def clip_facts(rows: StoredRows, row: int) -> ClipFacts:
    """What the store says of a row.

    Raises
    ------
    EmodaskError
        If the store is damaged.
    """

    def said(name: str) -> str:
        return str(rows.column(name, [row])[0]) if name in rows.group else ""

    def code(name: str) -> str:
        value = said(name)
        return "" if value == "0" else value

    error = said("error")
    channel, intensity = code("channel"), code("intensity")
    facts = [
        ("Corpus", said("corpus")),
        ("Channel", CHANNEL_NAMES.get(int(channel or 0), channel)),
        ("Intensity", {"1": "normal", "2": "strong"}.get(intensity, intensity)),
        ("Statement", code("statement")),
        ("Repetition", code("repetition")),
    ]
    if rows.status[row] in (Status.DONE, Status.INCOMPLETE):
        facts.append(("Time it took", f"{float(said('seconds') or 0):.2f} s"))
        facts.append(("Video frames used", code("frames") or "none"))
    return ClipFacts(
        str(rows.names[row]),
        int(rows.actor[row]),
        stored_emotion(int(rows.emotion[row])),
        STATUS_NAMES[Status(int(rows.status[row]))],
        without_folders(error),
        tuple((name, value) for name, value in facts if value),
        tuple(_features(rows, row, error)),
    )


def _features(rows: StoredRows, row: int, error: str) -> list[tuple[str, str, bool]]:
    about = attributes(rows.group)
    settings = about["job"].get("features", {})
    missing = missing_modalities(error)
    whole = rows.status[row] == Status.DONE
    partly = rows.status[row] == Status.INCOMPLETE
    found = []
    for name in list(about["features"])[:_MOST_FEATURES]:
        array = stored_array(rows.group, name)
        dims = list(array.metadata.dimension_names or ())[1:]  # type: ignore[union-attr]
        shape = ", ".join(f"{size} {dim}" for size, dim in zip(array.shape[1:], dims, strict=False))
        there = whole or (partly and _modality(name, settings) not in missing)
        found.append((str(name), shape, bool(there)))
    return found


def _modality(name: str, settings: dict[str, dict[str, str]]) -> str:
    from emodask.features import family

    found = family(settings.get(name, {}).get("kind", name)).modality
    return f"table {name}" if found == "table" else found


def by_protocol(
    verdicts: Sequence[Verdict], order: Sequence[str]
) -> list[tuple[str, list[Verdict]]]:
    """Verdicts on one clip by protocol, in the order that reports show protocols."""
    known = list(order)

    def place(one: Verdict) -> int:
        return known.index(one.protocol) if one.protocol in known else len(known)

    ranked = sorted(verdicts, key=lambda one: (place(one), one.protocol))
    return [(name, list(group)) for name, group in groupby(ranked, lambda one: one.protocol)]


def pictures_of(run: Run, rows: StoredRows, row: int) -> Section | None:
    """Pictures of what the store holds of a clip; None if it holds nothing that can be drawn.

    Media are not decoded: only arrays of numbers are drawn.
    """
    clip = StoredClip(
        row,
        str(rows.names[row]),
        int(rows.actor[row]),
        stored_emotion(int(rows.emotion[row])),
        Status(int(rows.status[row])),
        rows.column("error", [row])[0],
    )
    if clip.status not in (Status.DONE, Status.INCOMPLETE):
        return None
    try:
        features = StoredFeatures.without_clips(run.store)
        for name in {features.face, features.spline, features.frames} - {""}:
            bounded(stored_array(features.group, name))
        return stored_pictures(features, clip)
    except Exception as error:  # a page without pictures is better than none
        why = str(error) if isinstance(error, EmodaskError) else reason(error)
        return Section(notes=(f"no pictures could be drawn: {without_folders(why)}",))


def emotions_of(rows: StoredRows) -> list[tuple[int, str]]:
    """The emotions that clips of a store show."""
    there = {int(code) for code in set(rows.emotion.tolist())}
    return [(code, name) for code, name in enumerate(EMOTIONS, start=1) if code in there]
