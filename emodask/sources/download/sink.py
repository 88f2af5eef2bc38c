"""What a download needs of the place that it writes to, be it a folder or a bucket."""

from __future__ import annotations

from typing import Protocol

from emodask.sources.download.record import RemoteFile


class Sink(Protocol):
    """One file being written; nothing lies under its final name before :meth:`finish`.

    Attributes
    ----------
    offset : int
        Bytes that are there already: where to go on.
    etag : str or None
        The server's tag of the version that those bytes are of.
    """

    offset: int
    etag: str | None

    def md5(self) -> str:
        """Of the bytes so far."""
        ...

    def write(self, block: bytes) -> None:
        """Append bytes."""
        ...

    def restart(self) -> None:
        """Forget the bytes so far."""
        ...

    def tag(self, etag: str | None) -> None:
        """Note which version the bytes to come are of."""
        ...

    def finish(self) -> None:
        """Put the file under its final name, at once and whole."""
        ...

    def close(self) -> None:
        """Let go of the file: what was not finished is kept for later, or leaves no trace."""
        ...


class Place(Protocol):
    """A folder or a bucket."""

    resumes: bool
    """Whether a later run goes on with a partial file of this one."""

    def __str__(self) -> str: ...

    def free(self) -> int | None:
        """Bytes that fit, or None where there is no telling."""
        ...

    def require_writable(self) -> None:
        """Refuse a place that is known not to take any file."""
        ...

    def holds(self, file: RemoteFile) -> bool:
        """Whether the file is there and right, by its size and MD5."""
        ...

    def partial(self, file: RemoteFile) -> int:
        """Bytes of the file that need not be fetched again."""
        ...

    def open(self, file: RemoteFile) -> Sink:
        """Begin the file, or go on with it."""
        ...
