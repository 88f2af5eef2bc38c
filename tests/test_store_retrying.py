"""Promises of the store's requests: repeated while they may succeed, and said where they fail."""

from __future__ import annotations

import asyncio
import copy
import errno
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from emodask.errors import StoreError, UnreachableStoreError
from emodask.sources import retry
from emodask.store import StoreAddress
from emodask.store.retrying import RetryingStore

PROTOTYPE = default_buffer_prototype()
BUSY = OSError(errno.EIO, "the server is busy")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)


class Faulty(WrapperStore[MemoryStore]):
    """A store in memory whose first requests of each kind fail."""

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__(MemoryStore())
        self.error, self.times = error, times
        self.asked: Counter[tuple[str, str]] = Counter()

    def _with_store(self, store: MemoryStore) -> Faulty:
        view = copy.copy(self)
        view._store = store
        return view

    def ask(self, request: str, key: str) -> None:
        self.asked[request, key] += 1
        if self.asked[request, key] <= self.times:
            raise self.error

    async def get(self, key: str, *more: Any) -> Any:
        self.ask("get", key)
        return await super().get(key, *more)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
        self.ask("get", "several")
        return await super().get_partial_values(prototype, key_ranges)

    async def exists(self, key: str) -> bool:
        self.ask("exists", key)
        return await super().exists(key)

    async def getsize(self, key: str) -> int:
        self.ask("getsize", key)
        return await self._store.getsize(key)

    async def is_empty(self, prefix: str) -> bool:
        self.ask("is_empty", prefix)
        return await super().is_empty(prefix)

    async def set(self, key: str, value: Any) -> None:
        if self.asked["set", key] == 0:
            await super().set(key, value)  # done, and its answer is lost
        self.ask("set", key)
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        self.ask("set_if_not_exists", key)
        await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        self.ask("delete", key)
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        self.ask("delete_dir", prefix)
        await super().delete_dir(prefix)

    async def clear(self) -> None:
        self.ask("clear", "")
        await super().clear()

    async def list(self) -> AsyncIterator[str]:  # type: ignore[override]
        async for key in self.breaks("list", "", self._store.list()):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:  # type: ignore[override]
        async for key in self.breaks("list_prefix", prefix, self._store.list_prefix(prefix)):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:  # type: ignore[override]
        async for key in self.breaks("list_dir", prefix, self._store.list_dir(prefix)):
            yield key

    async def breaks(self, request: str, prefix: str, keys: AsyncIterator[str]) -> Any:
        """The first key, then the error: a listing may fail at its second page."""
        first = True
        async for key in keys:
            yield key
            if first:
                self.ask(request, prefix)
            first = False


def faulty(error: Exception = BUSY, times: int = retry.TRIES - 1) -> tuple[Faulty, RetryingStore]:
    inner = Faulty(error, times)
    return inner, RetryingStore(inner, "s3://bucket/s.zarr")


async def keys_of(listing: AsyncIterator[str]) -> list[str]:
    return sorted([key async for key in listing])


async def every_request(store: RetryingStore) -> None:
    """Each kind of request once, with what it has to give."""
    value = PROTOTYPE.buffer.from_bytes(b"features")
    await store.set("a/c/0", value)
    await store.set_if_not_exists("a/c/0", PROTOTYPE.buffer.from_bytes(b"other"))
    await store.set("a/c/1", value)
    found = await store.get("a/c/0", PROTOTYPE)
    assert found is not None
    assert found.to_bytes() == b"features"
    assert await store.get("absent", PROTOTYPE) is None
    several = await store.get_partial_values(PROTOTYPE, [("a/c/0", None), ("absent", None)])
    assert [part and part.to_bytes() for part in several] == [b"features", None]
    assert await store.exists("a/c/0")
    assert await store.getsize("a/c/0") == 8
    with pytest.raises(FileNotFoundError):
        await store.getsize("absent")
    assert not await store.is_empty("")
    assert await keys_of(store.list()) == ["a/c/0", "a/c/1"]
    assert await keys_of(store.list_prefix("a/")) == ["a/c/0", "a/c/1"]
    assert await keys_of(store.list_dir("a/c")) == ["0", "1"]
    await store.delete("a/c/0")
    assert await keys_of(store.list()) == ["a/c/1"]
    await store.delete_dir("a")
    assert await keys_of(store.list()) == []
    await store.clear()


def test_every_request_is_repeated_until_it_succeeds():
    inner, store = faulty()
    asyncio.run(every_request(store))
    assert set(inner.asked.values()) <= {retry.TRIES, retry.TRIES + 1, retry.TRIES + 2}
    assert {request for request, _ in inner.asked} >= {
        *("get", "exists", "getsize", "is_empty", "set", "set_if_not_exists"),
        *("delete", "delete_dir", "clear", "list", "list_prefix", "list_dir"),
    }


REQUESTS = {
    "get": lambda store: store.get("k", PROTOTYPE),
    "exists": lambda store: store.exists("k"),
    "getsize": lambda store: store.getsize("k"),
    "set": lambda store: store.set("k", PROTOTYPE.buffer.from_bytes(b"x")),
    "delete": lambda store: store.delete("k"),
    "is_empty": lambda store: store.is_empty("k"),
    "delete_dir": lambda store: store.delete_dir("k"),
}


@pytest.mark.parametrize("request_", REQUESTS)
def test_an_outage_is_said_with_the_object_and_may_pass(request_):
    inner, store = faulty(times=99)
    with pytest.raises(UnreachableStoreError) as caught:
        asyncio.run(REQUESTS[request_](store))
    said = str(caught.value)
    assert said.startswith("s3://bucket/s.zarr/k: cannot be ")
    assert said.endswith(": the server is busy")
    assert caught.value.exit_code == 1
    assert inner.asked[request_, "k"] == retry.TRIES


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        # Room can be made while the run goes on, and a later run finds the rows still to be done.
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (OSError(errno.EROFS, "Read-only file system"), False),
    ],
    ids=lambda value: value.strerror if isinstance(value, OSError) else "",
)
def test_a_full_or_forbidden_disk_is_said_after_one_try(error, may_pass):
    inner, store = faulty(error, times=99)
    with pytest.raises(StoreError, match=error.strerror.lower()) as caught:
        asyncio.run(REQUESTS["set"](store))
    assert isinstance(caught.value, UnreachableStoreError) == may_pass
    assert inner.asked["set", "k"] == 1


@pytest.mark.parametrize("error", [ValueError("read-only store"), KeyError("k")], ids=str)
def test_mistakes_are_not_taken_for_faults_of_the_storage(error):
    inner, store = faulty(error, times=99)
    with pytest.raises(type(error)):
        asyncio.run(REQUESTS["set"](store))
    assert inner.asked["set", "k"] == 1


def test_an_array_is_written_and_read_through_faults():
    inner, store = faulty(times=2)
    values = np.arange(60.0).reshape(12, 5)
    array = zarr.create_array(store, shape=values.shape, chunks=(3, 5), dtype="f8")
    array[:] = values
    assert (zarr.open_array(store, mode="r")[:] == values).all()
    assert inner.asked["set", "c/0/0"] == 3


def test_a_request_that_hangs_is_given_up_and_made_again(monkeypatch):
    monkeypatch.setattr("emodask.store.retrying._TIME_LIMIT", 0.05)
    calls = []

    class Hanging(WrapperStore[MemoryStore]):
        async def get(self, key: str, *more: Any) -> Any:
            calls.append(key)
            if len(calls) == 1:
                await asyncio.Event().wait()
            return await super().get(key, *more)

    store = RetryingStore(Hanging(MemoryStore()), "s3://bucket")
    assert asyncio.run(store.get("k", PROTOTYPE)) is None
    assert calls == ["k", "k"]


def test_what_a_store_shows_of_itself_has_no_options_in_it(tmp_path: Path):
    address = StoreAddress.of("memory://bucket/s.zarr", {"memory:token": "planted"})
    for shown in (address.zarr_store, lambda: RetryingStore(LocalStore(tmp_path), "there")):
        try:
            text = f"{shown()!r} {shown()}"
        except StoreError as error:
            text = str(error)
        assert "planted" not in text
        assert "bucket" in text or "there" in text


def test_a_read_only_view_asks_again_too():
    inner = MemoryStore()
    view = RetryingStore(inner, "memory://x").with_read_only(True)
    assert isinstance(view, RetryingStore)
    assert view.read_only
    assert view.address == "memory://x"
