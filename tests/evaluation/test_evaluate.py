"""Promises of evaluation: everything fitted inside the folds, and a report that adds up."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from emodask.cluster import connect
from emodask.emotions import CODES, EMOTIONS
from emodask.errors import EvaluationError, JobError, StoreError
from emodask.evaluation import folds
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.folds import run_folds
from emodask.evaluation.sides import FoldTask
from emodask.extraction import extract
from emodask.job import parse_job
from emodask.models.bundle import load_bundle
from emodask.models.system import with_models
from emodask.pipeline import run
from emodask.store import StoreAddress, open_group
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav


@pytest.fixture(scope="module")
def report(small_job, small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return evaluate(small_job, small_store, folder), folder


def rows_of(folder):
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_metrics_and_predictions_agree(report):
    metrics, folder = report
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    rows = rows_of(folder)
    for protocol, entry in metrics["protocols"].items():
        for model, summary in entry["models"].items():
            mine = [r for r in rows if (r["protocol"], r["model"]) == (protocol, model)]
            assert len(mine) == entry["n_clips"]
            right = np.mean([r["true"] == r["predicted"] for r in mine])
            assert summary["accuracy"] == pytest.approx(right)
            assert np.sum(summary["confusion"]) == len(mine)


def test_every_loso_fold_tests_one_actor_and_every_clip_once(report):
    metrics, folder = report
    rows = [r for r in rows_of(folder) if (r["protocol"], r["model"]) == ("loso", "svc")]
    assert {r["fold"]: r["actor"] for r in rows} == {f"actor-{a:02d}": str(a) for a in (1, 2, 3)}
    assert len({r["clip_id"] for r in rows}) == len(rows) == 24
    assert metrics["protocols"]["loso"]["speaker_independent"] is True
    assert metrics["protocols"]["within-actor"]["speaker_independent"] is False


def test_probabilities_add_up_and_the_verdict_is_the_likeliest(report):
    for row in rows_of(report[1]):
        chances = {name: float(row[name]) for name in EMOTIONS}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert chances[row["predicted"]] == pytest.approx(max(chances.values()), abs=1e-6)


def test_the_report_is_one_page_and_carries_the_credit(report):
    page = (report[1] / "index.html").read_text()
    assert "<svg" in page or "data:image/png" in page
    assert "Livingstone" in page
    assert "http-equiv" in page or 'src="http' not in page


def test_folds_in_parallel_workers_give_the_same_predictions(
    report, small_job, small_store, tmp_path
):
    with connect("local", workers=2) as client:
        evaluate(small_job, small_store, tmp_path, client)
    assert rows_of(tmp_path) == rows_of(report[1])


def test_nothing_of_the_test_side_is_learnt_from(small_job, small_store, monkeypatch, tmp_path):
    clips = usable_clips(small_job, small_store)
    train, test = clips.rows[clips.actor != 2], clips.rows[clips.actor == 2]
    task = FoldTask("loso", "actor-02", train, test, clips.emotion[clips.actor != 2])
    shutil.copytree(small_store.url, tmp_path / "wrecked.zarr")
    wrecked = StoreAddress.of(tmp_path / "wrecked.zarr")
    group = open_group(wrecked, "r+")
    for name in ("hog3d", "spline"):
        group[name][test[0] : test[-1] + 1] = 1e6
    seen = []
    real = folds.fit_model

    def spy(job, model, matrices, labels, *others):
        seen.append({name: matrix.copy() for name, matrix in matrices.items()})
        return real(job, model, matrices, labels, *others)

    monkeypatch.setattr(folds, "fit_model", spy)
    expected, _ = run_folds(small_job, small_store, clips, [task])
    changed, _ = run_folds(small_job, wrecked, clips, [task])
    for name in ("hog3d", "spline"):
        assert np.array_equal(seen[0][name], seen[2][name])
    assert not np.array_equal(expected[0].probability, changed[0].probability)


def test_folds_that_share_passes_learn_from_what_each_would_alone(small_store, monkeypatch):
    # Not the spline's last components, whose directions are those of float32's rounding here.
    job = parse_job({**SMALL, "models": {"m": {"kind": "logistic", "features": ["hog3d"]}}})
    clips = usable_clips(job, small_store)
    tasks = [
        FoldTask(
            "loso",
            f"actor-{actor:02d}",
            clips.rows[clips.actor != actor],
            clips.rows[clips.actor == actor],
            clips.emotion[clips.actor != actor],
        )
        for actor in (1, 2, 3)
    ]
    learnt = []
    real = folds.fit_model

    def spy(job, model, matrices, labels, *others):
        learnt.append((matrices["hog3d"], labels))
        return real(job, model, matrices, labels, *others)

    monkeypatch.setattr(folds, "fit_model", spy)
    together, _ = run_folds(job, small_store, clips, tasks)
    alone = [p for task in tasks for p in run_folds(job, small_store, clips, [task])[0]]
    assert [p.fold for p in together] == [p.fold for p in alone] == [t.fold for t in tasks]
    for (one, labels), (other, same) in zip(learnt[:3], learnt[3:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())
        assert np.array_equal(labels, same)


def test_a_fold_that_cannot_be_fitted_refuses_its_protocol_alone(small_job, small_store):
    clips = usable_clips(small_job, small_store)
    good = FoldTask("loso", "a", clips.rows[8:], clips.rows[:8], clips.emotion[8:])
    one_emotion = clips.rows[:1]
    bad = FoldTask("within-actor", "b", one_emotion, clips.rows[8:], clips.emotion[:1])
    nobody = FoldTask("luna-5", "c", clips.rows[:0], clips.rows[8:], clips.emotion[:0])
    predictions, refused = run_folds(small_job, small_store, clips, [good, bad, nobody])
    assert {p.protocol for p in predictions} == {"loso"}
    assert "fewer than two emotions" in refused["within-actor"]
    assert "no clips to fit on" in refused["luna-5"]


def test_a_protocol_that_failed_clips_make_impossible_says_why_and_the_others_run(
    small_job, tmp_path
):
    media = tmp_path / "media"
    media.mkdir()
    for emotion in range(2, 8):
        for take in (1, 2):
            name = f"01-01-{emotion:02d}-01-01-{take:02d}-01.mp4"
            frames = moving_bars(12, seed=emotion * 2 + take)
            sound = tone(pitch=80 + 30 * emotion + take)
            (media / name).write_bytes(mp4(frames, sound=sound))
    for emotion in (3, 4, 5):  # somebody else, of whom nothing can be read
        (media / f"03-01-{emotion:02d}-01-01-01-02.wav").write_bytes(b"RIFF")
    extract(small_job, str(media), tmp_path / "s.zarr")
    metrics = evaluate(small_job, tmp_path / "s.zarr", tmp_path / "report")
    assert "actor" in metrics["protocols"]["loso"]["not_run"]
    within = metrics["protocols"]["within-actor"]["models"]["svc"]
    assert within["uar_ci95"] is None
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_job_of_one_modality_uses_every_row_that_has_it(tmp_path):
    settings = {**SMALL, "models": {"svc": {"kind": "svc", "features": ["spline"]}}}
    job = parse_job(settings)
    media = tmp_path / "media"
    media.mkdir()
    (media / "01-01-03-01-01-01-01.mp4").write_bytes(mp4(moving_bars(9), sound=tone()))
    (media / "03-01-04-01-01-01-02.wav").write_bytes(wav(tone(pitch=220)))
    (media / "02-01-05-01-01-01-02.mp4").write_bytes(mp4(moving_bars(9, seed=3)))
    summary = extract(job, str(media), tmp_path / "s.zarr")
    assert (summary.done, summary.incomplete) == (1, 2)
    clips = usable_clips(job, tmp_path_store := address(tmp_path))
    assert clips.emotion.tolist() == [CODES["happy"], CODES["sad"]]
    both = parse_job(SMALL)
    assert usable_clips(both, tmp_path_store).emotion.tolist() == [CODES["happy"]]


def test_models_that_need_less_are_evaluated_on_more_clips(tmp_path):
    models = {"both": {"kind": "lda"}, "voice": {"kind": "lda", "features": ["spline"]}}
    job = parse_job({**SMALL, "models": models, "evaluation": {"protocols": ["loso"]}})
    media = tmp_path / "media"
    media.mkdir()
    for actor in (1, 2):
        for emotion in (3, 4, 5):
            for take in (1, 2):
                sound = tone(pitch=90 + 40 * emotion + take, seconds=0.5)
                (media / f"03-01-{emotion:02d}-01-01-{take:02d}-{actor:02d}.wav").write_bytes(
                    wav(sound)
                )
    seen = "01-01-03-01-01-01-01"
    (media / f"03{seen[2:]}.wav").unlink()
    (media / f"{seen}.mp4").write_bytes(mp4(moving_bars(9), sound=tone()))
    result = run(job, str(media), tmp_path / "all")
    assert "--model" not in result.stopped
    assert result.stopped.startswith("model ")
    assert result.metrics is not None  # the report was written, and says what to do
    said = result.metrics["data"]["restricting"]
    assert said.startswith("1 of 12 clips have the features of all models")
    assert said.endswith("--model voice")
    assert said in (tmp_path / "all" / "report" / "index.html").read_text()

    result = run(job, str(media), tmp_path / "all", models=["voice"])
    assert (result.stopped, result.metrics["data"]["restricting"]) == ("", "")
    loso = result.metrics["protocols"]["loso"]
    assert (loso["n_clips"], list(loso["models"])) == (12, ["voice"])
    assert load_bundle(tmp_path / "all" / "bundle").model_name == "voice"


def test_a_model_that_the_job_lacks_is_named_before_any_work(small_job, small_store, tmp_path):
    with pytest.raises(JobError, match="has no model 'mlpp'; there are logistic, svc"):
        evaluate(small_job, small_store, tmp_path, models=["mlpp"])
    with pytest.raises(JobError, match="has no model 'mlpp'"):
        run(small_job, str(tmp_path / "absent.zip"), tmp_path / "out", models=["mlpp"])
    assert not (tmp_path / "out").exists()


def test_a_chosen_fusion_brings_its_members():
    models = {
        "svc": {"kind": "svc"},
        "lda": {"kind": "lda"},
        "ridge": {"kind": "ridge"},
        "late": {"kind": "fusion", "members": ["lda", "ridge"]},
    }
    job = parse_job({**SMALL, "models": models})
    assert list(with_models(job, ["late"]).models) == ["late", "lda", "ridge"]
    deep = {**models, "deep": {"kind": "fusion", "members": ["late", "svc"]}}
    chosen = with_models(parse_job({**SMALL, "models": deep}), ["deep"])
    assert list(chosen.models) == ["deep", "late", "lda", "ridge", "svc"]
    assert with_models(job, ["late"]).extraction() == job.extraction()


def address(tmp_path):
    from emodask.store import StoreAddress

    return StoreAddress.of(tmp_path / "s.zarr")


def test_a_store_of_another_job_is_refused(small_store, tmp_path):
    job = parse_job({**SMALL, "seed": 99})
    with pytest.raises(StoreError, match="holds the features of another job"):
        evaluate(job, small_store, tmp_path)


def test_a_store_without_usable_clips_is_refused(small_job, tmp_path):
    (tmp_path / "03-01-04-01-01-01-02.wav").write_bytes(wav(tone()))
    extract(small_job, str(tmp_path / "*.wav"), tmp_path / "s.zarr")
    with pytest.raises(EvaluationError, match=r"audio and video features \(1 incomplete\)"):
        evaluate(small_job, tmp_path / "s.zarr", tmp_path / "report")
