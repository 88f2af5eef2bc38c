"""A Zarr store that asks again when what failed may pass, and says what lasts, and where."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from zarr.abc.store import Store as ZarrStore
from zarr.storage import LocalStore, WrapperStore

from emodask.errors import EmodaskError, StoreError, UnreachableStoreError
from emodask.scrubbing import clean_cause
from emodask.sources.faults import is_full, is_transient, reason
from emodask.sources.retry import retrying_async
from emodask.store.ending import end_loop

if TYPE_CHECKING:
    from typing import Self

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

_TIME_LIMIT = 300.0
"""Seconds that one chunk may take on its way, before it counts as lost."""

Result = TypeVar("Result")


class RetryingStore(WrapperStore[ZarrStore]):
    """Reads and writes of another store, each repeated while its error is one that may pass.

    Every request is for whole objects, so repeating one changes nothing that it has done.

    Parameters
    ----------
    store : zarr.abc.store.Store
    address : str
        How errors call it; no credentials in it.
    """

    def __init__(self, store: ZarrStore, address: str) -> None:
        super().__init__(store)
        self.address = address

    def _with_store(self, store: ZarrStore) -> Self:
        return type(self)(store, self.address)

    def __repr__(self) -> str:
        """Show the address alone: options may hold secrets."""
        return f"RetryingStore({self.address!r})"

    __str__ = __repr__

    async def _asking(self, key: str, failed: str, call: Callable[[], Awaitable[Result]]) -> Result:
        # A disk's request cannot be abandoned: the thread would go on writing.
        limit = None if isinstance(self._store, LocalStore) else _TIME_LIMIT
        try:
            return await retrying_async(call, limit)
        except EmodaskError:
            raise
        except Exception as error:
            if not _of_storage(error):
                raise
            where = f"{self.address}/{key}" if key else self.address
            passing = is_transient(error) or is_full(error)
            kind = UnreachableStoreError if passing else StoreError
            raise kind(f"{where}: {failed}: {reason(error)}") from clean_cause(error)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of a key, None if it is absent."""
        return await self._asking(
            key, "cannot be read", lambda: self._store.get(key, prototype, byte_range)
        )

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Parts of several keys."""
        wanted = list(key_ranges)
        return await self._asking(
            "", "cannot be read", lambda: self._store.get_partial_values(prototype, wanted)
        )

    async def _get_many(self, requests: Any) -> Any:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether a key is there."""
        return await self._asking(key, "cannot be read", lambda: self._store.exists(key))

    async def getsize(self, key: str) -> int:
        """Bytes of a key; FileNotFoundError if it is absent, as zarr expects."""

        async def size() -> int | FileNotFoundError:
            try:
                return await self._store.getsize(key)
            except FileNotFoundError as absent:
                return absent

        found = await self._asking(key, "cannot be read", size)
        if isinstance(found, FileNotFoundError):
            raise found
        return found

    async def is_empty(self, prefix: str) -> bool:
        """Whether nothing lies below a prefix."""
        found = await self._asking(prefix, "cannot be listed", lambda: self._store.is_empty(prefix))
        self._forget_listings()
        return found

    async def set(self, key: str, value: Buffer) -> None:
        """Put one object, whole."""
        await self._asking(key, "cannot be written", lambda: self._store.set(key, value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Put one object unless it is there."""
        await self._asking(
            key, "cannot be written", lambda: self._store.set_if_not_exists(key, value)
        )

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await asyncio.gather(*(self.set(key, value) for key, value in values))

    async def delete(self, key: str) -> None:
        """Remove one object."""
        await self._asking(key, "cannot be deleted", lambda: self._store.delete(key))

    async def delete_dir(self, prefix: str) -> None:
        """Remove all below a prefix."""
        await self._asking(prefix, "cannot be deleted", lambda: self._store.delete_dir(prefix))

    async def clear(self) -> None:
        """Remove all."""
        await self._asking("", "cannot be deleted", self._store.clear)
        self._forget_listings()

    async def list(self) -> AsyncIterator[str]:
        """All keys."""
        for key in await self._all("", self._store.list):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys below a prefix."""
        for key in await self._all(prefix, lambda: self._store.list_prefix(prefix)):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Keys and folders right below a prefix."""
        for key in await self._all(prefix, lambda: self._store.list_dir(prefix)):
            yield key

    async def _all(self, prefix: str, listing: Callable[[], AsyncIterator[str]]) -> Iterable[str]:
        async def whole() -> tuple[str, ...]:
            return tuple([key async for key in listing()])

        found = await self._asking(prefix, "cannot be listed", whole)
        self._forget_listings()
        return found

    def _forget_listings(self) -> None:
        """Let no listing hide the chunks that other processes write afterwards.

        s3fs looks into the listings that it remembers before it reads, and takes what is not in
        them for absent: zarr would read it as rows still to be computed.
        """
        fs = getattr(self._store, "fs", None)
        if fs is not None:
            fs.invalidate_cache()


# Registered after zarr's own, so called before it.
atexit.register(end_loop)


def _of_storage(error: Exception) -> bool:
    """Whether an error is a disk's or a server's; zarr's own, and mistakes in code, are not."""
    origin = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or origin not in ("builtins", "zarr")
