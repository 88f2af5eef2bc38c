"""Detectors of faces that a job needs: what is missing is found before the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emodask.errors import ClusterError, FeatureError, UsageError
from emodask.features.faces.cropping import FaceCrop
from emodask.job import Job

if TYPE_CHECKING:
    from distributed import Client


def check_detectors(job: Job, client: Client | None = None) -> None:
    """Load the detectors of the faces that a job crops to, wherever its clips are decoded.

    A worker that comes later loads them with its first clip.

    Parameters
    ----------
    job : Job
    client : distributed.Client, optional
        Whose workers decode; by default this process does.

    Raises
    ------
    UsageError
        If one cannot be loaded in this process; the message says what is missing.
    ClusterError
        If one cannot be loaded on a worker.
    """
    if not any(_wanted(job)):
        return
    if client is None:
        if missing := _missing(job):
            raise UsageError(missing)
        return
    found = client.run(_missing, job, on_error="return")
    for address, missing in found.items():
        if isinstance(missing, str) and missing:  # else it has them, or went away meanwhile
            raise ClusterError(f"worker {address}: {missing}")


def _wanted(job: Job) -> dict[str, FaceCrop]:
    return {
        name: feature.settings
        for name, feature in job.features.items()
        if isinstance(feature.settings, FaceCrop) and feature.settings.crop == "face"
    }


def _missing(job: Job) -> str:
    """Why a detector cannot be loaded in this process; empty if all can."""
    for name, settings in _wanted(job).items():
        try:
            settings.load_detector()
        except FeatureError as error:
            return f"job {job.name}, feature {name}: {error}"
    return ""
