"""Labelled face pictures: folders of them or FER-2013's CSV -> gray pictures of one size, on disk.

Pictures are read one at a time and lie in a file without a name, which is mapped: however many
there are, they take no memory that the system cannot take back.
"""

from __future__ import annotations

import csv
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emodask.errors import SourceError
from emodask.sources.addresses import is_url, printable

MOST = 2_000_000
"""Pictures of a set."""

_MAX_PIXELS = 64_000_000
_MAX_FILE = 256 << 20
_MAX_FIELD = 8 << 20
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
_UNREADABLE = 0.1
"""Share of pictures that may be damaged: they are left out, and named."""

PARTS = ("train", "valid", "test")
_PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "publictest"), "valid"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
_FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""What the numbers of FER-2013's column ``emotion`` mean; folders' may mean anything."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Pictures with labels, in three parts.

    Attributes
    ----------
    pictures : ndarray of uint8, shape (n, side, side)
    labels : ndarray of int64, shape (n,)
        Places in ``classes``.
    classes : tuple of str
    parts : mapping of str to ndarray of intp
        ``train``, ``valid`` and ``test``: the rows of each.
    left_out : tuple of str
        Pictures that cannot be read, with reasons.
    """

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    parts: dict[str, npt.NDArray[np.intp]]
    left_out: tuple[str, ...] = ()

    def counts(self, part: str) -> dict[str, int]:
        """Pictures of a part by class."""
        found = Counter(self.labels[self.parts[part]].tolist())
        return {name: found[number] for number, name in enumerate(self.classes)}


@dataclass
class _Reading:
    """What has been read so far."""

    side: int
    file: object
    labels: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, picture: npt.NDArray[np.uint8], label: str, part: str, where: str) -> None:
        if len(self.labels) >= MOST:
            raise SourceError(f"{where}: more than {MOST} pictures; use a part of them")
        if picture.shape != (self.side, self.side):
            import cv2

            size = (self.side, self.side)
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        self.file.write(np.ascontiguousarray(picture).tobytes())  # type: ignore[attr-defined]
        self.labels.append(label)
        self.parts.append(part)


def read_labelled(source: str | Path, side: int, seed: int = 0) -> Labelled:
    """Read labelled pictures.

    Parameters
    ----------
    source : str or Path
        A folder with a subfolder of pictures for each class, itself or below folders named
        ``train``, ``valid`` and ``test``, pictures of 8 or 16 bits; or a CSV as FER-2013's: columns
        ``emotion``, ``pixels`` (gray levels with spaces between) and, if there is one, ``Usage``
        (``Training``, ``PublicTest``, ``PrivateTest``).
    side : int
        Pixels of each side that they are scaled to.
    seed : int
        Of the split, where the source has none: a tenth of each class for validation, a tenth held
        out.

    Raises
    ------
    SourceError
        If there is nothing of the kind; the message says what was found, and what would be right.
    """
    if is_url(str(source)):
        raise SourceError(f"{source}: pictures are read from this machine; download them first")
    path = Path(source)
    if not path.exists():
        raise SourceError(f"{path}: no such folder or CSV of labelled pictures")
    with tempfile.TemporaryFile() as file:
        reading = _Reading(side, file)
        if path.is_dir():
            _read_folder(path, reading)
        else:
            _read_csv(path, reading)
        file.flush()
        count = len(reading.labels)
        if count == 0:
            raise SourceError(f"{path}: no picture was read; {_expected()}")
        # The map keeps the file's bytes when its name, which it never had, and handle are gone.
        pictures = np.memmap(file, np.uint8, "r", shape=(count, side, side))
    labels, classes = _classes(reading.labels, str(path), numbered=not path.is_dir())
    parts = _split(np.array(reading.parts), labels, seed)
    found = Labelled(pictures, labels, classes, parts, tuple(reading.left_out))
    _check(found, str(path))
    return found


def _read_folder(folder: Path, reading: _Reading) -> None:
    inside = _folders_in(folder)
    parts = [path for path in inside if path.name.lower() in _PART_NAMES]
    if parts and len(parts) < len(inside):
        others = printable(", ".join(path.name for path in inside if path not in parts)[:80])
        raise SourceError(
            f"{folder}: beside {' and '.join(path.name for path in parts)} lies {others}, so these "
            f"are neither all parts nor all classes; move or rename one of them. {_expected()}"
        )
    if parts and len(parts) == len(inside):
        classes = [
            (_PART_NAMES[part.name.lower()], path) for part in parts for path in _folders_in(part)
        ]
    else:
        classes = [("", path) for path in inside]
    if not classes:
        raise SourceError(f"{folder}: has no subfolders; {_expected()}")
    for part, path in classes:
        for file in _pictures_below(path):
            try:
                picture = _picture(file)
            except Exception as error:  # each format has errors of its own
                why = str(error).splitlines()[0] if str(error) else type(error).__name__
                name = printable(str(file.relative_to(folder)))
                reading.left_out.append(f"{name}: {why.replace(str(folder), '')[:120]}")
                continue
            reading.add(picture, path.name, part, str(folder))
    tried = len(reading.labels) + len(reading.left_out)
    if len(reading.left_out) > _UNREADABLE * tried:
        raise SourceError(
            f"{folder}: {len(reading.left_out)} of {tried} pictures cannot be read, first "
            f"{reading.left_out[0]}"
        )


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _aside(path.name))


def _aside(name: str) -> bool:
    """Whether systems keep something of their own there, such as copies' resource forks."""
    return name.startswith(".") or name == "__MACOSX"


def _pictures_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _aside(name))
        for name in sorted(files):
            if Path(name).suffix.lower() in _ENDINGS and not _aside(name):
                yield Path(place, name)


def _picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture as gray levels; its size is looked at before its pixels are."""
    from PIL import Image

    if path.stat().st_size > _MAX_FILE:
        raise ValueError(f"more than {_MAX_FILE} bytes")
    with Image.open(path, formats=_FORMATS) as image:
        width, height = image.size
        if width * height > _MAX_PIXELS:
            raise ValueError(f"{width}x{height} pixels; at most {_MAX_PIXELS} in all")
        if image.mode == "F":
            raise ValueError("floating-point levels; 8 or 16 bits a pixel are read")
        if not image.mode.startswith("I"):
            return np.asarray(image.convert("L"), np.uint8)
        levels = np.asarray(image)  # of 16 bits, which Pillow would cut off at 255
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError(f"levels from {levels.min()} to {levels.max()}, not 0-65535")
        return (levels >> 8).astype(np.uint8)


def _read_csv(path: Path, reading: _Reading) -> None:
    limit = csv.field_size_limit(_MAX_FIELD)  # of the whole process: others rely on theirs
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            if not {"emotion", "pixels"} <= set(header):
                shown = printable(", ".join(header)[:80]) or "nothing"
                raise SourceError(f"{path}: its first line has {shown}; {_expected()}")
            columns = [header.index("emotion"), header.index("pixels")]
            usage = header.index("usage") if "usage" in header else None
            for row in rows:
                if row:
                    _read_row(row, columns, usage, f"{path}: line {rows.line_num}", reading)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: no CSV of labelled pictures: {error}; {_expected()}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        csv.field_size_limit(limit)


def _read_row(
    row: list[str], columns: list[int], usage: int | None, where: str, reading: _Reading
) -> None:
    if len(row) <= max(*columns, usage or 0):
        raise SourceError(f"{where}: {len(row)} columns; the file is damaged or truncated")
    label, pixels = (row[column].strip() for column in columns)
    try:
        levels = np.array(pixels.split(), np.int64)
    except (ValueError, OverflowError):
        raise SourceError(f"{where}: its pixels are not all numbers") from None
    side = math.isqrt(levels.size)
    if side < 8 or side * side != levels.size:
        raise SourceError(f"{where}: {levels.size} pixels, which are no square of 8x8 or more")
    if levels.min() < 0 or levels.max() > 255:
        raise SourceError(f"{where}: gray levels from {levels.min()} to {levels.max()}, not 0-255")
    part = ""
    if usage is not None:
        part = _PART_NAMES.get(row[usage].strip().lower(), "?")
        if part == "?":
            raise SourceError(
                f"{where}: Usage is {printable(row[usage][:30])!r}; it must be Training, "
                "PublicTest or PrivateTest"
            )
    if not label:
        raise SourceError(f"{where}: no emotion")
    reading.add(levels.reshape(side, side).astype(np.uint8), label, part, where)


def _classes(
    labels: list[str], where: str, numbered: bool
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Places of labels, and what the classes are called; FER-2013's, if they are its numbers."""
    names = sorted(set(labels))
    numbers = {str(number) for number in range(len(_FER2013))}
    if numbered and set(names) <= numbers:
        shown = tuple(_FER2013[int(name)] for name in names)
    else:
        shown = tuple(printable(name) for name in names)
    if not 2 <= len(names) <= 1000:
        raise SourceError(
            f"{where}: {len(names)} class{'es' if len(names) > 1 else ''} of pictures "
            f"({', '.join(shown[:3])}); 2 or more are needed, and at most 1000. {_expected()}"
        )
    places = {name: number for number, name in enumerate(names)}
    return np.array([places[label] for label in labels], np.int64), shown


def _split(
    parts: npt.NDArray[np.str_], labels: npt.NDArray[np.int64], seed: int
) -> dict[str, npt.NDArray[np.intp]]:
    """Rows of each part; what the source leaves open is drawn from each class by the seed."""
    given = {part: np.flatnonzero(parts == part) for part in PARTS}
    # A set of training and test pictures alone, or of none of the two, lacks a part or two.
    pool = np.flatnonzero((parts == "") | (parts == "train"))
    lacking = [part for part in ("valid", "test") if not given[part].size]
    taken: dict[str, list[int]] = {part: [] for part in lacking}
    random = np.random.default_rng([seed, 1])
    for label in np.unique(labels):
        own = pool[labels[pool] == label]
        own = own[random.permutation(len(own))]
        each = math.ceil(len(own) / 10) if len(own) >= 3 else 0
        for number, part in enumerate(lacking):
            taken[part] += own[number * each : (number + 1) * each].tolist()
    for part in lacking:
        given[part] = np.array(sorted(taken[part]), np.intp)
    used = np.concatenate([given[part] for part in lacking]) if lacking else np.empty(0, np.intp)
    given["train"] = np.setdiff1d(pool, used)
    return given


def _check(found: Labelled, where: str) -> None:
    for name, count in found.counts("train").items():
        if not count:
            raise SourceError(f"{where}: no picture of {name} to train on; {_expected()}")
    for part in ("valid", "test"):
        if not found.parts[part].size:
            raise SourceError(
                f"{where}: {len(found.labels)} pictures are too few: none is left for "
                f"{'validation' if part == 'valid' else 'the held-out part'}"
            )


def _expected() -> str:
    return (
        "expected a folder with a subfolder of pictures for each class, or a CSV with the columns "
        "emotion, pixels and Usage, as FER-2013's"
    )
