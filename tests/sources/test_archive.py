"""Promises of reading zips where they lie: few reads, every lie found, nothing inflated blindly."""

from __future__ import annotations

import stat
import struct
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emodask.errors import MediaError, SourceError
from emodask.sources import archive
from emodask.sources.archive import members
from emodask.sources.location import Location
from tests.media_files import zip_of


@pytest.fixture
def reads(monkeypatch):
    """Byte ranges that were asked for."""
    asked: list[tuple[int, int]] = []
    real = Location.read

    def spy(self, start=None, end=None):
        asked.append((start, end))
        return real(self, start, end)

    monkeypatch.setattr(Location, "read", spy)
    return asked


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True), st.binary(min_size=1)),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.binary(max_size=50),
)
def test_members_read_back_as_they_were_written(tmp_path, files, method, comment):
    path = zip_of(tmp_path / "a.zip", files, method, comment)
    assert {m.name: m.read() for m in members(Location(str(path)))} == files


def test_a_member_costs_one_range_read_after_the_directory(tmp_path, reads):
    files = {f"a/{i}": bytes([i]) * 50_000 for i in range(9)}
    path = zip_of(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    found = members(Location(str(path)))
    assert len(reads) == 1
    assert reads[0][1] - reads[0][0] <= path.stat().st_size // 256
    found[4].read()
    start, end = reads[1]
    assert len(reads) == 2
    assert 50_000 <= end - start < 50_200


def test_a_directory_longer_than_the_tail_costs_one_more_read(tmp_path, reads):
    files = {f"{i:04d}/{'x' * 100}": b"x" for i in range(2000)}
    path = zip_of(tmp_path / "a.zip", files)
    assert len(members(Location(str(path)))) == 2000
    assert len(reads) == 2


def test_small_archives_cost_their_directory_and_little_more(tmp_path, reads):
    size = 150_000
    for count in (3, 10, 30):
        files = {f"Actor_01/{i:02d}.wav": bytes([i]) * size for i in range(count)}
        path = zip_of(tmp_path / f"{count}.zip", files, zipfile.ZIP_STORED)
        found = members(Location(str(path)))
        assert len(reads) == 1
        for member in found:
            member.read()
        assert len(reads) == 1 + count
        assert sum(end - start for start, end in reads) <= 1.005 * path.stat().st_size
        reads.clear()


def test_a_long_comment_costs_one_more_read(tmp_path, reads):
    path = zip_of(tmp_path / "a.zip", {"a.wav": bytes(9)}, zipfile.ZIP_STORED, b"c" * 60_000)
    assert len(members(Location(str(path)))) == 1
    assert len(reads) == 2


def test_local_extra_fields_that_the_directory_lacks_are_read_through(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer:
        info = zipfile.ZipInfo("m")
        info.extra = struct.pack("<HH", 0x9999, 400) + b"e" * 400
        writer.writestr(info, b"payload")
        writer.writestr("n", b"next")
        writer.filelist[0].extra = b""
    assert [m.read() for m in members(Location(str(path)))] == [b"payload", b"next"]


def test_zip64_members_are_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer, writer.open("m", "w", force_zip64=True) as member:
        member.write(b"sixty-four")
    assert members(Location(str(path)))[0].read() == b"sixty-four"


def test_a_zip_behind_other_bytes_is_read(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"m": b"data"})
    path.write_bytes(b"#!/bin/sh\n" * 10 + path.read_bytes())
    assert members(Location(str(path)))[0].read() == b"data"


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 100, b"\0" * 5000])
def test_what_is_not_a_zip_is_refused(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.zip: (the file is empty|not a zip archive)"):
        members(Location(str(path)))


def test_every_truncation_is_refused_or_found_when_the_member_is_read(tmp_path):
    whole = zip_of(tmp_path / "w.zip", {f"m{i}": bytes(range(256)) * 4 for i in range(3)})
    content = whole.read_bytes()
    path = tmp_path / "a.zip"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises((SourceError, MediaError), match=r"a\.zip"):
            [m.read() for m in members(Location(str(path)))]


def test_every_flipped_byte_is_found_or_harmless(tmp_path):
    files = {f"m{i}": bytes(range(97, 123)) * 3 for i in range(2)}
    content = zip_of(tmp_path / "w.zip", files).read_bytes()
    path = tmp_path / "a.zip"
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        try:
            found = [m.read() for m in members(Location(str(path)))]
        except (SourceError, MediaError):
            continue
        assert set(found) <= set(files.values())


def test_a_wrong_checksum_is_found(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"m": b"payload-payload"}, zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"payload-payload", b"payload-pAyload", 1))
    with pytest.raises(MediaError, match=r"a\.zip/m: its checksum is wrong"):
        members(Location(str(path)))[0].read()


def test_encrypted_members_are_refused_by_name(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"m": b"data"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(MediaError, match="encrypted"):
        members(Location(str(path)))[0].read()


def test_other_compression_methods_are_refused_by_number(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"m": b"data"}, zipfile.ZIP_BZIP2)
    with pytest.raises(MediaError, match="method 12 is not supported"):
        members(Location(str(path)))[0].read()


def test_a_member_that_inflates_past_its_declared_size_is_cut_off(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"m": b"\0" * 1_000_000})
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + 24, 1000)
    path.write_bytes(content)
    with pytest.raises(MediaError, match="holds 1001 bytes and declares 1000"):
        members(Location(str(path)))[0].read()


def test_bombs_are_refused_before_they_are_inflated(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "a.zip", {"m": b"\0" * 2_000_000})
    monkeypatch.setattr(archive, "_RATIO_MATTERS", 1_000_000)
    with pytest.raises(MediaError, match="would inflate"):
        members(Location(str(path)))[0].read()
    monkeypatch.setattr(archive, "MAX_MEMBER_SIZE", 1_000_000)
    with pytest.raises(MediaError, match="more than 1000000"):
        members(Location(str(path)))[0].read()


def test_overlapping_members_are_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"m": b"a" * 500, "n": b"b" * 500}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    struct.pack_into("<L", content, second + 42, 100)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="overlaps what follows"):
        members(Location(str(path)))


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = zip_of(tmp_path / "a.zip", {f"m{i}": b"x" for i in range(4)})
    with pytest.raises(SourceError, match="4 members, more than 3"):
        members(Location(str(path)))


def test_a_member_that_its_local_header_names_otherwise_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"one.wav": b"data"})
    path.write_bytes(path.read_bytes().replace(b"one.wav", b"two.wav", 1))
    with pytest.raises(MediaError, match=r"a\.zip/one\.wav: its local header names another file"):
        members(Location(str(path)))[0].read()


@pytest.mark.parametrize("name", ["a\nb.wav", "\x1b[2Jb.wav", "\u202eb.wav", "\x7f.wav"])
def test_names_that_would_garble_a_terminal_are_refused_and_shown_escaped(tmp_path, name):
    (member,) = members(Location(str(zip_of(tmp_path / "a.zip", {name: b"data"}))))
    assert str(member).isprintable()
    with pytest.raises(MediaError, match="cannot be printed") as refused:
        member.read()
    assert str(refused.value).isprintable()


def test_a_long_name_is_shown_by_its_end(tmp_path):
    name = "d" * 50_000 + "/03-01.wav"
    (member,) = members(Location(str(zip_of(tmp_path / "a.zip", {name: b"data"}))))
    assert member.read() == b"data"
    assert str(member).endswith("ddd/03-01.wav")
    assert len(str(member)) < len(str(tmp_path)) + 250


def test_links_and_folders_that_hold_data_are_refused(tmp_path):
    link = zipfile.ZipInfo("link.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder/", "")
        archive.writestr("file/", "data")
    found = members(Location(str(tmp_path / "a.zip")))
    assert [member.name for member in found] == ["link.wav", "file/"]
    assert ["link" in (found[0].refusal() or ""), "folder" in (found[1].refusal() or "")] == [
        True,
        True,
    ]


def test_names_outside_ascii_are_read_however_they_are_coded(tmp_path):
    path = tmp_path / "a.zip"
    zip_of(path, {"é.wav": b"utf-8"})
    assert members(Location(str(path)))[0].read() == b"utf-8"
    zip_of(path, {"XY.wav": b"cp437"})
    path.write_bytes(path.read_bytes().replace(b"XY.wav", b"\x82\xe1.wav"))
    assert members(Location(str(path)))[0].read() == b"cp437"


def test_a_member_without_a_name_is_listed_as_such(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"unnamed": b"data"})
    content = path.read_bytes().replace(b"unnamed", b"")
    for signature, at in ((b"PK\3\4", 26), (b"PK\1\2", 28)):
        start = content.index(signature) + at
        content = content[:start] + b"\0\0" + content[start + 2 :]
    end = content.index(b"PK\5\6")
    directory = content.index(b"PK\1\2")
    sizes = struct.pack("<LL", end - directory, directory)
    path.write_bytes(content[: end + 12] + sizes + content[end + 20 :])
    assert [(member.name, member.read()) for member in members(Location(str(path)))] == [
        ("", b"data")
    ]
