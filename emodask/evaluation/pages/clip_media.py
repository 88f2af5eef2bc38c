"""From a report to its clips: where their media lie, as links where one can lead there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from emodask.clip_rows import media_of
from emodask.job import Job
from emodask.sources.addresses import is_url, printable, redact
from emodask.sources.archive import Member
from emodask.sources.catalogue import Clip, MediaFile


def with_media(
    metrics: dict[str, Any], job: Job, clips: Sequence[Clip], folder: str
) -> dict[str, Any]:
    """The metrics, with the media of each mistake.

    Parameters
    ----------
    metrics : dict
        What ``metrics.json`` is to hold.
    job : Job
    clips : sequence of Clip
        As the sources of the job hold them.
    folder : str
        Path or URL of the report.

    Returns
    -------
    dict
        With ``media`` in each of the ``mistakes`` whose clip is known: for each file that the job
        reads, ``name`` and ``href``, the latter empty where no link leads to it.
    """
    known = {clip.clip_id: clip for clip in clips}

    def located(mistake: dict[str, Any]) -> dict[str, Any]:
        clip = known.get(mistake["clip_id"])
        if clip is None:
            return mistake
        return {
            **mistake,
            "media": [
                {"name": _name(media), "href": link(media, folder)}
                for media in _media_read(job, clip)
            ],
        }

    return _with_mistakes(metrics, located) if known else metrics


def _with_mistakes(
    metrics: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    protocols = {}
    for name, entry in metrics["protocols"].items():
        models = {
            model: {**summary, "mistakes": [change(one) for one in summary.get("mistakes", ())]}
            for model, summary in entry.get("models", {}).items()
        }
        protocols[name] = {**entry, "models": models} if models else entry
    return {**metrics, "protocols": protocols}


def _media_read(job: Job, clip: Clip) -> Iterator[MediaFile]:
    """The files that a job reads of a clip, each once."""
    seen: list[MediaFile] = []  # not a set: storage options may be lists and dictionaries
    for modality in job.modalities:
        media = media_of(job, clip, modality)
        if media is not None and media not in seen:
            seen.append(media)
            yield media


def _name(media: MediaFile) -> str:
    """A file for people: a member and its archive, or a file; without folders of this machine."""
    if isinstance(media.where, Member):
        archive = media.where.archive
        place = str(archive) if is_url(archive.url) else archive.name
        return f"{printable(media.where.name)} in {place}"
    return str(media) if is_url(media.where.url) else media.label


def link(media: MediaFile, folder: str) -> str:
    """Where a report in a folder finds a file: an address on the web, or a path on its own disk.

    Nothing leads into an archive or a bucket; and an address whose credentials or query were taken
    away leads nowhere.
    """
    if isinstance(media.where, Member):
        return ""
    url = media.where.url
    if is_url(url):
        return url if url.startswith(("https://", "http://")) and redact(url) == url else ""
    if is_url(folder):
        return ""
    below = os.path.relpath(Path(url).absolute(), Path(folder).absolute())
    return quote(below.replace(os.sep, "/"))


def sound_file(job: Job, clip: Clip) -> MediaFile | None:
    """The file that a clip is heard from: what the job hears, or else what there is."""
    return media_of(job, clip, "audio") or clip.media_for("audio")


def by_name(clips: Sequence[Clip], wanted: Sequence[Mapping[str, Any]]) -> list[Clip]:
    """The clips of some mistakes, in their order; those that are unknown are left out."""
    names = {one["clip_id"] for one in wanted}
    known = {clip.clip_id: clip for clip in clips if clip.clip_id in names}
    return [known[one["clip_id"]] for one in wanted if one["clip_id"] in known]
