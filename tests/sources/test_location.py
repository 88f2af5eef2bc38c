"""Promises of locations: nothing lost in a listing, no short reads, options where they belong."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from emodask.errors import SourceError, UnreachableError, UsageError
from emodask.sources import retry
from emodask.sources.addresses import options_for
from emodask.sources.listing import files_matching
from emodask.sources.location import Location, expand

FILES = {
    "b/a.zip": b"0123456789",
    "b/one/x.zip": b"",
    "b/one/y.wav": b"",
    "b/two/x.zip": b"",
    "b/two/deep/x.zip": b"",
    "b/[three]/x.zip": b"",
}


@dataclass
class Trouble:
    """What befalls requests, and how many there were of each kind and path."""

    fails: Callable[[str, str], Exception | None] = lambda request, path: None
    cuts: list[int] = field(default_factory=list)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)


class Unsteady(MemoryFileSystem):
    """A file system in memory whose requests fail as a test wants them to."""

    protocol = "unsteady"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    trouble: ClassVar[Trouble] = Trouble()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.removeprefix("unsteady://")))

    def _ask(self, request: str, path: str) -> None:
        plain = self._strip_protocol(path).strip("/")
        self.trouble.asked[request, plain] += 1
        error = self.trouble.fails(request, plain)
        if error:
            raise error

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        self._ask("ls", path)
        return super().ls(path, detail=detail, **kwargs)

    def info(self, path: str, **kwargs: Any) -> Any:
        self._ask("info", path)
        return super().info(path, **kwargs)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        self._ask("cat", path)
        data = bytes(super().cat_file(path, start, end, **kwargs))
        return data[: len(data) - (self.trouble.cuts.pop(0) if self.trouble.cuts else 0)]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """The files on an unsteady file system, with no trouble yet."""
    fsspec.register_implementation("unsteady", Unsteady, clobber=True)
    Unsteady.store.clear()
    Unsteady.pseudo_dirs[:] = [""]
    fs = Unsteady()
    for path, data in FILES.items():
        fs.pipe_file(path, data)
    found = Trouble()
    monkeypatch.setattr(Unsteady, "trouble", found)
    return found


def failing(trouble: Trouble, request: str, path: str, times: int) -> None:
    """Let the first requests of a kind for a path meet a server in trouble."""

    def fails(asked: str, where: str) -> Exception | None:
        early = trouble.asked[request, path] <= times
        return OSError(errno.EIO, "busy") if (asked, where) == (request, path) and early else None

    trouble.fails = fails
    trouble.asked.clear()


def names(source: str) -> list[str]:
    return [location.url.partition("://")[2].strip("/") for location in expand(source)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("b", sorted(FILES)),
        ("b/*.zip", ["b/a.zip"]),
        ("b/*/*.zip", ["b/[three]/x.zip", "b/one/x.zip", "b/two/x.zip"]),
        ("b/**/x.zip", ["b/[three]/x.zip", "b/one/x.zip", "b/two/deep/x.zip", "b/two/x.zip"]),
        ("b/o*/?.*", ["b/one/x.zip", "b/one/y.wav"]),
        ("b/t[uvw]o/x.zip", ["b/two/x.zip"]),
        ("b/one/y.wav", ["b/one/y.wav"]),
    ],
)
def test_a_folder_or_pattern_names_the_files_that_fsspec_finds(trouble, source, found):
    assert names(f"unsteady://{source}") == found


def test_a_pattern_looks_only_where_it_can_match(trouble):
    assert files_matching(Unsteady(), "/b/o*/*.zip") == ["/b/one/x.zip"]
    assert [path for request, path in trouble.asked if request == "ls"] == ["b", "b/one"]


@pytest.mark.parametrize("source", ["b", "b/*/*.zip", "b/**/*.zip"])
@pytest.mark.parametrize("folder", ["b", "b/one"])
def test_a_listing_that_fails_is_asked_for_again_and_never_taken_for_an_empty_one(
    trouble, source, folder
):
    whole = names(f"unsteady://{source}")
    failing(trouble, "ls", folder, times=2)
    assert names(f"unsteady://{source}") == whole
    assert trouble.asked["ls", folder] == 3
    failing(trouble, "ls", folder, times=99)
    with pytest.raises(UnreachableError, match=r"cannot be listed: busy"):
        expand(f"unsteady://{source}")
    assert trouble.asked["ls", folder] == retry.TRIES


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_an_absent_one(trouble):
    failing(trouble, "info", "b/a.zip", times=99)
    with pytest.raises(UnreachableError, match=r"a\.zip: cannot be listed"):
        expand("unsteady://b/a.zip")
    trouble.fails = lambda *_: PermissionError("no")
    trouble.asked.clear()
    with pytest.raises(SourceError) as caught:
        expand("unsteady://b/a.zip")
    assert not isinstance(caught.value, UnreachableError)
    assert trouble.asked["info", "b/a.zip"] == 1


def test_what_is_not_there_is_said(trouble):
    for source, said in {
        "b/absent.zip": "no such file or folder",
        "b/*.none": "nothing matches this pattern",
        "absent/*.zip": "nothing matches this pattern",
    }.items():
        with pytest.raises(SourceError, match=said):
            expand(f"unsteady://{source}")


def test_an_answer_cut_short_is_asked_for_again_until_all_bytes_are_there(trouble):
    trouble.cuts = [3, 1, 0]
    where = Location("unsteady://b/a.zip")
    assert where.read(2, 8) == b"234567"
    assert trouble.cuts == []
    trouble.cuts = [4] * retry.TRIES
    trouble.asked.clear()
    with pytest.raises(UnreachableError, match=r"got 2 of 6 bytes; the answer was cut short"):
        where.read(2, 8)
    assert trouble.asked["cat", "b/a.zip"] == retry.TRIES


def test_the_end_of_a_file_is_no_answer_cut_short(trouble):
    where = Location("unsteady://b/a.zip")
    assert where.read(7, 99) == b"789"
    assert trouble.asked["cat", "b/a.zip"] == 1
    assert where.size() == 10
    assert where.pinned() == where


def test_names_with_brackets_are_taken_as_they_are_on_a_disk(tmp_path):
    odd = tmp_path / "a[1].zip"
    odd.write_bytes(b"")
    assert [location.url for location in expand(str(odd))] == [str(odd)]


def test_what_is_no_file_on_a_disk_is_left_out(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "link.zip").symlink_to(tmp_path / "a.zip")
    (tmp_path / "gone.zip").symlink_to(tmp_path / "absent.zip")
    (tmp_path / "round.zip").symlink_to(tmp_path)
    found = [tmp_path / "a.zip", tmp_path / "gone.zip", tmp_path / "link.zip"]
    for source in (tmp_path, tmp_path / "*.zip"):
        assert [Path(location.url) for location in expand(str(source))] == found


def test_linked_folders_are_listed_once_and_circles_are_not_walked(tmp_path):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    for folder in (elsewhere, here):
        folder.mkdir()
    (elsewhere / "a.wav").write_bytes(b"")
    (elsewhere / "back").symlink_to(here)
    (here / "Actor_01").symlink_to(elsewhere)
    (here / "self").symlink_to(here)
    found = [here / "Actor_01" / "a.wav"]
    for source in (here, here / "*" / "*.wav"):
        assert [Path(location.url) for location in expand(str(source))] == found


GIVEN = {"anon": True, "s3:key": "me", "abfs:account_name": "acc", "http:headers": {"A": "b"}}


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("/data/a.zip", {}),
        ("file:///data/a.zip", {}),
        ("memory://a.zip", {}),
        ("s3://b/a.zip", {"anon": True, "key": "me"}),
        ("s3a://b/a.zip", {"anon": True, "key": "me"}),
        ("az://b/a.zip", {"anon": True, "account_name": "acc"}),
        ("gs://b/a.zip", {"anon": True}),
        ("https://host/a.zip", {"anon": True, "headers": {"A": "b"}}),
        ("zip://x.wav::s3://b/a.zip", {"s3": {"anon": True, "key": "me"}}),
        ("zip::/data/a.zip", {}),
    ],
)
def test_options_reach_the_addresses_that_they_are_meant_for(url, meant):
    assert options_for(url, GIVEN) == meant


def test_an_option_for_a_protocol_outranks_one_for_all():
    given = {"key": "all", "s3:key": "mine"}
    assert options_for("s3://b/a", given) == {"key": "mine"}
    assert options_for("gs://b/a", given) == {"key": "all"}
    assert options_for("s3://b/a", None) == {}


@pytest.mark.parametrize("name", ["nowhere:key", "s3:", ":key"])
def test_an_option_for_no_protocol_is_refused_without_its_value(name):
    with pytest.raises(UsageError, match=r"expected KEY or PROTOCOL:KEY") as caught:
        options_for("s3://b/a.zip", {name: "planted"})
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/data/Actor_01.zip", "Actor_01.zip"),
        ("s3://b/Actor_01.zip", "Actor_01.zip"),
        ("https://zenodo.org/records/1/files/Actor_01.zip?download=1", "Actor_01.zip"),
        ("https://zenodo.org/api/records/1/files/Actor_01.zip/content", "Actor_01.zip"),
        ("https://zenodo.org/api/records/1/files/Actor_01.zip/content?token=x", "Actor_01.zip"),
        ("https://host/files/notes.txt/content", "content"),
        ("https://host.zip/content", "content"),
        ("/data/Actor_01.zip/content", "content"),
    ],
)
def test_a_file_is_called_what_its_server_calls_it(url, name):
    assert Location(url).name == name
