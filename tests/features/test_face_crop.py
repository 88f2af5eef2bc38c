"""Promises of features of faces: the crop is what they see, wherever they are computed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import emodask
from emodask.clip_features import decoded_media, features_of_bytes, features_of_window
from emodask.cluster import connect
from emodask.errors import ClusterError, JobError, UsageError
from emodask.features import family
from emodask.features.faces import cropping
from emodask.features.faces.detectors import detector
from emodask.features.hog3d import Settings, hog3d, seen
from emodask.isolation import Decoder
from emodask.job import Job, digest, load_job, parse_job
from emodask.media import gray_frames
from emodask.media.video import Picture
from emodask.media.windows import windows
from emodask.memory import ClipShape, plan_memory
from emodask.pictures.clip_pictures import clip_pictures
from emodask.pictures.stored import StoredFeatures
from emodask.sources.catalogue import Clip
from emodask.store import Row, Status, StoreAddress, prepare, write_batch
from tests.media_files import moving_bars, mp4

FACE = {
    "crop": "face",
    "decode_height": 180,
    "decode_width": 320,
    "height": 40,
    "width": 36,
}
HOG3D = {**FACE, "frames": 10, "cell": [5, 6, 5], "bins": 4}


def job(kind: str = "dense-head", **features: object) -> Job:
    model = {"kind": kind, "features": [next(iter(features))]}
    return parse_job({"name": "faces", "features": features, "models": {"none": model}})


def test_hog3d_of_a_face_is_that_of_the_cropped_frames(video):
    wanted = job(hog3d=HOG3D)
    settings = wanted.features["hog3d"].settings
    frames = gray_frames(video, height=180, width=320, frames=10)
    cropped = seen(frames, settings)
    assert cropped.shape == (10, 40, 36)
    found, _ = features_of_bytes(wanted, "01-01-01-01-01-01", "video", video)
    np.testing.assert_array_equal(found["hog3d"], hog3d(cropped, (5, 6, 5), 4))
    assert found["hog3d"].shape == tuple(family("hog3d").dims(settings).values())
    # The face fills the crop: skin in the middle of each, as in the middle of the face.
    assert np.ptp(cropped[:, 10:30, 10:26].mean(axis=(1, 2))) < 30


@pytest.mark.parametrize("kind", ["hog3d", "pictures"])
def test_a_window_of_a_recording_gives_what_the_clip_does(video, kind):
    wanted = job(**{kind: HOG3D if kind == "hog3d" else {**FACE, "frames": 3, "every": 9}})
    whole, _ = features_of_bytes(wanted, "talk", "video", video)
    (window,) = windows({"video": video}, [Picture(180, 320, "rgb", fit=True)], 10.0, 1.0)
    np.testing.assert_array_equal(features_of_window(wanted, "talk", window)[kind], whole[kind])


def test_pictures_of_faces_are_crops_of_the_frames_chosen(video):
    whole, _ = features_of_bytes(
        job(pictures={"frames": 3, "every": 9, "height": 180, "width": 320}), "a", "video", video
    )
    faces, _ = features_of_bytes(
        job(pictures={**FACE, "frames": 3, "every": 9}), "a", "video", video
    )
    assert whole["pictures"].shape == (3, 180, 320)
    assert faces["pictures"].shape == (3, 40, 36)
    corner = whole["pictures"][:, :20, :20].mean()
    assert abs(faces["pictures"][:, 15:25, 13:23].mean() - corner) > 20  # skin, not the wall


def test_a_job_without_crops_has_the_settings_and_digest_of_before():
    # The digest that stores of this job have had since before faces could be cropped.
    assert digest(load_job("hog3d-spline").extraction()) == "264d3ca9bc46"
    plain = Settings(height=40, width=36, crop="none").model_dump()
    assert not plain.keys() & {"crop", "detector", "margin", "decode_height", "decode_width"}
    face = Settings(**{**HOG3D, "decode_width": 854}).model_dump()
    assert {"crop", "decode_height"} <= face.keys()
    assert Settings(**face) == Settings(**{**HOG3D, "decode_width": 854})


def test_keys_of_a_crop_that_is_not_wanted_are_refused():
    with pytest.raises(JobError, match=r'hog3d: margin means something with crop = "face" alone'):
        job(hog3d={"margin": 0.5})
    with pytest.raises(JobError, match=r"hog3d\.crop: .*'none' or 'face'"):
        job(hog3d={"crop": "mouth"})
    with pytest.raises(JobError, match=r"hog3d\.detector: .*'haar' or 'blazeface'"):
        job(hog3d={"crop": "face", "detector": "har"})


def test_a_clip_without_a_face_fails_alone_and_says_why(video, tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    (media / "02-01-01-01-01-01-01.mp4").write_bytes(video)
    (media / "02-01-05-01-01-01-01.mp4").write_bytes(mp4(moving_bars(12)))
    summary = emodask.extract(job(hog3d=HOG3D), str(media), tmp_path / "s.zarr")
    assert (summary.done, summary.failed) == (1, 1)
    ((clip, reason),) = summary.failures
    assert clip == "01-05-01-01-01-01"
    assert "02-01-05-01-01-01-01.mp4: computing: no face found in any of 10 frames" in reason


@pytest.fixture
def blazeface_absent(tmp_path, monkeypatch):
    """The variable names a file that is not there."""
    monkeypatch.setenv("EMODASK_BLAZEFACE", str(tmp_path / "absent.tflite"))


@pytest.fixture
def people(video, tmp_path):
    """Clips of two people and two emotions."""
    media = tmp_path / "media"
    media.mkdir()
    for emotion in ("01", "05"):
        for actor in ("01", "02"):
            (media / f"02-01-{emotion}-01-01-01-{actor}.mp4").write_bytes(video)
    return str(media)


BLAZEFACE = {**HOG3D, "detector": "blazeface"}
MISSING = r"job faces, feature hog3d: EMODASK_BLAZEFACE: absent\.tflite cannot be read"


@pytest.mark.usefixtures("blazeface_absent")
def test_a_detector_that_is_not_there_is_found_before_the_start(people, tmp_path):
    store = tmp_path / "s.zarr"
    wanted = job(hog3d=BLAZEFACE)
    with pytest.raises(UsageError, match=MISSING):
        emodask.extract(wanted, people, store)
    assert not store.exists()
    with connect("local", workers=1) as client:
        with pytest.raises(ClusterError, match=f"^worker .*: {MISSING}"):
            emodask.extract(wanted, people, store, client)
        assert not store.exists()
    prepare(StoreAddress.of(store), wanted, emodask.scan(people).clips)  # begun elsewhere
    with pytest.raises(UsageError, match=MISSING):
        emodask.extract(wanted, people, store)


@pytest.mark.usefixtures("blazeface_absent")
@pytest.mark.parametrize("kind", ["hog3d", "pictures"])
def test_a_decoder_without_its_detector_does_not_start_and_says_why(video, kind):
    wanted = job(**{kind: {"crop": "face", "detector": "blazeface"}})
    decoder = Decoder(wanted)
    try:
        with pytest.raises(ClusterError, match=r"^no decoder process can be.*absent\.tflite"):
            decoder.for_clip()(wanted, "c", "video", video, {})
    finally:
        decoder.close()


@pytest.mark.usefixtures("blazeface_absent")
@pytest.mark.parametrize("ask", [emodask.predict, emodask.predict_timeline])
def test_a_bundle_without_its_detector_predicts_nothing_and_says_why(
    people, tmp_path, monkeypatch, ask
):
    store, bundle = tmp_path / "s.zarr", tmp_path / "b"
    wanted = job("logistic", hog3d=BLAZEFACE)
    with monkeypatch.context() as patched:
        patched.setattr(cropping, "detector", lambda name: detector("haar"))
        emodask.extract(wanted, people, store)
        emodask.fit(wanted, store, bundle)
        assert all(one.error == "" for one in ask(bundle, people))
    with pytest.raises(UsageError, match=MISSING):
        ask(bundle, people)


def test_faces_upright_in_a_telephone_s_video_are_found_as_those_in_a_wide_one(video):
    wide = gray_frames(video, height=180, width=320)
    rgb = np.repeat(wide.astype(np.uint8)[..., None], 3, axis=3)
    upright = np.pad(rgb[:, :, 100:220], ((0, 0), (20, 20), (0, 0), (0, 0)), mode="edge")
    settings = Settings(**HOG3D)
    decode = family("hog3d").decode(settings)
    found = seen(gray_frames(mp4(upright), **decode), settings)
    assert (
        np.corrcoef(found.ravel(), seen(gray_frames(video, **decode), settings).ravel())[0, 1] > 0.8
    )


def test_a_fitted_video_keeps_its_proportions_and_its_edges_go_on():
    square = np.full((4, 40, 40, 3), 120, np.uint8)
    square[:, 10:30, 10:30] = 20
    found = gray_frames(mp4(square), height=40, width=100, fit=True, gray="luma")
    assert found.shape == (4, 40, 100)
    dark = found[0] < found[0].mean() - 20
    assert (dark.any(axis=0).sum(), dark.any(axis=1).sum()) == (20, 20)
    assert np.ptp(found[0][:, :35]) < 4
    stretched = gray_frames(mp4(square), height=40, width=100, gray="luma")
    assert (stretched[0] < stretched[0].mean() - 20).any(axis=0).sum() == 50


def test_the_pictures_of_a_store_show_the_face_that_was_seen(video, tmp_path):
    wanted = job(hog3d=HOG3D)
    address = StoreAddress.of(tmp_path / "s.zarr")
    clip = Clip("01-01-01-01-01-01", actor=1, emotion=1, channel=1)
    row, _ = features_of_bytes(wanted, clip.clip_id, "video", video)
    write_batch(prepare(address, wanted, [clip]), 0, [Row(Status.DONE, row)])

    class Reader:
        def decoded(self, clip_id, modality, feature):
            return decoded_media(wanted, feature, video), 0.7

    features = StoredFeatures.at(address)
    found = clip_pictures(features, features.clips[0], Reader())
    assert found.left_out == ()
    frames = gray_frames(video, height=180, width=320, frames=10)
    np.testing.assert_array_equal(found.frames, seen(frames, wanted.features["hog3d"].settings))


def test_larger_frames_are_in_the_memory_plan():
    def decoding(**hog: object) -> int:
        settings = copy.deepcopy(load_job("hog3d-face-spline").settings())
        settings["features"]["hog3d"] |= hog
        return plan_memory(parse_job(settings), ClipShape(), 12).decoding

    larger = decoding(decode_height=720, decode_width=1280) - decoding()
    assert larger > 50 * (720 * 1280 - 480 * 854) * 3
