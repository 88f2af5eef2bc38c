"""Promises of scanning: every clip found, every other file named with its reason."""

from __future__ import annotations

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import MediaError, SourceError
from emodask.sources.archive import MAX_MEMBER_SIZE
from emodask.sources.catalogue import Catalogue, Clip, scan
from emodask.sources.location import expand, redact
from tests.media_files import zip_of

NAMES = [
    "Actor_01/01-01-03-01-01-01-01.mp4",
    "Actor_01/02-01-03-01-01-01-01.mp4",
    "Actor_01/03-01-03-01-01-01-01.wav",
    "Actor_02/03-02-04-01-01-01-02.wav",
]


@pytest.fixture
def folder(tmp_path):
    zip_of(tmp_path / "video.zip", {name: name.encode() for name in NAMES[:2]})
    zip_of(tmp_path / "audio.zip", {name: name.encode() for name in NAMES[2:]})
    return tmp_path


def what(catalogue: Catalogue) -> list[tuple[str, str]]:
    return [(p.what, p.where.rpartition("/")[2]) for p in catalogue.problems]


def test_files_of_one_clip_are_joined_across_zips(folder):
    catalogue = scan(str(folder / "*.zip"))
    assert [clip.clip_id for clip in catalogue.clips] == ["01-03-01-01-01-01", "02-04-01-01-01-02"]
    first = catalogue.clips[0]
    assert [m.kind for m in first.media] == ["full-av", "video-only", "audio-only"]
    assert first.media_for("video").kind == "video-only"
    assert first.media_for("audio").kind == "audio-only"
    assert first.media_for("audio", "full-av").kind == "full-av"
    assert catalogue.clips[1].media_for("video") is None


def test_full_av_alone_carries_both_modalities(tmp_path):
    zip_of(tmp_path / "a.zip", {NAMES[0]: b"x"})
    (clip,) = scan(str(tmp_path)).clips
    assert clip.media_for("video") == clip.media_for("audio") is not None


def test_folders_globs_files_and_urls_give_the_same_clips(folder, tmp_path_factory):
    expected = [clip.clip_id for clip in scan(str(folder)).clips]
    loose = tmp_path_factory.mktemp("loose")
    memory = fsspec.filesystem("memory")
    for name in NAMES:
        (loose / name).parent.mkdir(exist_ok=True)
        (loose / name).write_bytes(name.encode())
        memory.pipe_file(f"/scan-test/{name}", name.encode())
    for sources in (
        [str(folder / "video.zip"), str(folder / "audio.zip")],
        [str(folder / "*.zip")],
        str(loose),
        [str(loose / name) for name in NAMES],
        "memory://scan-test",
        f"file://{folder}",
    ):
        catalogue = scan(sources)
        assert [clip.clip_id for clip in catalogue.clips] == expected
        assert all(media.read().decode() in NAMES for c in catalogue.clips for media in c.media)


def test_the_order_of_sources_does_not_change_the_rows(folder):
    names = [str(folder / "video.zip"), str(folder / "audio.zip")]
    assert scan(names).clips == scan(names[::-1]).clips


def test_a_source_given_twice_counts_once(folder):
    assert scan([str(folder), str(folder / "*.zip")]).problems == scan(str(folder)).problems == ()


def test_problems_are_named_and_the_rest_goes_on(folder):
    (folder / "notes.txt").write_text("hello")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 truncated")
    zip_of(folder / "more.zip", {NAMES[2]: b"other bytes", "Actor_01/odd.wav": b"x"})
    catalogue = scan(str(folder))
    assert len(catalogue) == 2
    assert what(catalogue) == [
        ("unreadable", "broken.zip"),
        ("rejected", "odd.wav"),
        ("rejected", "notes.txt"),
        ("duplicate", "03-01-03-01-01-01-01.wav"),
    ]


def test_clips_with_the_same_bytes_are_reported(tmp_path):
    zip_of(tmp_path / "a.zip", {NAMES[2]: b"same", NAMES[3]: b"same"})
    (problem,) = scan(str(tmp_path)).problems
    assert problem.what == "identical"
    assert "same bytes" in problem.reason


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.zip", "no such file or folder"),
        ("*.nothing", "nothing matches"),
        ("", "no source given"),
    ],
)
def test_a_source_that_is_not_there_is_an_error(tmp_path, source, message):
    with pytest.raises(SourceError, match=message):
        scan(str(tmp_path / source) if source else [])


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="empty"):
        scan(str(tmp_path))


def test_secrets_in_addresses_are_not_shown():
    url = "https://user:hunter2@host.invalid/x.zip?token=hunter2"
    assert "hunter2" not in redact(url)
    with pytest.raises(SourceError) as error:
        expand("nosuchprotocol://user:hunter2@host/x")
    assert "hunter2" not in str(error.value)


clips = st.lists(
    st.builds(
        Clip,
        clip_id=st.uuids().map(str),
        actor=st.integers(1, 30),
        emotion=st.integers(1, 8),
        channel=st.integers(0, 2),
    ),
    max_size=30,
)


@given(clips, st.sets(st.integers(1, 8)), st.sets(st.integers(1, 2)))
def test_selection_keeps_exactly_the_emotions_and_channels_asked_for(found, emotions, channels):
    chosen = Catalogue(tuple(found)).select(emotions, channels).clips
    assert all(c.emotion in emotions and c.channel in {0, *channels} for c in chosen)
    assert all(c in chosen for c in found if c.emotion in emotions and c.channel in {0, *channels})


def test_a_file_larger_than_any_clip_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "03-01-05-01-01-01-01.wav"
    with path.open("wb") as sparse:
        sparse.truncate(MAX_MEMBER_SIZE + 1)
    (clip,) = scan(str(path)).clips
    with pytest.raises(MediaError, match="cut it into clips"):
        clip.media[0].read()


def test_a_file_name_that_would_garble_a_terminal_is_shown_with_escapes(tmp_path):
    (tmp_path / "03-01\x1b[2J\n.wav").write_bytes(b"")
    (problem,) = scan(str(tmp_path)).problems
    assert problem.where.isprintable()
    assert problem.where.endswith("03-01\\x1b[2J\\n.wav")
