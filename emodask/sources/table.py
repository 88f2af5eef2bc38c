"""Tables of numbers per clip, CSV or Parquet: read whole, and checked before any work."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from emodask.errors import SourceError
from emodask.sources.addresses import printable
from emodask.sources.corpora import NamedClip, read_name
from emodask.sources.location import Location
from emodask.sources.names import NameRejected

MAX_BYTES = 512 << 20
"""Of a table, as a file and as numbers: it is read whole, on the machine that hands out work."""

LABELS = frozenset(
    ("actor", "emotion", "intensity", "statement", "repetition", "channel", "corpus", "modality")
)
"""Columns that say what a clip is: numbers or not, no feature unless a job names them."""

_MEDIA = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".wav", ".flac"}
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Table:
    """The numbers of some clips.

    Attributes
    ----------
    where : str
        The file, without credentials.
    names : tuple of str
        Of the columns.
    rows : dict of str to ndarray of float32, (columns,)
        By :func:`clip_key`, in the order of the file.
    """

    where: str
    names: tuple[str, ...]
    rows: dict[str, npt.NDArray[np.float32]]

    def row(self, clip_id: str) -> npt.NDArray[np.float32] | None:
        """The numbers of a clip, or None."""
        found = self.rows.get(clip_id)
        return self.rows.get(clip_key(clip_id)) if found is None else found


def clip_named(text: str) -> NamedClip | None:
    """What a clip's name says in a known corpus, as a file's name or bare.

    Examples
    --------
    >>> {clip_named(t).clip_id for t in ("01-01-06-01-02-01-12", "01-06-01-02-01-12")}
    {'01-06-01-02-01-12'}
    >>> clip_named("YAF_dog_ps").corpus
    'tess'
    """
    for name in (text, f"{text}.mp4", f"{text}.wav", f"03-{text}.wav"):
        with contextlib.suppress(NameRejected):
            return read_name(name)[0]
    return None


def clip_key(text: str) -> str:
    """What names of one clip have in common: no folders, no ending, no modality.

    Examples
    --------
    >>> clip_key("faces/01-01-06-01-02-01-12.mp4"), clip_key("speaker1/take_7")
    ('01-06-01-02-01-12', 'speaker1/take_7')
    """
    text = text.strip()
    path = PureWindowsPath(text)  # which splits at / and \\ alike
    name = clip_named(path.name)
    if name is not None:
        return name.clip_id
    return path.stem if path.suffix.lower() in _MEDIA else text


def read_table(
    location: Location,
    key: str = "clip",
    patterns: Sequence[str] = (),
    names: Sequence[str] | None = None,
) -> Table:
    """Read a table of numbers.

    Parameters
    ----------
    location : Location
        A Parquet file, or UTF-8 text with a header and commas, semicolons or tabs between fields.
    key : str
        The column with names of clips.
    patterns : sequence of str
        Names or patterns of columns; none: all that hold numbers, labels left out.
    names : sequence of str, optional
        These columns, in this order, in place of patterns.

    Raises
    ------
    SourceError
        If it cannot be read, has no such columns, two rows of one clip, or text, gaps or numbers
        that are not finite where numbers belong; naming row and column.
    """
    data = _bytes_of(location)
    if not data.strip():
        raise SourceError(f"{location}: this file is empty; a table of numbers is needed")
    reader = _Parquet if data[:4] == b"PAR1" else _Text
    table = reader(location, data)
    if not table.header:
        raise SourceError(f"{location}: no columns")
    _check_header(location, table.header, key)
    if table.count == 0:
        raise SourceError(f"{location}: a header and no rows; one row a clip is needed")
    chosen = _choose(location, table, key, patterns, names)
    size = 4 * len(chosen) * table.count
    if size > MAX_BYTES:
        raise SourceError(
            f"{location}: {table.count} rows of {len(chosen)} columns are {size} bytes, more than "
            f"{MAX_BYTES}; choose fewer columns, or cut the table"
        )
    rows: dict[str, npt.NDArray[np.float32]] = {}
    places: dict[str, str] = {}
    for place, text, numbers in table.rows(key, chosen):
        name = clip_key(text)
        if not name:
            raise SourceError(
                f"{location}, {place}: column {key} is empty; a clip's name is needed"
            )
        if name in rows:
            raise SourceError(
                f"{location}: {places[name]} and {place} are both of clip {printable(name)}; "
                "one row a clip is needed"
            )
        rows[name], places[name] = numbers, place
    return Table(str(location), tuple(chosen), rows)


def _bytes_of(location: Location) -> bytes:
    version = location.pinned().version
    size = location.size() if version is None else version.size
    data = b"" if size is not None and size > MAX_BYTES else location.read()
    size = max(size or 0, len(data))
    if size > MAX_BYTES:
        raise SourceError(
            f"{location}: {size} bytes, more than {MAX_BYTES}; cut it to the columns and clips "
            "that are needed, or write it as Parquet"
        )
    return data


class _Text:
    """A CSV: its header, and its rows one after another."""

    def __init__(self, location: Location, data: bytes) -> None:
        self._where = location
        try:
            self._text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{location}: not UTF-8 text (byte {error.start}), and not Parquet; save it as "
                "UTF-8 CSV"
            ) from error
        first = self._text.lstrip().partition("\n")[0]
        self._delimiter = max(",;\t", key=first.count)
        self.header = [cell.strip() for _, cells in self._lines(1) for cell in cells]
        self.count = sum(1 for _ in self._lines()) - 1

    def _lines(self, most: int | None = None) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._text, newline=""), delimiter=self._delimiter)
        found = 0
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
                    found += 1
                    if found == most:
                        return
        except csv.Error as error:
            raise SourceError(
                f"{self._where}, line {reader.line_num}: not a well-formed CSV: {error}"
            ) from error

    def _data_lines(self) -> Iterator[tuple[str, list[str]]]:
        lines = self._lines()
        next(lines)
        for line, cells in lines:
            if len(cells) != len(self.header):
                raise SourceError(
                    f"{self._where}, line {line}: {len(cells)} fields, and the header has "
                    f"{len(self.header)}"
                )
            yield f"line {line}", cells

    def number_columns(self) -> set[str]:
        """Columns in which at least one field is a number."""
        waiting = dict(enumerate(self.header))
        found = set()
        for _, cells in self._data_lines():
            for i in [i for i in waiting if _number(cells[i]) is not None]:
                found.add(waiting.pop(i))
            if not waiting:
                break
        return found

    def rows(
        self, key: str, names: Sequence[str]
    ) -> Iterator[tuple[str, str, npt.NDArray[np.float32]]]:
        """Place, clip and numbers of each row."""
        places = [self.header.index(name) for name in names]
        at = self.header.index(key)
        for place, cells in self._data_lines():
            chosen = [cells[i] for i in places]
            try:
                numbers = np.array([float(cell) for cell in chosen])
            except ValueError:
                numbers = np.array([_or_nan(cell) for cell in chosen])
            yield place, cells[at], _checked(self._where, place, names, numbers, chosen)


class _Parquet:
    """A Parquet file: its header, and its rows one after another."""

    def __init__(self, location: Location, data: bytes) -> None:
        self._where = location
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise SourceError(
                f"{location}: a Parquet file needs pyarrow: pip install 'emodask[parquet]'"
            ) from error
        self._damaged = (ArrowException, OSError, ValueError)
        try:
            self._file: Any = ParquetFile(io.BytesIO(data))
        except self._damaged as error:
            raise self._unreadable(error) from error
        self.header = [str(name) for name in self._file.schema_arrow.names]
        self.count = int(self._file.metadata.num_rows)

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self._where}: not a sound Parquet file: {str(error).splitlines()[0]}")

    def number_columns(self) -> set[str]:
        """Columns whose type is a number."""
        from pyarrow import types

        return {
            field.name
            for field in self._file.schema_arrow
            if types.is_integer(field.type)
            or types.is_floating(field.type)
            or types.is_decimal(field.type)
        }

    def rows(
        self, key: str, names: Sequence[str]
    ) -> Iterator[tuple[str, str, npt.NDArray[np.float32]]]:
        """Place, clip and numbers of each row."""
        wanted = {key, *names}
        meta = self._file.metadata
        size = sum(
            column.total_uncompressed_size
            for group in map(meta.row_group, range(meta.num_row_groups))
            for column in map(group.column, range(group.num_columns))
            if column.path_in_schema in wanted
        )
        if size > 4 * MAX_BYTES:
            raise SourceError(
                f"{self._where}: {size} bytes once unpacked, more than {4 * MAX_BYTES}; choose "
                "fewer columns, or cut the table"
            )
        first = 1
        try:
            for batch in self._file.iter_batches(1024, columns=[key, *names]):
                clips = batch.column(0).to_pylist()
                columns = [batch.column(i + 1).to_pylist() for i in range(len(names))]
                for i, clip in enumerate(clips):
                    place = f"row {first + i}"
                    cells = [column[i] for column in columns]
                    numbers = np.array([_or_nan(cell) for cell in cells])
                    checked = _checked(self._where, place, names, numbers, cells)
                    yield place, "" if clip is None else str(clip), checked
                first += len(clips)
        except self._damaged as error:
            raise self._unreadable(error) from error


def _check_header(location: Location, header: Sequence[str], key: str) -> None:
    if key not in header:
        raise SourceError(
            f"{location}: no column {key!r} with the names of clips; there are {_listed(header)}. "
            "The job's key says which column it is"
        )
    twice = (
        {name for name in header if name and header.count(name) > 1}
        if (len(set(header)) < len(header))
        else set()
    )
    if twice:
        raise SourceError(f"{location}: more than one column {min(twice)!r}; rename all but one")


def _choose(
    location: Location,
    table: _Text | _Parquet,
    key: str,
    patterns: Sequence[str],
    names: Sequence[str] | None,
) -> list[str]:
    """The columns of numbers, in the table's order unless their names are given."""
    columns = [name for name in table.header if name and name != key]
    if names is not None:
        absent = [name for name in names if name not in set(columns)]
        if absent:
            raise SourceError(
                f"{location}: {len(absent)} of {len(names)} columns are not there, such as "
                f"{absent[0]!r}; there are {_listed(columns)}"
            )
        return list(names)
    if not patterns:
        numbers = table.number_columns()
        chosen = [name for name in columns if name in numbers and name.lower() not in LABELS]
        if not chosen:
            raise SourceError(
                f"{location}: no column holds numbers that are no labels; there are "
                f"{_listed(columns)}"
            )
        return chosen
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in columns):
            raise SourceError(
                f"{location}: no column is named {pattern!r}, as the job's columns say; there are "
                f"{_listed(columns)}"
            )
    return [name for name in columns if any(_matches(name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    if name == pattern:
        return True
    return name.lower() not in LABELS and fnmatchcase(name, pattern)


def _checked(
    location: Location,
    place: str,
    names: Sequence[str],
    numbers: npt.NDArray[np.float64],
    cells: Sequence[Any],
) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        row = numbers.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(row))
    if wrong.size:
        i = int(wrong[0])
        cell = cells[i]
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            found = "is empty"
        else:
            found = f"is {printable(str(cell))[:40]!r}"
        raise SourceError(
            f"{location}, {place}: column {names[i]} {found}; a finite number is needed. Fill or "
            "drop such rows, or choose other columns"
        )
    return row


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _or_nan(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "none"
