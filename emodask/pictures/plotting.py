"""Pictures of a store's clips as files: PNG, and a GIF of the gradients in motion."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emodask.errors import EmodaskError, UsageError
from emodask.pictures.animation import gradient_animation
from emodask.pictures.clip_pictures import ClipPictures, clip_pictures
from emodask.pictures.curve_figures import basis_figure
from emodask.pictures.gradients import gradients
from emodask.pictures.reading import MediaReader, recorded_sources
from emodask.pictures.stored import StoredClip, StoredFeatures, refusal
from emodask.scrubbing import clean_cause
from emodask.sources.addresses import StorageOptions, is_url
from emodask.sources.folder import Folder
from emodask.sources.location import reason
from emodask.store import StoreAddress, attributes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASIS = "b-spline-basis.png"
_DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Plotted:
    """What came of one clip.

    Attributes
    ----------
    clip : StoredClip
    files : tuple of str
        Names of its pictures, written.
    left_out : tuple of str
        What could not be drawn, and why.
    failed : bool
        Whether nothing could be.
    """

    clip: StoredClip
    files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    failed: bool = False


def plot(
    store: str | Path | StoreAddress,
    out: str | Path = "pictures",
    clips: Sequence[str] = (),
    sources: Sequence[str] = (),
    *,
    storage_options: StorageOptions | None = None,
    on_clip: Callable[[Plotted], None] | None = None,
) -> list[Plotted]:
    """Draw clips of a store, each picture into a file.

    Parameters
    ----------
    store : str, Path or StoreAddress
    out : str or Path
        Folder or fsspec URL for the pictures.
    clips : sequence of str
        Names; by default one clip of each emotion.
    sources : sequence of str
        Where their media lie; by default where the ``run.json`` beside the store says.
    storage_options : mapping, optional
        For fsspec.
    on_clip : callable, optional
        Told of each clip once its pictures are written.

    Returns
    -------
    list of Plotted
        One for each clip.

    Raises
    ------
    StoreError, SourceError
    UsageError
        If the store has no clip of some name.
    EmodaskError
        If the pictures cannot be written.
    """
    address = StoreAddress.of(store, storage_options)
    features = StoredFeatures.at(address)
    chosen = features.named(clips) if clips else features.one_of_each_emotion()
    if not (features.face or features.voice):
        have = ", ".join(features.job.features)
        raise UsageError(f"{address}: nothing of {have} can be drawn; only faces and voices can")
    if not chosen:
        raise EmodaskError(f"{address}: no clip of it has been extracted; there is nothing to draw")
    place = _Place(str(out), storage_options)
    if features.spline:
        settings = features.settings(features.spline)
        heading = f"B-spline basis of order {settings.order}"
        place.put({BASIS: _png(basis_figure(settings.knots, settings.order, heading))})
    plotted = []
    for found in _gathered(features, chosen, sources, storage_options):
        if isinstance(found, Plotted):
            done = found
        else:
            files = _files(found)
            place.put(files)
            done = Plotted(found.clip, tuple(files), found.left_out, not files)
        plotted.append(done)
        if on_clip:
            on_clip(done)
    return plotted


def _gathered(
    features: StoredFeatures,
    chosen: Sequence[StoredClip],
    sources: Sequence[str],
    options: StorageOptions | None,
) -> Iterator[ClipPictures | Plotted]:
    why = ""
    if not sources:
        try:
            sources = recorded_sources(features.address, attributes(features.group)["digest"])
        except EmodaskError as error:
            why = str(error)
    with MediaReader(features.job, sources, options) as reader:
        for clip in chosen:
            if refused := refusal(clip):
                yield Plotted(clip, left_out=(refused,), failed=True)
            else:
                yield clip_pictures(features, clip, why or reader)


def _files(found: ClipPictures) -> dict[str, bytes]:
    # A name is an identifier, never a path to write.
    name = re.sub(r"[%/\\\0]", lambda char: f"%{ord(char[0]):02X}", found.clip.clip_id)
    heading = found.clip.heading
    drawn = {
        f"{name}-face.png": found.face(),
        f"{name}-voice.png": found.sound(heading),
        f"{name}-curves.png": found.spline(heading),
    }
    files = {file: _png(figure) for file, figure in drawn.items() if figure is not None}
    if found.frames is not None:
        smooth = found.features.settings(found.features.face).smooth
        moving = gradients(found.frames, smooth)
        files[f"{name}-gradients.gif"] = gradient_animation(moving, found.seconds)
    return files


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, facecolor="white")
    return buffer.getvalue()


class _Place:
    """A folder or URL; a file is there whole or not at all."""

    def __init__(self, out: str, options: StorageOptions | None) -> None:
        if not out.strip():
            raise UsageError("an empty --out; pass a folder or a URL")
        self._remote = Folder.at(out, options) if is_url(out) else None
        self._local = Path(out)
        self._made = False

    def put(self, files: dict[str, bytes]) -> None:
        where = self._remote.address if self._remote else str(self._local)
        try:
            if not self._made and self._remote:
                self._remote.make()
            elif not self._made:
                self._local.mkdir(parents=True, exist_ok=True)
            self._made = True
            for name, data in files.items():
                if self._remote:
                    self._remote.write(name, data)
                else:
                    _replace(self._local / name, data)
        except Exception as error:  # each protocol has errors of its own
            raise EmodaskError(
                f"{where}: pictures cannot be written: {reason(error)}"
            ) from clean_cause(error)


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
