"""RAVDESS from Zenodo: into a folder or a bucket, gone on with after a stop, every byte checked."""

from emodask.sources.download.client import Patience
from emodask.sources.download.fetching import (
    DownloadPlan,
    DownloadSummary,
    download,
    fetch,
    plan_download,
    require_room,
    size_text,
)
from emodask.sources.download.record import RAVDESS
from emodask.sources.download.selection import Selection, parse_actors
from emodask.sources.download.transfer import FileNews

__all__ = [
    "RAVDESS",
    "DownloadPlan",
    "DownloadSummary",
    "FileNews",
    "Patience",
    "Selection",
    "download",
    "fetch",
    "parse_actors",
    "plan_download",
    "require_room",
    "size_text",
]
