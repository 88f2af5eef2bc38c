"""Promises of adapting to a speaker: the evaluated arithmetic, enough clips, or clear words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from emodask.errors import BundleError, UsageError
from emodask.evaluation.adaptation import standardised_by_actor
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.passes import StoredRows
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.models.bundle import load_bundle
from emodask.models.system import reduce
from emodask.prediction import FEWEST_CLIPS, predict
from emodask.sources.catalogue import scan
from tests.conftest import SMALL
from tests.media_files import tone, wav
from tests.prediction.conftest import ADAPTED


@pytest.fixture(scope="module")
def voices(corpus, tmp_path_factory):
    """Folder with the sound of every clip of the corpus, as RAVDESS names it."""
    folder = tmp_path_factory.mktemp("voices")
    for clip in scan(f"{corpus}/*.zip").clips:
        (folder / f"03-{clip.clip_id}.wav").write_bytes(clip.media_for("audio").read())
    return folder


@pytest.fixture(scope="module")
def adapting_voice(small_store, tmp_path_factory):
    """A bundle that hears alone, with a speaker-adapted model."""
    folder = tmp_path_factory.mktemp("bundle") / "voice"
    fit(ADAPTED, small_store, folder, model="svc")
    return folder


def test_adapting_is_what_the_evaluation_calls_speaker_adapted(both, corpus, small_store):
    bundle = load_bundle(both)
    clips = usable_clips(ADAPTED, small_store)
    arrays = {name: StoredRows.of(small_store, name, clips.rows) for name in bundle.model.features}
    own = standardised_by_actor(reduce(bundle.reducers, arrays), clips.actor)
    expected = bundle.adapted.predict_proba(own)
    verdicts = {v.clip: v for v in predict(both, f"{corpus}/*.zip", adapt=True)}
    found = [list(verdicts[name].probabilities.values()) for name in clips.clip_id]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert {v.speaker for v in verdicts.values()} == {1, 2, 3}
    plain = {v.clip: v.probabilities for v in predict(both, f"{corpus}/*.zip")}
    assert any(plain[name] != verdicts[name].probabilities for name in plain)


def test_clips_of_unknown_names_are_taken_for_one_speaker(adapting_voice, voices, tmp_path):
    named = sorted(voices.glob("*-01.wav"))
    for number, file in enumerate(named):
        (tmp_path / f"take{number}.wav").write_bytes(file.read_bytes())
    verdicts = predict(adapting_voice, tmp_path, adapt=True)
    assert len(verdicts) == FEWEST_CLIPS
    assert {v.speaker for v in verdicts} == {0}
    assert verdicts[0].as_dict()["adapted_to_speaker"] == 0
    assert not any(v.error for v in verdicts)


def test_too_few_clips_are_refused_before_any_is_read(adapting_voice, voices):
    files = sorted(voices.glob("*-01.wav"))[: FEWEST_CLIPS - 1]
    with pytest.raises(UsageError, match="7 clips of speaker 1: adapting needs at least 8 of each"):
        predict(adapting_voice, files, adapt=True)


def test_a_speaker_with_too_few_clips_does_not_stop_the_others(adapting_voice, voices):
    files = [*sorted(voices.glob("*-01.wav")), *sorted(voices.glob("*-02.wav"))[:2]]
    verdicts = predict(adapting_voice, files, adapt=True)
    assert [bool(v.error) for v in verdicts] == [False] * 8 + [True] * 2
    assert "2 clips of speaker 2: adapting needs at least 8" in verdicts[-1].error


def test_clips_that_cannot_be_read_do_not_count(adapting_voice, voices, tmp_path):
    for file in sorted(voices.glob("*-01.wav")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    broken = sorted(tmp_path.iterdir())[0]
    broken.write_bytes(wav(tone(0.01)))
    verdicts = predict(adapting_voice, tmp_path, adapt=True)
    assert "too short" in verdicts[0].error
    assert all("7 of 8 clips of speaker 1 can be read" in v.error for v in verdicts[1:])


def test_a_bundle_without_an_adapted_model_says_how_to_get_one(voice, voices):
    with pytest.raises(BundleError, match="write speaker_adapted = true under"):
        predict(voice, voices, adapt=True)


def test_bundles_from_before_adapting_still_load_and_predict(adapting_voice, voices, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for part in adapting_voice.iterdir():
        if not part.name.startswith("adapted-"):
            (folder / part.name).write_bytes(part.read_bytes())
    index = json.loads((folder / "bundle.json").read_text())
    del index["adapted"], index["about"]["evaluation_adapted"]
    (folder / "bundle.json").write_text(json.dumps(index))
    assert load_bundle(folder).adapted is None
    file = sorted(voices.iterdir())[0]
    assert predict(folder, file)[0].probabilities == predict(adapting_voice, file)[0].probabilities


def test_an_adapted_fusion_comes_back_whole(small_store, tmp_path):
    models = {
        "both": {"kind": "fusion", "members": ["voice", "face"], "rule": "weighted"},
        "voice": {"kind": "svc", "features": ["spline"], "scale": True},
        "face": {"kind": "gaussian-nb", "features": ["hog3d"], "scale": True},
    }
    evaluation = {"protocols": ["loso"], "speaker_adapted": True}
    job = parse_job({**SMALL, "models": models, "evaluation": evaluation})
    fitted = fit(job, small_store, tmp_path)
    loaded = load_bundle(tmp_path)
    clips = usable_clips(job, small_store)
    arrays = {name: StoredRows.of(small_store, name, clips.rows) for name in fitted.model.features}
    reduced = standardised_by_actor(reduce(fitted.reducers, arrays), clips.actor)
    assert np.array_equal(
        fitted.adapted.predict_proba(reduced), loaded.adapted.predict_proba(reduced)
    )


@pytest.mark.parametrize("file", ["../classifier.skops", "adapted-x.skops", "/etc/passwd"])
def test_an_adapted_model_is_read_from_no_other_file(adapting_voice, tmp_path, file):
    folder = tmp_path / "b"
    folder.mkdir()
    for part in adapting_voice.iterdir():
        (folder / part.name).write_bytes(part.read_bytes())
    index = json.loads((folder / "bundle.json").read_text())
    index["adapted"]["file"] = file
    (folder / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match="is no file of a bundle"):
        load_bundle(folder)
