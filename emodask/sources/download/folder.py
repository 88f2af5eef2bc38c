"""A local folder to download to: partial files that a later run goes on with, locked while written.

``NAME.part`` holds the bytes so far, ``NAME.part.json`` which version they are of. The part becomes
``NAME`` by a rename, after all its bytes have the right MD5.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from emodask.errors import DownloadError, UsageError
from emodask.sources.download.record import PART, RemoteFile
from emodask.sources.location import reason

_BLOCK = 1 << 20
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""Some clusters' file systems are mounted without locks: there nobody is kept apart."""


class Folder:
    """A folder that files are downloaded to; made when the first file comes."""

    resumes = True

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser().absolute()
        there = self._nearest()
        if not there.is_dir():
            raise UsageError(f"{there}: a file, not a folder to download to")

    def __str__(self) -> str:
        return str(self.path)

    def free(self) -> int | None:
        """Free bytes of the disk that the folder is on, or will be."""
        return shutil.disk_usage(self._nearest()).free

    def _nearest(self) -> Path:
        return next(place for place in (self.path, *self.path.parents) if place.exists())

    def require_writable(self) -> None:
        """Refuse a folder that cannot be written to, before anything is fetched."""
        there = self._nearest()
        if not os.access(there, os.W_OK | os.X_OK):
            raise DownloadError(f"{there}: you have no permission to write here")

    def holds(self, file: RemoteFile) -> bool:
        """Whether the file is there and right, by its size and MD5."""
        path = self.path / file.name
        try:
            if path.is_dir():
                raise DownloadError(f"{path}: a folder, where a file of this name is to be")
            if not path.is_file() or path.stat().st_size != file.size:
                return False
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, _md5).hexdigest() == file.md5
        except OSError as error:
            raise DownloadError(f"{path}: cannot be read: {reason(error)}") from error

    def partial(self, file: RemoteFile) -> int:
        """Bytes of the file that lie in a part of the same version."""
        part = self.path / (file.name + PART)
        try:
            size = part.stat().st_size
        except OSError:
            return 0
        return size if size <= file.size and _notes(part).get("md5", file.md5) == file.md5 else 0

    def open(self, file: RemoteFile) -> FolderSink:
        """Lock the part of a file, and go on with it or begin it.

        Raises
        ------
        DownloadError
            If another process is writing it, or the folder cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return FolderSink(self.path / file.name, file)
        except OSError as error:
            raise DownloadError(f"{self.path}: cannot be written to: {reason(error)}") from error


class FolderSink:
    """One file on its way into a folder."""

    def __init__(self, target: Path, file: RemoteFile) -> None:
        self._target = target
        self._part = target.with_name(target.name + PART)
        self._notes = _notes_path(self._part)
        self._file = file
        self._fd = _lock(self._part)
        try:
            self._hash = _md5()
            self.offset = os.fstat(self._fd).st_size
            notes = _notes(self._part)
            self.etag: str | None = notes.get("etag")
            if self.offset > file.size or notes.get("md5", file.md5) != file.md5:
                self.restart()
            else:
                self._hash_what_is_there()
        except BaseException:
            self.close()
            raise

    def _hash_what_is_there(self) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        hashed = 0
        while block := os.read(self._fd, _BLOCK):
            self._hash.update(block)
            hashed += len(block)
        self.offset = hashed

    def md5(self) -> str:
        """Of all bytes so far, those of earlier runs included."""
        return str(self._hash.hexdigest())

    def write(self, block: bytes) -> None:
        """Append bytes; they outlive this process at once."""
        left = memoryview(block)
        try:
            while left:
                written = os.write(self._fd, left)
                self._hash.update(left[:written])
                self.offset += written
                left = left[written:]
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def restart(self) -> None:
        """Forget the bytes so far."""
        self._notes.unlink(missing_ok=True)
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = _md5()
        self.offset, self.etag = 0, None

    def tag(self, etag: str | None) -> None:
        """Note which version the bytes to come are of, before they come."""
        if etag == self.etag and self._notes.exists():
            return
        draft = self._notes.with_suffix(".draft")
        try:
            draft.write_text(json.dumps({"md5": self._file.md5, "etag": etag}))
            draft.replace(self._notes)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _unwritable(self._notes, error) from error
        self.etag = etag

    def finish(self) -> None:
        """Put the file under its final name, safe from a power cut too."""
        try:
            os.fsync(self._fd)
            self._notes.unlink(missing_ok=True)
            self._part.replace(self._target)
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _unwritable(self._target, error) from error

    def close(self) -> None:
        """Unlock the part; a later run goes on with it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _lock(part: Path) -> int:
    """Open a part for this process alone; the lock ends with the process, however that ends."""
    import fcntl

    while True:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last owner may have renamed it between our opening and locking it.
            if _is_at(fd, part):
                return fd
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return fd
            os.close(fd)
            if isinstance(error, BlockingIOError):
                raise DownloadError(
                    f"{part}: another download is writing it; wait for that one, or stop it"
                ) from None
            raise
        os.close(fd)


def _unwritable(path: Path, error: OSError) -> DownloadError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DownloadError(
        f"{path}: cannot be written: {'the disk is full' if full else reason(error)}"
    )


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _notes_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _notes(part: Path) -> dict[str, Any]:
    try:
        found = json.loads(_notes_path(part).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("etag"), str | None):
        return {}
    return found


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
