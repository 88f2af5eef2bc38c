"""Synthetic corpora for the command line, and what to do with the demo's bundle."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from emodask.errors import UsageError
from emodask.sources.synth import synthesize

DEMO_JOB = "hog3d-spline"
DEMO_CREDIT = (
    "synthetic faces and voices, made by emodask. The figures show that the pipeline works; "
    "they say nothing about people"
)
_MADE_WITH = "corpus.json"


def parse_size(text: str) -> tuple[int, int]:
    """Read a frame size.

    Examples
    --------
    >>> parse_size("426x240")
    (426, 240)
    """
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"size {text!r}: expected WIDTHxHEIGHT in pixels, such as 426x240")
    return int(width), int(height)


def serve_command(bundle: str) -> str | None:
    """The command that serves a bundle, as it can be typed here; None without the extra ``page``.

    Parameters
    ----------
    bundle : str
        Folder of it.
    """
    if not all(find_spec(name) for name in ("fastapi", "gradio", "python_multipart", "uvicorn")):
        return None
    typed = sys.argv[0]
    if Path(typed).name != "emodask":
        program = [sys.executable, "-m", "emodask"]
    else:
        found = shutil.which("emodask")
        same = found is not None and Path(found).resolve() == Path(typed).resolve()
        program = ["emodask" if same else typed]
    return shlex.join([*program, "serve", bundle])


def demo_media(
    out: str, actors: int, clips: int, progress: Callable[[int, int], object] | None = None
) -> list[str]:
    """Synthesise the demo's corpus below a folder, or reuse the one that lies there.

    Parameters
    ----------
    out : str
        Local folder; the zips go to ``media/`` in it.
    actors, clips : int
        How many actors, and clips of each.
    progress : callable, optional
        ``progress(clips_done, clips_in_all)``.

    Returns
    -------
    list of str
        Sources for :func:`emodask.run`.
    """
    folder = Path(out) / "media"
    record = folder / _MADE_WITH
    wanted = {"actors": actors, "clips": clips}
    files: list[str] = []
    if record.is_file():
        made = json.loads(record.read_text())
        if {key: made.get(key) for key in wanted} == wanted:
            files = [str(folder / name) for name in made["files"]]
    if not files or not all(Path(file).is_file() for file in files):
        record.unlink(missing_ok=True)
        paths = synthesize(
            folder,
            actors=actors,
            clips=clips,
            modalities=("full-av", "audio-only"),
            progress=progress,
            overwrite=True,
        )
        record.write_text(json.dumps({**wanted, "files": [path.name for path in paths]}) + "\n")
        files = [str(path) for path in paths]
    manifest = [file for file in files if file.endswith(".csv")]
    return manifest or files
