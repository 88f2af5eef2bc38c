"""Promises of tables: numbers as they are, and a bad table refused with its row and column."""

from __future__ import annotations

import io
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import SourceError, UnreachableError
from emodask.sources import table as tables
from emodask.sources.location import Location
from emodask.sources.names import ClipName
from emodask.sources.table import clip_key, read_table
from tests.servers.web_files import web_files

HAPPY, SAD = "01-03-01-01-01-01", "01-04-01-01-01-01"
GOOD = f"clip,AU01_r,AU02_r,face\n01-{HAPPY},0.5,1,a\n{SAD},-2e-3,3,b\n"


@pytest.fixture
def read(tmp_path):
    def read(content, *arguments, **settings):
        path = tmp_path / "t.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(Location(str(path)), *arguments, **settings)

    return read


def test_number_columns_are_read_and_clips_found_with_or_without_modality(read):
    table = read(GOOD)
    assert table.names == ("AU01_r", "AU02_r")
    assert list(table.rows) == [HAPPY, SAD]
    assert table.row(HAPPY).tolist() == [0.5, 1.0]
    assert table.row(f"01-{SAD}").tolist() == [np.float32(-2e-3), 3.0]
    assert table.row(HAPPY).dtype == np.float32
    assert table.row("01-05-01-01-01-01") is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", ", "),
        GOOD + "\n\n",
        GOOD.replace("face", "").replace(",a\n", ",7\n").replace(",b\n", ",8\n"),
    ],
    ids=["bom", "crlf", "semicolons", "tabs", "spaces", "blank lines", "nameless column"],
)
def test_the_ways_in_which_programs_write_csv_read_alike(read, text):
    table = read(text)
    assert table.names == ("AU01_r", "AU02_r")
    assert [row.tolist() for row in table.rows.values()] == [
        row.tolist() for row in read(GOOD).rows.values()
    ]


def test_patterns_and_names_choose_columns(read):
    assert read(GOOD, "clip", ["AU02*"]).names == ("AU02_r",)
    assert read(GOOD, "clip", ["AU02*", "AU01_r"]).names == ("AU01_r", "AU02_r")
    swapped = read(GOOD, names=["AU02_r", "AU01_r"])
    assert swapped.row(HAPPY).tolist() == [1.0, 0.5]
    assert read("clip,a[0],a0\nx,1,2\n", patterns=["a[0]"]).names == ("a[0]", "a0")


def test_labels_are_features_only_where_a_job_names_them(read):
    text = "clip,emotion,actor,Intensity,x\nq,5,1,2,0.5\n"
    assert read(text).names == ("x",)
    assert read(text, patterns=["*"]).names == ("x",)
    assert read(text, patterns=["x", "emotion"]).names == ("emotion", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"t\.csv: this file is empty"),
        (b"\n\n", r"t\.csv: this file is empty"),
        ("clip,a\n", r"a header and no rows"),
        (b"clip,a\nx,\xff\xfe\n", r"not UTF-8 text \(byte 9\), and not Parquet"),
        ("name,a,b\nx,1,2\n", r"no column 'clip' with the names of clips; there are name, a, b"),
        ("clip,a,a\nx,1,2\n", r"more than one column 'a'; rename"),
        ("clip,a\nx,1\ny,high\n", r"t\.csv, line 3: column a is 'high'; a finite number is needed"),
        ("clip,a\nx,1\ny,\n", r"t\.csv, line 3: column a is empty"),
        ("clip,a\nx,\ny,1\n", r"t\.csv, line 2: column a is empty"),
        ("clip,a\nx,1\ny,nan\n", r"line 3: column a is 'nan'"),
        ("clip,a\nx,1\ny,inf\n", r"line 3: column a is 'inf'"),
        ("clip,a\nx,1\ny,1e300\n", r"line 3: column a is '1e300'"),
        ("clip,a,b\nx,1\n", r"line 2: 2 fields, and the header has 3"),
        ("clip,a\nx,1,5\n", r"line 2: 3 fields, and the header has 2"),
        ("clip,a\n,1\n", r"line 2: column clip is empty"),
        (f"clip,a\n01-{SAD},1\n02-{SAD},1\n", rf"line 2 and line 3 are both of clip {SAD}"),
        ("clip,a\nx,one\n", r"no column holds numbers that are no labels; there are a"),
        ("clip,emotion\nx,1\n", r"no column holds numbers that are no labels"),
        ('clip,a\n"x,1\n' + "y" * 200_000, r"not a well-formed CSV"),
    ],
)
def test_a_bad_table_is_refused_saying_where_and_what_would_be_right(read, content, message):
    with pytest.raises(SourceError, match=message) as caught:
        read(content)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_columns_that_are_not_there_are_named(read):
    with pytest.raises(SourceError, match=r"no column is named 'AU9\*', .* there are AU01_r"):
        read(GOOD, "clip", ["AU0*", "AU9*"])
    with pytest.raises(SourceError, match=r"1 of 2 columns are not there, such as 'AU45_r'"):
        read(GOOD, names=["AU01_r", "AU45_r"])
    with pytest.raises(SourceError, match=r"line 2: column face is 'a'"):
        read(GOOD, "clip", ["face"])


def test_a_table_too_large_is_refused_before_it_is_read(read, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_BYTES", 20)
    monkeypatch.setattr(Location, "read", lambda self: pytest.fail("read"))
    with pytest.raises(SourceError, match=r"bytes, more than 20; cut it"):
        read(GOOD)


def test_an_absent_file_or_a_folder_is_said(tmp_path):
    for place in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(SourceError, match=place.name):
            read_table(Location(str(place)))


def test_a_table_on_the_web_is_read_whatever_the_server_says_of_it(read):
    with web_files({"t.csv": GOOD.encode()}) as site:
        for ranges, sizes in ((True, True), (False, True), (False, False)):
            site.ranges, site.sizes = ranges, sizes
            table = read_table(Location(site.plain("t.csv") + "?key=pl4nted"))
            assert table.row(SAD) is not None
            assert "pl4nted" not in table.where
        with pytest.raises(SourceError) as caught:
            read_table(Location(site.plain("u.csv") + "?key=pl4nted"))
        assert not isinstance(caught.value, UnreachableError)
        assert "pl4nted" not in str(caught.value)


codes = st.builds(
    ClipName,
    channel=st.just(1),
    emotion=st.integers(2, 8),
    intensity=st.integers(1, 2),
    statement=st.integers(1, 2),
    repetition=st.integers(1, 2),
    actor=st.integers(1, 24),
)


@given(codes)
def test_every_name_of_a_clip_has_its_key(name):
    for kind in ("full-av", "video-only", "audio-only"):
        file = name.file_name(kind)
        for text in (file, file[:-4], f"/data/Actor/{file}", f"C:\\data\\{file}", f" {file} "):
            assert clip_key(text) == name.clip_id
    assert clip_key(name.clip_id) == name.clip_id


def test_other_names_keep_what_tells_them_apart():
    assert clip_key("clips/OAF_back_angry.wav") == clip_key("OAF_back_angry") == "OAF_back_angry"
    assert clip_key("s1/take.7") == "s1/take.7"


def parquet(columns) -> bytes:
    try:
        import pyarrow
        from pyarrow.parquet import write_table
    except ImportError:
        message = "pyarrow is not installed: pip install 'emodask[parquet]'"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    written = io.BytesIO()
    write_table(pyarrow.table(columns), written)
    return written.getvalue()


def test_parquet_reads_as_csv_does(read):
    columns = {
        "clip": [f"01-{HAPPY}", SAD],
        "AU01_r": [0.5, -2e-3],
        "AU02_r": [1, 3],
        "face": ["a", "b"],
        "emotion": [3, 4],
    }
    table, same = read(parquet(columns)), read(GOOD)
    assert table.names == same.names
    assert {k: v.tolist() for k, v in table.rows.items()} == {
        k: v.tolist() for k, v in same.rows.items()
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clip": ["x", "y"], "a": [1.0, None]}, r"row 2: column a is empty"),
        ({"clip": ["x", "y"], "a": [1.0, float("nan")]}, r"row 2: column a is 'nan'"),
        ({"clip": ["x", "x"], "a": [1, 2]}, r"row 1 and row 2 are both of clip x"),
        ({"clip": ["x", None], "a": [1, 2]}, r"row 2: column clip is empty"),
        ({"clip": [], "a": []}, r"a header and no rows"),
        ({"name": ["x"], "a": [1]}, r"no column 'clip'"),
    ],
)
def test_bad_parquet_is_refused_too(read, columns, message):
    with pytest.raises(SourceError, match=message):
        read(parquet(columns))


def test_damaged_parquet_is_refused(read):
    data = parquet({"clip": ["x"], "a": [1.0]})
    for damaged in (data[:-20], data[:40], b"PAR1" + b"\0" * 50):
        with pytest.raises(SourceError, match="not a sound Parquet file"):
            read(damaged)


def test_parquet_without_pyarrow_says_what_to_install(read, monkeypatch):
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceError, match=r"pip install 'emodask\[parquet\]'"):
        read(b"PAR1 and so on")
