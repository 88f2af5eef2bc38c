"""The evaluation as a table for terminals, 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emodask.evaluation.results import Row, interval_text, percent, rows

if TYPE_CHECKING:
    from rich.table import Table


def _remark(row: Row) -> str:
    """What to know of a row before comparing it, short enough for its column."""
    if row.not_run:
        return "not run"
    kind = row.kind.removeprefix("speaker-")
    return ", ".join(word for word in ("" if row.speaker_independent else "leaky", kind) if word)


def terminal_table(metrics: Mapping[str, Any]) -> Table:
    """Tabulate an evaluation: one row per protocol and model, leaky ones last and named so.

    Parameters
    ----------
    metrics : mapping
        The content of ``metrics.json``.

    Returns
    -------
    rich.table.Table
        Scores in percent, with the UAR's 95 % interval; fits 80 columns.

    Examples
    --------
    >>> absent = {"speaker_independent": True, "not_run": "one actor"}
    >>> terminal_table({"protocols": {"loso": absent}}).row_count
    1
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        caption="percent; UAR with its 95 % interval over actors",
        caption_justify="left",
    )
    table.add_column("protocol", no_wrap=True)
    table.add_column("model", overflow="fold", min_width=12)
    table.add_column("clips", justify="right", no_wrap=True)
    table.add_column("actors", justify="right", no_wrap=True)
    table.add_column("UAR [95 %]", justify="right", no_wrap=True)
    table.add_column("acc", justify="right", no_wrap=True)
    table.add_column("F1", justify="right", no_wrap=True)
    table.add_column("", max_width=8)
    before: Row | None = None
    for row in rows(metrics):
        if before is not None and row.protocol != before.protocol:
            table.add_section()
        repeated = before is not None and row.protocol == before.protocol
        interval = f" [{interval_text(row.uar_ci95)}]" if row.uar_ci95 else ""
        cells = (
            "" if repeated else row.protocol,
            row.model,
            "" if row.n_clips is None else str(row.n_clips),
            "" if row.n_actors is None else str(row.n_actors),
            percent(row.uar) + interval,
            percent(row.accuracy),
            percent(row.macro_f1),
            _remark(row),
        )
        # Text, not markup: names are data.
        style = "" if row.speaker_independent and not row.not_run else "dim"
        table.add_row(*(Text(cell) for cell in cells), style=style)
        before = row
    return table
