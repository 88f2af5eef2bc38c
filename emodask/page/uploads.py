"""Uploads: one file of a form, written as it arrives, never more than is allowed, deleted after."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

FIELD = "file"
"""The form's field that holds the recording."""

_MOST_PARTS = 20
_LONGEST_HEADER = 1000
_FORM_SLACK = 64 << 10
"""Bytes of a form beside the file: boundaries, headers, small fields."""


class UploadTooLarge(Exception):
    """More bytes came than may."""


class NoUpload(Exception):
    """What came holds no recording; the message says what would be right."""


@dataclass(frozen=True)
class Upload:
    """A recording on disk, and what the person calls it."""

    file: Path
    name: str


class UploadFolder:
    """A folder that nobody else may look into; it is gone when the program ends.

    Attributes
    ----------
    path : Path
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="emodask-page-")  # mode 0700
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Delete it with all that is in it."""
        self._folder.cleanup()

    @contextlib.contextmanager
    def file(self) -> Iterator[Path]:
        """A file of a name of its own, deleted afterwards whatever happens."""
        handle, name = tempfile.mkstemp(dir=self.path)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


async def receive_upload(
    content_type: str,
    body: AsyncIterator[bytes],
    target: Path,
    max_upload: int,
    field: str = FIELD,
) -> Upload:
    """Write the file of a form to disk while it arrives.

    Parameters
    ----------
    content_type : str
        The request's header: ``multipart/form-data`` with its boundary.
    body : async iterator of bytes
    target : Path
        Where the file is written.
    max_upload : int
        Bytes that it may have.
    field : str
        Of the form; others, and all but the first of it, are left out.

    Raises
    ------
    UploadTooLarge, NoUpload
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise NoUpload(
            f"Send the recording as the field {field!r} of a form (multipart/form-data)."
        )
    with target.open("wb") as file:
        form = _Form(file, max_upload, field)
        try:
            parser = MultipartParser(options[b"boundary"], form.callbacks())
            total = 0
            async for piece in body:
                total += len(piece)
                if total > max_upload + _FORM_SLACK:
                    raise UploadTooLarge
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise NoUpload(f"The form cannot be read: {error}.") from error
    if not form.complete:
        raise NoUpload(f"The form holds no whole file in its field {field!r}.")
    return Upload(target, form.name)


class _Form:
    """What a form's parts turn out to be as they arrive."""

    def __init__(self, file: IO[bytes], max_upload: int, field: str) -> None:
        self.name = "recording"
        self._name = field.encode()
        self.complete = False
        self._file = file
        self._left = max_upload
        self._field = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._wanted = False
        self._parts = 0

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise NoUpload(f"The form has more than {_MOST_PARTS} parts; one recording is needed.")
        self._headers, self._wanted = {}, False
        self._field = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if len(self._value) > _LONGEST_HEADER:
            raise NoUpload("A part of the form has a header that is too long.")
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._wanted = options.get(b"name") == self._name and not self.complete
        if self._wanted and b"filename" in options:
            self.name = shown_name(options[b"filename"].decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._wanted:
            return
        self._left -= end - start
        if self._left < 0:
            raise UploadTooLarge
        self._file.write(data[start:end])

    def _end(self) -> None:
        self.complete = self.complete or self._wanted


def shown_name(name: str) -> str:
    """A file's name without its folders and without what no screen shows, 100 letters at most.

    Examples
    --------
    >>> shown_name("C:\\\\me\\\\my talk.mp4"), shown_name("../../etc/passwd"), shown_name("")
    ('my talk.mp4', 'passwd', 'recording')
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[-100:] or "recording"
