"""Promises about a Zenodo record: a hostile one names no path, a choice means what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import SourceError, UsageError
from emodask.sources.download import Selection, parse_actors
from emodask.sources.download.record import RemoteFile, is_web_address, record_files

MD5 = "0123456789abcdef0123456789abcdef"
WHERE = "https://zenodo.org/api/records/1188976"
LINK = f"{WHERE}/files/a.zip/content"


def entry(**changes):
    return {
        "key": "a.zip",
        "size": 3,
        "checksum": f"md5:{MD5}",
        "links": {"self": LINK},
        **changes,
    }


def read(*entries):
    return record_files({"files": list(entries)}, WHERE)


def test_a_record_says_name_size_checksum_and_link():
    assert read(entry()) == [RemoteFile("a.zip", 3, MD5, LINK)]


def test_the_oldest_api_is_understood():
    old = {
        "filename": "a.zip",
        "filesize": 3,
        "checksum": MD5.upper(),
        "links": {"download": LINK},
    }
    assert read(old) == [RemoteFile("a.zip", 3, MD5, LINK)]


def test_bytes_are_fetched_from_the_link_to_the_content():
    (file,) = read(entry(links={"self": f"{WHERE}/files/a.zip", "content": LINK}))
    assert file.url == LINK


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "/abs", "a/b", "..", ".", "", ".hidden", "a\\b", "..\\x", "c:x", "a\0b", "a\nb"),
        *(" a", "a ", "a" * 201, "é" * 101, "a.part", "a.PART.json", "a?b", "a*b", None, 5, ["a"]),
        "\ud800",  # half a character: no file system takes it
    ],
)
def test_a_name_that_is_no_plain_file_name_is_refused(name):
    with pytest.raises(SourceError, match="not a plain file name; nothing is fetched"):
        read(entry(key=name))


@given(st.text())
def test_no_name_leads_out_of_the_folder(name):
    try:
        (file,) = read(entry(key=name))
    except SourceError:
        return
    assert "/" not in file.name
    assert "\\" not in file.name
    assert file.name not in ("", ".", "..")


def test_one_hostile_name_refuses_the_whole_record():
    with pytest.raises(SourceError, match=r"names a file '\.\./x'"):
        read(entry(), entry(key="../x"))


def test_a_long_hostile_name_makes_no_long_message():
    with pytest.raises(SourceError) as caught:
        read(entry(key="../" + "x" * 1_000_000))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"size": -1}, "not a byte count"),
        ({"size": "3"}, "not a byte count"),
        ({"size": None}, "not a byte count"),
        ({"size": True}, "not a byte count"),
        ({"size": 3.5}, "not a byte count"),
        ({"checksum": None}, "expected md5: and 32"),
        ({"checksum": ""}, "expected md5: and 32"),
        ({"checksum": "md5:0123"}, "expected md5: and 32"),
        ({"checksum": "sha256:" + MD5 * 2}, "expected md5: and 32"),
        ({"links": None}, "gives no http"),
        ({"links": {}}, "gives no http"),
        ({"links": {"self": "file:///etc/passwd"}}, "gives no http"),
        ({"links": {"self": "s3://bucket/a"}}, "gives no http"),
        ({"links": {"self": "https://"}}, "gives no http"),
        ({"links": {"self": "http://host:port/"}}, "gives no http"),
        ({"links": {"self": "http://[::1/a"}}, "gives no http"),
        ({"links": {"self": "http://host/a b\r\nX: y"}}, "gives no http"),
        ({"links": {"self": 5}}, "gives no http"),
    ],
)
def test_a_file_that_cannot_be_fetched_and_checked_is_refused(changes, why):
    with pytest.raises(SourceError, match=why):
        read(entry(**changes))


def test_a_missing_checksum_is_refused():
    without = entry()
    del without["checksum"]
    with pytest.raises(SourceError, match="expected md5"):
        read(without)


def test_two_files_of_one_name_are_refused_also_on_disks_that_do_not_tell_case():
    with pytest.raises(SourceError, match="twice"):
        read(entry(), entry(key="A.ZIP"))


@pytest.mark.parametrize(
    "record",
    [None, [], "x", 5, {}, {"files": None}, {"files": "a.zip"}, {"files": {"entries": 5}}],
)
def test_what_lists_no_files_is_refused(record):
    with pytest.raises(SourceError, match="lists no files"):
        record_files(record, WHERE)


@pytest.mark.parametrize("files", [["a.zip"], [None], [[1, 2]], {"entries": {"a": "b"}}])
def test_what_describes_files_by_no_fields_is_refused(files):
    with pytest.raises(SourceError, match="not by fields"):
        record_files({"files": files}, WHERE)


@given(st.text())
def test_any_text_is_a_web_address_or_is_not(text):
    assert is_web_address(text) in (True, False)


def test_a_selection_takes_all_of_the_record_that_it_names():
    kinds = [
        f"Video_{kind}_Actor_{actor:02d}.zip" for kind in ("Speech", "Song") for actor in (1, 2)
    ]
    kinds += ["Audio_Speech_Actors_01-24.zip", "Audio_Song_Actors_01-24.zip", "README.md"]
    files = [RemoteFile(name, 1, MD5, LINK) for name in reversed(kinds)]

    def chosen(**given):
        return [file.name for file in Selection(**given).of(files, WHERE)]

    assert chosen(actors=(2,)) == [kinds[4], kinds[1]]
    assert chosen(modalities=("audio",)) == [kinds[4]]
    assert chosen(channels=("song",), modalities=("video",)) == [kinds[2], kinds[3]]
    assert len(chosen(channels=("speech", "song"))) == 6


def test_a_record_without_any_wanted_file_is_said_so():
    with pytest.raises(SourceError, match=r"none of its 1 files is wanted; it holds other\.zip"):
        Selection().of([RemoteFile("other.zip", 1, MD5, LINK)], WHERE)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"channels": ("speach",)}, "channel is one of speech, song; found 'speach'"),
        ({"channels": ()}, "none is given"),
        ({"modalities": ("film",)}, "modality is one of video, audio; found 'film'"),
        ({"actors": (25,)}, r"actors are 1 to 24.*found \[25\]"),
        ({"actors": ()}, "found none"),
    ],
)
def test_a_selection_that_cannot_be_meant_is_refused(given, why):
    with pytest.raises(UsageError, match=why):
        Selection(**given)


def test_actors_are_numbers_and_ranges():
    assert parse_actors("7, 1-3,2") == (1, 2, 3, 7)


@pytest.mark.parametrize("text", ["", "a", "1-", "4-1", "1,,2", "-3", "1..4", "١", "100000"])
def test_actors_that_cannot_be_meant_are_refused(text):
    with pytest.raises(UsageError, match=r"such as 1-4,7"):
        parse_actors(text)
