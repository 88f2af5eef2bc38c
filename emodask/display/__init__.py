"""What people see in a terminal."""

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

__all__ = [
    "Reporter",
    "catalogue_dict",
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
