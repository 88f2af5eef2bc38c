"""What people see in a terminal, and what log collectors get instead."""

from emodask.display.events import EventReporter
from emodask.display.log_lines import LogLines, log_event
from emodask.display.progress import Reporter
from emodask.display.tables import (
    catalogue_dict,
    show_bundle,
    show_catalogue,
    show_evaluation,
    show_info,
    show_jobs,
    show_run,
    show_summary,
    show_synth,
    show_verdicts,
    show_verification,
)
from emodask.display.together import Together

__all__ = [
    "EventReporter",
    "LogLines",
    "Reporter",
    "Together",
    "catalogue_dict",
    "log_event",
    "show_bundle",
    "show_catalogue",
    "show_evaluation",
    "show_info",
    "show_jobs",
    "show_run",
    "show_summary",
    "show_synth",
    "show_verdicts",
    "show_verification",
]
