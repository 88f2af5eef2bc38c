"""Read hostile files in a process of its own: ``python -m tests.hostile.reading LIST``.

Each line of LIST, or of standard input for ``-``, is a name, a kind and a path. A line of JSON on
standard output says what each came to;
if this process dies, the last line started is the culprit.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import MediaError, SourceError
from emodask.media import gray_frames, mono_samples
from emodask.sources.catalogue import scan
from tests.hostile.making import plain, voice

MUTANT = "mutant"
"""Name of a file whose decoded form nobody wants."""


def decoded(kind: str, data: bytes) -> npt.NDArray[Any]:
    """What the pipeline decodes of a video or a sound."""
    if kind == "video":
        gray_frames(data, height=36, width=64, frames=10, gray="luma")
        return gray_frames(data, height=36, width=64)
    return mono_samples(data, rate=16_000)


def read_zip(path: Path) -> tuple[npt.NDArray[Any] | None, list[str]]:
    """The sound of the clip in a zip, and all problems on the way."""
    catalogue = scan(str(path))
    reasons = [f"{problem.where}: {problem.reason}" for problem in catalogue.problems]
    found = None
    for clip in catalogue.clips:
        media = clip.media_for("audio")
        assert media is not None
        try:
            found = decoded("sound", media.read())
        except MediaError as error:
            reasons.append(f"{media}: {error}")
    return found, reasons


def outcome(kind: str, path: Path, keep: bool = True) -> dict[str, Any]:
    """Whether a file can be read, and why not; an error of another class is not caught."""
    found: npt.NDArray[Any] | None = None
    reasons = []
    try:
        if kind == "zip":
            found, reasons = read_zip(path)
        else:
            found = decoded(kind, path.read_bytes())
    except (MediaError, SourceError) as error:
        reasons = [str(error)]
    if found is not None and keep:
        np.save(path.with_suffix(path.suffix + ".npy"), found)
    return {"works": found is not None, "reasons": reasons}


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    if sys.platform == "linux":  # getrusage would count what the parent had, too
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Read every file of the list."""
    if sys.argv[1] == "-":
        for line in sys.stdin:
            name, kind, path = line.rstrip("\n").split("\t")
            print(json.dumps(outcome(kind, Path(path), name != MUTANT)), flush=True)
        return
    decoded("video", plain())
    decoded("sound", voice())
    print(json.dumps({"base": peak()}), flush=True)
    for line in Path(sys.argv[1]).read_text().splitlines():
        name, kind, path = line.split("\t")
        print(json.dumps({"started": name}), flush=True)
        result = outcome(kind, Path(path))
        print(json.dumps({"name": name, "peak": peak(), **result}), flush=True)


if __name__ == "__main__":
    main()
