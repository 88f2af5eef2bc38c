"""Promises of timelines: the verdict of plain predictions, honest gaps, clear words."""

from __future__ import annotations

import json
import math

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import emodask
from emodask.emotions import EMOTIONS
from emodask.errors import SourceError, UsageError
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.models.bundle import load_bundle
from emodask.models.trust import trust
from emodask.prediction import Step, Timeline, predict, predict_timeline
from emodask.prediction.timeline import shares_of_time
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav, zip_of


@pytest.mark.parametrize("names", [["talk.mp4"], ["talk.mp4", "talk.wav"]])
def test_one_window_over_all_gives_the_verdict_of_a_plain_prediction(both, recordings, names):
    files = [recordings / name for name in names]
    (plain,) = predict(both, files)
    (timeline,) = emodask.predict_timeline(both, files, window=60, step=1)
    assert len(timeline.steps) == 1
    assert timeline.steps[0].probabilities == plain.probabilities
    assert timeline.probabilities == pytest.approx(plain.probabilities)
    assert timeline.ranked[0][0] == plain.ranked[0][0]


def test_a_window_has_the_verdict_of_a_clip_cut_there(voice, recordings, tmp_path):
    (timeline,) = predict_timeline(voice, recordings / "talk.wav", window=1.0, step=0.5)
    assert [(s.start, s.end) for s in timeline.steps] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5)]
    samples, rate = soundfile.read(recordings / "talk.wav", dtype="float32")
    cut = tmp_path / "talk.wav"  # the name seeds the noise
    cut.write_bytes(wav(samples[rate // 2 : 3 * rate // 2], rate, subtype="FLOAT"))
    (plain,) = predict(voice, cut)
    assert timeline.steps[1].probabilities == pytest.approx(plain.probabilities, abs=1e-9)


def test_the_combined_verdict_is_the_mean_over_time():
    steps = (
        Step(0, 2, 1.5, {"happy": 0.8, "sad": 0.2}),
        Step(1, 3, 0.5, {"happy": 0.4, "sad": 0.6}),
        Step(2, 4, 1.0, {}, "silence: all samples are zero"),
    )
    timeline = Timeline("a", (), 4.0, 2.0, "1", steps, None)
    assert timeline.probabilities == pytest.approx({"happy": 0.7, "sad": 0.3})
    assert timeline.time_shares == pytest.approx({"happy": 0.75, "sad": 0.25})
    assert timeline.unjudged == 1.0
    assert Timeline("a", (), 4.0, 2.0, "1", steps, None, "broke off").probabilities == {}


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.integers(1, 40))
def test_shares_of_time_add_up_to_the_recording(length, step, count):
    spans = [(i * step, i * step + length) for i in range(count)]
    shares = shares_of_time(spans)
    assert math.isclose(sum(shares), spans[-1][1], rel_tol=1e-9)
    assert min(shares) > 0


def test_silence_has_a_reason_and_no_say_in_the_verdict(voice, tmp_path):
    sound = np.concatenate([tone(1.0), np.zeros(96_000, np.float32), tone(1.0)])
    (tmp_path / "pause.wav").write_bytes(wav(sound))
    (timeline,) = predict_timeline(voice, tmp_path / "pause.wav", window=1.0, step=1.0)
    assert [s.reason.partition(":")[0] for s in timeline.steps] == ["", "silence", "silence", ""]
    assert timeline.unjudged == pytest.approx(2.0)
    assert sum(timeline.time_shares.values()) == pytest.approx(1)
    assert timeline.error == ""


def test_silence_all_along_is_an_error(voice, tmp_path):
    (tmp_path / "nothing.wav").write_bytes(wav(np.zeros(96_000, np.float32)))
    (timeline,) = predict_timeline(voice, tmp_path / "nothing.wav", window=1.0)
    assert timeline.error.startswith("no window could be judged: silence")
    assert timeline.probabilities == {}
    assert timeline.as_dict()["emotion"] is None


def test_windows_beyond_the_end_of_the_video_are_not_judged(both, tmp_path):
    (tmp_path / "long.mp4").write_bytes(mp4(moving_bars(30), sound=tone(3.0)))
    (timeline,) = predict_timeline(both, tmp_path / "long.mp4", window=1.0, step=1.0)
    assert [bool(s.probabilities) for s in timeline.steps] == [True, False, False]
    assert timeline.steps[1].reason == "no video: it ends at 1.0 s"


def test_errors_of_one_file_do_not_stop_the_others(voice, recordings, tmp_path):
    talk = (recordings / "talk.wav").read_bytes()
    files = {
        "fine.wav": talk,
        "truncated.wav": talk[: len(talk) // 2],
        "fake.wav": b"hello, I am a text",
        "empty.wav": b"",
        "seen.mp4": mp4(moving_bars(20)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = {t.clip: t for t in predict_timeline(voice, tmp_path, window=1.0)}
    assert found["fine"].error == ""
    assert "breaks off" in found["truncated"].error
    assert "not a media file that can be read" in found["fake"].error
    assert "empty" in found["empty"].error
    assert "no sound stream" in found["seen"].error
    assert [t.steps for t in found.values() if t.error] == [()] * 4
    json.dumps([t.as_dict() for t in found.values()], allow_nan=False)


def test_what_comes_before_damage_is_kept_without_a_verdict(voice, recordings, monkeypatch):
    from emodask.errors import MediaError
    from emodask.media import windows as module

    whole = module.sound_pieces

    def breaking(media):
        for number, piece in enumerate(whole(media)):
            if number == 1:
                raise MediaError("decoding sound broke off")
            yield piece

    monkeypatch.setattr(module, "sound_pieces", breaking)
    (timeline,) = predict_timeline(voice, recordings / "talk.wav", window=0.5, step=0.5)
    assert timeline.error == "read up to 1.0 s: decoding sound broke off"
    assert len(timeline.judged) == 2
    assert timeline.probabilities == {}


def test_zips_may_hold_files_of_any_name_and_two_of_one_name_stay_apart(
    voice, recordings, tmp_path
):
    talk = (recordings / "talk.wav").read_bytes()
    names = ["ann/take.wav", "bob/take.wav", "ann/._take.wav", "03-01-05-01-01-01-09.wav", "a.txt"]
    archive = zip_of(tmp_path / "all.zip", dict.fromkeys(names, talk))
    found = predict_timeline(voice, archive, window=2.0, step=2.0)
    assert [t.clip for t in found] == ["take", "bob/take", "01-05-01-01-01-09"]
    assert not any(t.error for t in found)


def test_a_missing_modality_is_said_as_by_plain_predictions(both, recordings):
    (timeline,) = predict_timeline(both, recordings / "talk.wav")
    (plain,) = predict(both, recordings / "talk.wav")
    assert "needs video and audio, and no video came with talk.wav" in timeline.error
    assert timeline.error == plain.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0.0}, "a window of 0 s: 0.1 to 60 s"),
        ({"window": 61.0}, "0.1 to 60 s would be right"),
        ({"step": 0}, "a step of 0: seconds, at least 0.01"),
        ({"step": "soon"}, "a step of 'soon': seconds"),
        ({"step": "0f"}, "or video frames, such as 20f"),
        ({"step": "20f"}, "a step of 20f counts video frames, and this bundle sees no video"),
    ],
)
def test_windows_and_steps_that_cannot_be_are_refused(voice, recordings, options, message):
    with pytest.raises(UsageError, match=message):
        predict_timeline(voice, recordings / "talk.wav", **options)


def test_what_is_not_there_is_refused_before_any_work(voice, recordings):
    with pytest.raises(SourceError, match="no such file"):
        predict_timeline(voice, [recordings / "talk.wav", recordings / "absent.wav"])


def test_storage_options_that_are_dictionaries_are_no_hindrance(both, recordings):
    options = {"client_kwargs": {"region_name": "here"}}
    (found,) = predict_timeline(both, [recordings / "talk.mp4"], options, window=1.0)
    assert found.error == ""


def test_steps_may_count_video_frames(both, recordings):
    (timeline,) = predict_timeline(both, recordings / "talk.mp4", window=1.0, step="20f")
    starts = [step.start for step in timeline.steps]
    assert starts[:3] == pytest.approx([0, 20 / 30, 40 / 30])
    assert timeline.step == "20f"


def test_progress_is_told_as_windows_are_judged(voice, recordings):
    seen = []
    predict_timeline(
        voice,
        recordings / "talk.wav",
        window=1.0,
        on_progress=lambda clip, seconds: seen.append((clip, seconds)),
    )
    assert seen == [("talk", 1.0), ("talk", 1.5), ("talk", 2.0), ("talk", 2.5)]


def test_a_plain_prediction_of_long_media_points_to_the_timeline(small_store, tmp_path):
    job = parse_job({**SMALL, "models": {"svc": {"kind": "svc", "features": ["spline"]}}})
    fit(job, small_store, tmp_path / "b")
    index = json.loads((tmp_path / "b" / "bundle.json").read_text())
    index["job"]["data"]["max_seconds"] = 1.0
    (tmp_path / "b" / "bundle.json").write_text(json.dumps(index))
    (tmp_path / "long.wav").write_bytes(wav(tone(2.0)))
    (verdict,) = predict(tmp_path / "b", tmp_path / "long.wav")
    assert verdict.error == ("the sound is longer than 1 s; --timeline predicts along longer media")


def test_a_bundle_says_what_its_probabilities_are(small_store, tmp_path):
    models = {
        "svc": {"kind": "svc", "features": ["spline"]},
        "sure": {"kind": "svc", "features": ["spline"], "calibrate": True},
        "own": {"kind": "logistic"},
        "both": {"kind": "fusion", "members": ["sure", "own"], "rule": "product"},
    }
    job = parse_job({**SMALL, "models": models, "evaluation": {"protocols": ["loso"]}})
    figures = {"uar": 0.5, "uar_ci95": [0.4, 0.6], "accuracy": 0.5}
    entry = {**figures, "calibration": {"ece": 0.029}}
    metrics = {
        "protocols": {"loso": {"speaker_independent": True, "models": dict.fromkeys(models, entry)}}
    }
    said = {}
    for name in models:
        fit(job, small_store, tmp_path / name, model=name, metrics=metrics)
        said[name] = trust(load_bundle(tmp_path / name))
    assert said["svc"].origin == "softmax of decision values, not calibrated"
    assert said["sure"].origin.startswith("calibrated on actors")
    assert said["own"].origin == "the classifier's own, not calibrated"
    assert "product of the members' probabilities, not calibrated" in said["both"].origin
    assert [found.calibrated for found in said.values()] == [False, True, False, False]
    assert "expected calibration error on clips of new people 2.9 points (loso)" in str(
        said["sure"]
    )


def test_a_bundle_without_a_calibration_error_still_loads_and_says_so(voice, recordings):
    assert "how far off they are was not measured" in str(trust(load_bundle(voice)))
    (verdict,) = predict(voice, recordings / "talk.wav")
    assert verdict.trust.origin == "softmax of decision values, not calibrated"
    assert verdict.as_dict()["trust"]["expected_calibration_error"] is None
    assert list(verdict.probabilities) == list(EMOTIONS)


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "ogg"])
def test_sound_as_phones_and_browsers_keep_it_is_taken_by_name(voice, tmp_path, suffix):
    kinds = {"mp3": ("mp3", "libmp3lame"), "m4a": ("ipod", "aac"), "ogg": ("ogg", "libopus")}
    container, codec = kinds[suffix]
    file = tmp_path / f"talk.{suffix}"
    with av.open(str(file), "w", format=container) as target:
        stream = target.add_stream(codec, rate=48_000, layout="mono")
        encoder = av.AudioResampler(stream.format, "mono", 48_000, stream.frame_size)
        frame = av.AudioFrame.from_ndarray(tone(1.5)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for piece in [*encoder.resample(frame), *encoder.resample(None)]:
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    (timeline,) = predict_timeline(voice, file)
    assert timeline.error == ""
    assert timeline.seconds == pytest.approx(1.5, abs=0.1)
