"""Two corpora, and two channels, through whole jobs as they ship; identical clips are named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from emodask.errors import ProtocolError
from emodask.evaluation.assignments import Fold
from emodask.evaluation.clips import Clips, named_protocols, usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.identical import identical_notes
from emodask.evaluation.identities import Identities
from emodask.evaluation.results import rows
from emodask.extraction import extract
from emodask.job import Job, load_job, parse_job
from emodask.pipeline import run
from emodask.sources.synth import clip_bytes, synthesize
from emodask.store import StoreAddress
from tests.media_files import tone, wav, zip_of

EMOTIONS = {"happy": 3, "sad": 4, "angry": 5}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """Synthetic wavs named as RAVDESS's (two actors) and TESS's (both speakers), in two zips."""
    folder = tmp_path_factory.mktemp("corpora")
    ravdess = {
        f"Actor_{actor:02d}/03-01-{code:02d}-01-01-{take:02d}-{actor:02d}.wav": clip_bytes(
            actor, code, repetition=take, seconds=1.2, modality="audio-only"
        )
        for actor in (1, 2)
        for code in EMOTIONS.values()
        for take in (1, 2)
    }
    # Somebody's clip of one emotion is his clip of another, byte for byte.
    ravdess["Actor_02/03-01-05-01-01-02-02.wav"] = ravdess["Actor_02/03-01-04-01-01-02-02.wav"]
    zip_of(folder / "Audio_Speech_Actors_01-02.zip", ravdess)
    tess = {
        f"TESS/{speaker}_{emotion}/{speaker}_{word}_{emotion}.wav": wav(
            tone(1.0, 24_414, pitch + 30 * code + len(word)), 24_414
        )
        for speaker, pitch in (("OAF", 120), ("YAF", 170))
        for emotion, code in EMOTIONS.items()
        for word in ("dog", "youth")
    }
    zip_of(folder / "TESS.zip", tess)
    return folder


def small(name: str, **models) -> dict:
    """Settings of a shipped job with models that are fitted at once."""
    settings = load_job(name).settings()
    quick = {"svc": {"kind": "svc"}}
    reductions = {"spline": {"dims": ["basis", "feature"], "ranks": [4, 20]}}
    return {**settings, "models": models or quick, "reductions": reductions}


def of_three(settings: dict) -> Job:
    """The job on the emotions of these clips: it names others, without which it is refused."""
    return parse_job({**settings, "data": {**settings["data"], "emotions": list(EMOTIONS)}})


@pytest.fixture(scope="module")
def result(corpora, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return run(of_three(load_job("two-corpora").settings()), f"{corpora}/*.zip", out), out


def test_the_job_of_two_corpora_holds_all_speakers_out_and_crosses_both_ways(result):
    found, out = result
    assert found.exit_code == 0
    assert set(found.metrics["protocols"]) == {"loso", "cross-corpus", "within-actor"}
    loso, cross = (found.metrics["protocols"][name] for name in ("loso", "cross-corpus"))
    assert (loso["folds"], loso["n_actors"], loso["n_clips"]) == (4, 4, 24)
    assert (cross["folds"], cross["n_actors"], cross["n_clips"]) == (2, 4, 24)
    assert cross["speaker_independent"]
    with (out / "report" / "predictions.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["protocol"] == "cross-corpus"]
    tested = {(line["fold"], int(line["actor"]) > 100) for line in lines}
    assert tested == {("test-tess", True), ("test-ravdess", False)}


def test_each_direction_has_figures_of_its_own_that_add_up(result):
    metrics = result[0].metrics
    for name, model in metrics["protocols"]["cross-corpus"]["models"].items():
        folds = model["folds"]
        assert list(folds) == ["test-ravdess", "test-tess"]
        right = sum(fold["accuracy"] * fold["n_clips"] for fold in folds.values())
        assert right / 24 == pytest.approx(model["accuracy"])
        notes = metrics["protocols"]["cross-corpus"]["notes"]
        assert any(note.startswith(f"{name}, test-tess: UAR ") for note in notes)
    assert "folds" not in metrics["protocols"]["loso"]["models"]["mlp"]
    page = (result[1] / "report" / "index.html").read_text()
    assert "test-ravdess: UAR" in page


def test_the_report_names_identical_clips_and_credits_both_corpora(result):
    metrics = result[0].metrics
    same = ["01-04-01-01-02-02", "01-05-01-01-02-02"]
    assert metrics["data"]["identical"] == [same]
    for protocol in metrics["protocols"].values():
        assert any(" = ".join(same) in note for note in protocol["notes"])
    page = (result[1] / "report" / "index.html").read_text()
    assert " = ".join(same) in page
    assert "Livingstone" in page
    assert "Pichora-Fuller" in page


def test_identical_clips_on_both_sides_of_a_fold_are_said_to_be(result):
    clips = Clips(
        rows=range(3),
        clip_id=usable_clips(
            of_three(load_job("two-corpora").settings()), StoreAddress.of(result[1] / "store.zarr")
        ).clip_id[:3],
        identities=Identities.of([1, 1, 2], [3, 4, 5]),
        counts={},
        identical=(("01-03-01-01-01-01", "01-03-01-01-02-01"),),
    )
    crossing, apart = Fold("a", [0, 2], [1]), Fold("b", [2], [0, 1])
    notes = identical_notes(clips, [crossing, apart])
    assert notes[1] == "1 fold of 2 tested a clip whose very bytes were trained on"
    assert len(identical_notes(clips, [apart])) == 1


@pytest.fixture(scope="module")
def channels(tmp_path_factory) -> Path:
    """Two synthetic actors who speak eight clips and sing eight."""
    folder = tmp_path_factory.mktemp("channels")
    for channel in ("speech", "song"):
        sizes = {"actors": 2, "clips": 8, "size": (64, 36), "seconds": 1.2, "workers": 1}
        synthesize(folder, **sizes, modalities=["audio-only"], channel=channel)
    return folder


def test_the_job_of_speech_and_song_goes_from_one_to_the_other(channels, tmp_path):
    found = run(parse_job(small("speech-and-song")), f"{channels}/*.zip", tmp_path / "out")
    assert found.exit_code == 0
    protocols = found.metrics["protocols"]
    # Of eight spoken clips of a person, two are of emotions that nobody sings.
    assert protocols["loso"]["n_clips"] == 2 * 8 + 2 * 6
    assert protocols["speech-to-song"]["n_clips"] == 2 * 8
    assert protocols["speech-to-song"]["folds"] == 2
    per_emotion = protocols["speech-to-song"]["models"]["svc"]["per_emotion"]
    assert set(per_emotion) == {"neutral", "calm", "happy", "sad", "angry", "fearful"}


def test_emotions_that_song_lacks_do_not_count_against_chance_or_uar(channels, tmp_path):
    settings = small("speech-and-song")
    settings["data"] = {"channels": ["song", "speech"]}  # all eight emotions
    settings["evaluation"] = {"protocols": ["speech-to-song"]}
    found = run(parse_job(settings), f"{channels}/*.zip", tmp_path / "out")
    summary = found.metrics["protocols"]["speech-to-song"]["models"]["svc"]
    assert summary["per_emotion"]["disgust"]["support"] == 0
    (row,) = rows(found.metrics)
    assert row.chance == pytest.approx(1 / 6)
    recalls = [e["recall"] for e in summary["per_emotion"].values() if e["support"]]
    assert summary["uar"] == pytest.approx(sum(recalls) / 6)


def test_a_protocol_that_the_sources_do_not_allow_is_refused_before_any_work(
    corpora, tmp_path, monkeypatch
):
    def never(*arguments, **options):
        raise AssertionError("work has begun")

    monkeypatch.setattr("emodask.extraction.extract_clips", never)
    job = of_three(load_job("two-corpora").settings())
    with pytest.raises(ProtocolError, match=r"job two-corpora: .*'cross-corpus' needs") as error:
        run(job, f"{corpora}/TESS.zip", tmp_path / "out")
    assert "there is tess alone, in 12 clips" in str(error.value)
    assert "take it out of evaluation.protocols" in str(error.value)
    assert error.value.exit_code == 2
    assert not (tmp_path / "out" / "store.zarr").exists()
    settings = {**small("two-corpora"), "evaluation": {}}
    assert named_protocols(parse_job(settings)) == ()


def test_a_store_that_does_not_allow_a_protocol_is_refused_before_any_fold(
    corpora, tmp_path, monkeypatch
):
    job = of_three(small("two-corpora"))
    extract(job, f"{corpora}/TESS.zip", tmp_path / "s.zarr")

    def never(*arguments, **options):
        raise AssertionError("folds have begun")

    monkeypatch.setattr("emodask.evaluation.evaluate.run_folds", never)
    with pytest.raises(ProtocolError, match="'cross-corpus' needs clips of at least 2 corpora"):
        evaluate(job, tmp_path / "s.zarr", tmp_path / "report")
