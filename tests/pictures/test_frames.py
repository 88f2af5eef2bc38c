"""What the report shows of networks of frames: the pictures that they read, and nothing else."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from emodask.emotions import EMOTIONS
from emodask.evaluation.pages.report import render_report
from emodask.extraction import extract
from emodask.features.faces.cropping import FaceCrop
from emodask.job import parse_job
from emodask.pictures.frames import frame_panels, frames_sentence
from emodask.pictures.reading import MediaReader
from emodask.pictures.section import what_models_see
from emodask.pictures.stored import StoredFeatures
from emodask.store import StoreAddress

METRICS = {"protocols": {}, "job": {"name": "small"}}
JOB = {
    "name": "seen",
    "features": {
        "mfcc_statistics": {},
        "pictures": {"frames": 8, "every": 3, "height": 24, "width": 32},
    },
    "models": {"voice": {"kind": "ridge", "features": ["mfcc_statistics"]}},
}


@pytest.fixture(scope="module")
def store(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "store.zarr"
    assert extract(parse_job(JOB), f"{corpus}/*.zip", folder).done == 24
    return StoreAddress.of(folder)


def levels(view):
    """The gray levels of an image of the page."""
    data = base64.b64decode(view.image.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)


def test_pictures_are_shown_as_the_store_holds_them_without_any_media(store):
    seen = what_models_see(store)
    features = StoredFeatures.at(store)
    assert [clip.emotion for clip in seen.clips] == list(EMOTIONS)
    for clip, row in zip(seen.clips, features.one_of_each_emotion(), strict=True):
        assert [panel.name for panel in clip.frames] == [
            f"frame {place} of 8" for place in (1, 2, 4, 5, 7, 8)
        ]
        stored = features.numbers(row, "pictures")[[0, 1, 3, 4, 6, 7]]
        shown = np.stack([levels(panel) for panel in clip.frames])
        assert np.abs(shown - stored).mean() < 4  # WebP's
    assert all(note.startswith("voice: ") for note in seen.notes)
    page = render_report(METRICS, seen)
    assert "drawn from the frames that networks see." in page
    assert "The frames that pictures holds and a network reads: gray, 24 × 32 pixels." in page
    assert page.count('alt="frame 1 of 8 of ') == 8


def test_the_voice_is_shown_beside_frames(store, corpus):
    seen = what_models_see(store, [f"{corpus}/*.zip"])
    assert seen.notes == ()
    assert all(clip.voice and clip.frames for clip in seen.clips)
    assert seen.drawn_from == "the frames that networks see, and the sound of the voice"


@pytest.fixture
def maps(small_store):
    """A store of a frozen network's maps, as far as drawing sees it."""
    settings = {"expression": {"frames": 2}}
    model = {"head": {"kind": "conv-head"}}
    job = parse_job({"name": "maps", "features": settings, "models": model})
    return replace(StoredFeatures.at(small_store), job=job, frames="expression")


def test_of_a_frozen_network_the_frames_are_decoded_anew_as_it_sees_them(maps, corpus):
    (clip, *_) = maps.one_of_each_emotion()
    with MediaReader(maps.job, [f"{corpus}/*.zip"]) as reader:
        panels = frame_panels(maps, clip, reader)
        decoded, _ = reader.decoded(clip.clip_id, "video", "expression")
    assert [panel.name for panel in panels] == ["frame 1 of 2", "frame 2 of 2"]
    for panel, frame in zip(panels, decoded, strict=True):
        assert panel.image.shape == (48, 48, 3)
        assert np.abs(panel.image[..., 0] - np.asarray(frame, np.float32)).max() <= 0.5
    assert "frames that expression was computed from, decoded anew" in frames_sentence(maps)


def test_where_faces_are_cropped_the_faces_are_shown(maps, corpus, monkeypatch):
    crop = {"expression": {"frames": 2, "crop": "face"}}
    model = {"head": {"kind": "conv-head"}}
    features = replace(maps, job=parse_job({"name": "m", "features": crop, "models": model}))
    sizes = []

    def cropped(self, frames, height, width, close=True):
        sizes.append((*frames.shape, height, width, close))
        return np.full((len(frames), height, width), 7, np.float32)

    monkeypatch.setattr(FaceCrop, "cropped", cropped)
    (clip, *_) = features.one_of_each_emotion()
    with MediaReader(features.job, [f"{corpus}/*.zip"]) as reader:
        panels = frame_panels(features, clip, reader)
    assert [panel.name for panel in panels] == ["face 1 of 2", "face 2 of 2"]
    assert all((panel.image == 7).all() for panel in panels)
    ((count, tall, wide, *size, close),) = sizes
    assert (count, size, close) == (2, [48, 48], False)
    assert max(tall, wide) > 48  # faces are looked for in frames as they are
    assert "The faces that expression" in frames_sentence(features)


def test_frames_that_are_not_to_be_had_cost_their_own_pictures_alone(small_store, monkeypatch):
    real = StoredFeatures.at
    job = parse_job(
        {
            "name": "maps",
            "features": {**StoredFeatures.at(small_store).job.settings()["features"], "vgg16": {}},
            "models": {"svc": {"kind": "svc", "features": ["spline"]}},
        }
    )
    monkeypatch.setattr(
        StoredFeatures, "at", lambda address: replace(real(address), job=job, frames="vgg16")
    )
    seen = what_models_see(small_store)
    assert any(note.startswith("frames: no run.json beside the store says") for note in seen.notes)
    assert all(clip.curves and not clip.frames for clip in seen.clips)
    assert "decoded anew" not in render_report(METRICS, seen)
