"""A bucket to download to: an upload for each file, completed only when its bytes are right.

Nothing is kept on this machine's disk. A broken connection goes on where it broke while the run
lasts; a run that ended leaves nothing that a later one could check: that file begins anew.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import Any

from emodask.errors import DownloadError, UsageError
from emodask.scrubbing import clean_cause
from emodask.sources.download.record import PART, RemoteFile
from emodask.sources.location import StorageOptions, open_filesystem, reason, redact

_BLOCK = 16 << 20
"""Bytes of one part of an upload; at most one is in memory for each file in flight."""

_COMPLETE_AT_CLOSE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
"""Stores that show an object when its upload is completed; elsewhere a rename does that."""


class Bucket:
    """A folder of any file system that fsspec writes to."""

    resumes = False

    def __init__(self, url: str, options: StorageOptions | None = None) -> None:
        self._url = url.rstrip("/")
        if self._url.startswith(("http://", "https://")):
            raise UsageError(f"{self}: cannot be written to; pass a folder or a bucket")
        self._fs, path = open_filesystem(self._url, options)
        self._root = path.rstrip("/")

    def __str__(self) -> str:
        return redact(self._url)

    def free(self) -> int | None:
        """There is no telling how much a bucket takes."""
        return None

    def require_writable(self) -> None:
        """There is no telling before the first upload."""

    def path(self, file: RemoteFile) -> str:
        """Where a file lies in the bucket."""
        return f"{self._root}/{file.name}"

    def holds(self, file: RemoteFile) -> bool:
        """Whether the object is there and right, by its size and MD5.

        The store's own MD5 is taken where it has one; otherwise the object is read.
        """
        path = self.path(file)
        try:
            self._fs.invalidate_cache()
            info = self._fs.info(path)
            if info.get("type") != "file" or info.get("size") != file.size:
                return False
            if file.md5 in _stored_md5(info):
                return True
            md5 = hashlib.md5(usedforsecurity=False)
            with self._fs.open(path, "rb", block_size=_BLOCK, cache_type="readahead") as stream:
                while block := stream.read(_BLOCK):
                    md5.update(block)
            return md5.hexdigest() == file.md5
        except FileNotFoundError:
            return False
        except Exception as error:  # each protocol has errors of its own
            raise DownloadError(f"{self}/{file}: cannot be read: {reason(error)}") from clean_cause(
                error
            )

    def partial(self, file: RemoteFile) -> int:
        """Nothing: an earlier run's upload cannot be checked."""
        return 0

    def open(self, file: RemoteFile) -> BucketSink:
        """Begin the upload of a file."""
        protocol = self._url.partition("://")[0]
        return BucketSink(
            self._fs, self.path(file), f"{self}/{file}", rename=protocol not in _COMPLETE_AT_CLOSE
        )


def _stored_md5(info: dict[str, Any]) -> set[str]:
    """What the store says of an object that may be its MD5; nothing else looks like one."""
    found = {str(info.get("ETag", "")).strip('"').lower()}
    settings = info.get("content_settings") or {}
    for value in (info.get("md5Hash"), settings.get("content_md5")):
        try:
            raw = base64.b64decode(value) if isinstance(value, str) else bytes(value or b"")
        except ValueError:
            continue
        found.add(raw.hex())
    return found


class BucketSink:
    """One file on its way into a bucket."""

    def __init__(self, fs: Any, path: str, name: str, rename: bool) -> None:
        self._fs = fs
        self._path = path
        self._name = name
        # Two downloads at once must not share what they write.
        self._written = f"{path}.{uuid.uuid4().hex[:8]}{PART}" if rename else path
        self._rename = rename
        self._stream: Any = None
        self._begin()

    def _begin(self) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)
        self.offset = 0
        self.etag: str | None = None
        self._stream = None

    def md5(self) -> str:
        """Of the bytes so far."""
        return self._hash.hexdigest()

    def write(self, block: bytes) -> None:
        """Append bytes to the upload."""
        try:
            if self._stream is None:
                self._stream = self._open()
            self._stream.write(block)
        except Exception as error:
            raise DownloadError(
                f"{self._name}: cannot be written: {reason(error)}"
            ) from clean_cause(error)
        self._hash.update(block)
        self.offset += len(block)

    def _open(self) -> Any:
        if self._rename:
            self._fs.makedirs(self._fs._parent(self._written), exist_ok=True)
        return self._fs.open(self._written, "wb", block_size=_BLOCK)

    def restart(self) -> None:
        """Abort the upload; the next byte begins another."""
        self.close()
        self._begin()

    def tag(self, etag: str | None) -> None:
        """Note which version the bytes to come are of."""
        self.etag = etag

    def finish(self) -> None:
        """Complete the upload: the object appears at once and whole."""
        try:
            if self._stream is None:
                self._stream = self._open()
            self._stream.close()
            if self._rename:
                self._fs.mv(self._written, self._path)
        except Exception as error:
            raise DownloadError(
                f"{self._name}: cannot be written: {reason(error)}"
            ) from clean_cause(error)
        self._stream = None
        self._fs.invalidate_cache()

    def close(self) -> None:
        """Abort the upload if it is not complete; the store keeps none of its bytes."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            if self._rename:
                stream.close()
                self._fs.rm_file(self._written)
            else:
                stream.discard()
        except Exception:  # the store went away: its own clean-up of old uploads does the rest
            pass
        finally:
            if not self._rename:
                # A file that believes to be open would be completed when it is collected.
                stream.closed = True
