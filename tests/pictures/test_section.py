"""What the report shows of the features: self-contained, and never a reason to fail."""

from __future__ import annotations

import re
import threading
from xml.etree import ElementTree

import pytest

from emodask.emotions import EMOTIONS
from emodask.errors import SourceError, UnreachableError
from emodask.evaluation.pages.report import render_report
from emodask.pictures import reading, section
from emodask.pictures.section import ClipView, Section, what_models_see
from emodask.pictures.stored import StoredFeatures
from emodask.sources.synth import synthesize

METRICS = {"protocols": {}, "job": {"name": "small"}}


@pytest.fixture(scope="module")
def seen(small_store, corpus):
    return what_models_see(small_store, [f"{corpus}/*.zip"])


def test_every_emotion_is_shown_as_one_person_has_it(seen):
    assert [clip.emotion for clip in seen.clips] == list(EMOTIONS)
    assert {clip.actor for clip in seen.clips} == {1}
    assert seen.notes == ()
    for clip in seen.clips:
        assert [panel.name for panel in clip.face] == [
            *("frame", "gradient magnitude", "azimuth", "polar angle"),
            *("azimuth, cells", "polar angle, cells"),
        ]
        assert clip.voice.startswith("<svg")
        assert clip.curves.startswith("<svg")


def test_the_page_needs_nothing_but_itself_and_stays_small(seen):
    page = render_report(METRICS, seen)
    assert "What the models see" in page
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page) == []
    assert "image/png" not in page
    assert len(page) < 3_000_000


def test_drawings_are_well_formed_share_no_ids_and_have_names(seen):
    drawings = [d for clip in seen.clips for d in (clip.voice, clip.curves)] + [seen.basis]
    ids: list[str] = []
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label")
        ids += [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


def test_a_report_without_pictures_has_no_section_for_them():
    assert "What the models see" not in render_report(METRICS)


def test_without_media_the_stores_numbers_are_drawn_and_a_line_says_what_is_missing(small_store):
    found = what_models_see(small_store)
    assert len(found.clips) == 8
    assert [panel.name for panel in found.clips[0].face] == ["azimuth, cells", "polar angle, cells"]
    assert found.clips[0].curves
    assert not found.clips[0].voice
    page = render_report(METRICS, found)
    assert "no run.json beside the store says where its media lie; pass them with --source" in page


def test_a_section_with_nothing_to_show_says_why_and_no_more():
    found = Section((ClipView("a", "sad", 1),), notes=("voice: the disk is gone.",))
    page = render_report(METRICS, found)
    assert "Left out: voice: the disk is gone." in page
    assert "One clip of each emotion" not in page


def test_media_of_other_people_are_not_shown_as_those_of_the_store(small_store, tmp_path):
    synthesize(tmp_path, actors=1, clips=8, size=(64, 36), seconds=1.0, workers=1, seed=9)
    found = what_models_see(small_store, [f"{tmp_path}/*.zip"])
    assert not any(clip.voice for clip in found.clips)
    assert {panel.name for clip in found.clips for panel in clip.face} == {
        "azimuth, cells",
        "polar angle, cells",
    }
    assert found.notes
    assert "The frame in which most changes" not in render_report(METRICS, found)
    assert all("these are other media" in note for note in found.notes)


def test_a_source_that_never_answers_costs_the_pictures_and_not_the_report(
    small_store, monkeypatch
):
    answer = threading.Event()
    monkeypatch.setattr(reading, "scan", lambda *given: answer.wait())
    try:
        found = what_models_see(small_store, ["s3://bucket/a.zip"], seconds=0.05)
    finally:
        answer.set()
    assert found.notes == (
        "face: listing the sources took too long.",
        "voice: listing the sources took too long.",
    )
    assert len(found.clips) == 8


def test_what_fails_within_a_time_fails_with_its_own_error():
    with pytest.raises(ZeroDivisionError):
        reading.within(60, lambda: 1 / 0, "dividing")
    assert reading.within(60, lambda: 3, "counting") == 3
    never = threading.Event()
    with pytest.raises(UnreachableError, match="waiting took too long"):
        reading.within(0.01, never.wait, "waiting")
    never.set()
    with pytest.raises(UnreachableError, match="more would take too long"):
        reading.within(0, lambda: pytest.fail("begun after the end"), "more")


def test_a_failure_to_draw_never_fails_the_report(small_store, monkeypatch):
    def broken(*given):
        raise RuntimeError("no font at /home/me/fonts/x.ttf, token s3://key:secret@bucket/x")

    monkeypatch.setattr(section, "_section", broken)
    found = what_models_see(small_store)
    page = render_report(METRICS, found)
    assert "No pictures could be drawn: no font at x.ttf" in page
    assert "secret" not in page


def test_large_files_on_servers_are_left_where_they_are(corpus, small_job):
    import fsspec

    archive = corpus / "Video_Speech_Actor_01.zip"
    fsspec.filesystem("memory").pipe_file("/media/a.zip", archive.read_bytes())
    with (
        reading.MediaReader(small_job, ["memory://media/a.zip"], most_bytes=1) as reader,
        pytest.raises(SourceError, match="too much to fetch for a picture"),
    ):
        reader.decoded("01-01-01-01-01-01", "video", "hog3d")


def test_media_too_short_for_a_feature_cost_their_own_picture_alone(
    small_store, corpus, monkeypatch
):
    real = reading.MediaReader.decoded

    def brief(self, clip_id, modality, feature):
        values, seconds = real(self, clip_id, modality, feature)
        return (values[:300] if modality == "audio" else values), seconds

    monkeypatch.setattr(reading.MediaReader, "decoded", brief)
    found = what_models_see(small_store, [f"{corpus}/*.zip"])
    assert all(clip.face for clip in found.clips)
    assert not any(clip.voice for clip in found.clips)
    assert found.notes


def test_drawing_does_not_count_against_the_time_for_media(small_store, corpus, stop_clock):
    clock = stop_clock(reading)
    features = StoredFeatures.at(small_store)
    first, second, *_ = features.one_of_each_emotion()
    with reading.MediaReader(features.job, [f"{corpus}/*.zip"], seconds=60) as reader:
        before, _ = reader.decoded(first.clip_id, "audio", features.voice)
        clock[0] += 3600  # drawn meanwhile
        after, _ = reader.decoded(second.clip_id, "audio", features.voice)
    assert min(len(before), len(after)) > 1000
