"""Models that read pictures as they are stored: evaluated, fitted, asked, and what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from emodask.cluster import connect
from emodask.errors import JobError
from emodask.evaluation.clips import usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.folds import FoldTask, run_folds
from emodask.extraction import extract
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.models.bundle import load_bundle
from emodask.networks import installed
from emodask.prediction import predict, predict_timeline
from emodask.store import StoreAddress, StreamedMatrix

BATCH = 8
FRAMES = {
    "kind": "frame-cnn",
    "features": ["pictures"],
    "parameters": {"epochs": 2, "batch_size": BATCH},
}
SETTINGS = {
    "name": "seen",
    "seed": 3,
    "data": {"batch": 4},
    "features": {
        "pictures": {"frames": 3, "every": 10, "height": 24, "width": 32},
        "mfcc_statistics": {},
    },
    "models": {
        "frames": FRAMES,
        "voice": {"kind": "ridge", "features": ["mfcc_statistics"]},
        "both": {"kind": "fusion", "members": ["frames", "voice"], "rule": "weighted"},
    },
    "evaluation": {"protocols": ["loso"]},
}
JOB = parse_job(SETTINGS)


def with_models(**models):
    return parse_job({**SETTINGS, "models": models})


@pytest.fixture
def network():
    """Skip where PyTorch is absent; fail in CI."""
    if not installed():
        message = "PyTorch is not installed; pip install 'emodask[networks]'"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


@pytest.fixture(scope="module")
def store(corpus, tmp_path_factory) -> StoreAddress:
    folder = tmp_path_factory.mktemp("store") / "store.zarr"
    assert extract(JOB, f"{corpus}/*.zip", folder).done == 24
    return StoreAddress.of(folder)


@pytest.fixture
def batches(monkeypatch):
    """How many rows each read of pictures gave."""
    sizes = []
    real = StreamedMatrix.read

    def spy(self, *places):
        found = real(self, *places)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(StreamedMatrix, "read", spy)
    return sizes


def fold_of(clips, actor=2):
    train = clips.actor != actor
    return FoldTask("loso", "f", clips.rows[train], clips.rows[~train], clips.emotion[train])


def test_an_evaluation_reads_pictures_by_batches_and_reduces_none(
    network, store, tmp_path, batches
):
    job = parse_job({**SETTINGS, "evaluation": {"protocols": ["loso"], "permuted": True}})
    metrics = evaluate(job, store, tmp_path / "report", pictures=False)
    assert "not_run" not in metrics["protocols"]["loso"]
    rows = metrics["protocols"]["loso"]["models"]
    assert list(rows) == [n + s for s in ("", "+permuted") for n in ("frames", "voice", "both")]
    assert all(0 <= row["uar"] <= 1 for row in rows.values())
    assert [fold["epochs"] for fold in rows["frames"]["training"]["folds"]] == [2, 2, 2]
    assert list(metrics["timings"]["reductions"]) == ["mfcc_statistics"]
    assert max(batches) <= BATCH


def test_folds_on_a_cluster_say_what_folds_here_do(network, store):
    job = with_models(
        frames={**FRAMES, "calibrate": True}, own={"kind": "lda", "embeddings": ["frames"]}
    )
    clips = usable_clips(job, store)
    here, refused = run_folds(job, store, clips, [fold_of(clips)])
    assert not refused
    with connect("local", workers=1) as client:
        there, _ = run_folds(job, store, clips, [fold_of(clips)], client)
    for one, other in zip(here, there, strict=True):
        assert one.model == other.model
        assert np.array_equal(one.probability, other.probability), one.model


def test_pictures_of_test_clips_train_nothing(network, store, monkeypatch):
    clips = usable_clips(JOB, store)
    fold, read = fold_of(clips), []
    job = with_models(frames=FRAMES)
    real = StreamedMatrix.read

    def spy(self, places=slice(None)):
        read.append((self.rows[places], bool(training)))
        return real(self, places)

    training = [True]
    from emodask.models.networks.network import Network

    whole = Network.fit

    def fitted(self, *given):
        result = whole(self, *given)
        training.clear()
        return result

    monkeypatch.setattr(StreamedMatrix, "read", spy)
    monkeypatch.setattr(Network, "fit", fitted)
    run_folds(job, store, clips, [fold])
    trained = np.unique(np.concatenate([rows for rows, fitting in read if fitting]))
    asked = np.unique(np.concatenate([rows for rows, fitting in read if not fitting]))
    assert np.array_equal(trained, fold.train)
    assert np.array_equal(asked, fold.test)


def test_a_bundle_holds_no_reduction_of_pictures_and_says_of_media_what_it_says_of_the_store(
    network, store, corpus, tmp_path, batches
):
    folder = tmp_path / "bundle"
    fitted = fit(JOB, store, folder, model="both")
    assert max(batches) <= BATCH
    assert sorted(path.name for path in folder.glob("reduction-*")) == [
        "reduction-mfcc_statistics.npz"
    ]
    loaded = load_bundle(folder)
    assert list(loaded.reducers) == ["mfcc_statistics"]
    clips = usable_clips(JOB, store)
    seen = {"pictures": StreamedMatrix.of(store, "pictures", clips.rows)}
    frames = fitted.model.members["frames"]
    expected = dict(zip(clips.clip_id.tolist(), frames.predict_proba(seen), strict=True))
    fit(with_models(frames=FRAMES), store, tmp_path / "frames")
    alone = load_bundle(tmp_path / "frames")
    assert alone.reducers == {}
    (path,) = corpus.glob("*01.zip")
    verdicts = predict(alone, path)
    assert len(verdicts) == 8
    for verdict in verdicts:
        assert verdict.error == ""
        np.testing.assert_allclose(
            list(verdict.probabilities.values()), expected[verdict.clip], atol=1e-5
        )
    assert all(not verdict.error for verdict in predict(folder, path))
    (timeline, *_) = predict_timeline(alone, path, window=0.5, step=0.25)
    assert timeline.steps
    assert all(step.probabilities for step in timeline.steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"models": {"face": {"kind": "svc", "features": ["pictures"]}}},
            r"models\.face\.features: svc cannot read pictures, .*A network can \(.*frame-cnn.*"
            r"embeddings = \[.NAME.\]",
        ),
        (
            {"models": {"all": {"kind": "lda"}}},
            r"models\.all\.features: lda cannot read pictures",
        ),
        (
            {"models": {"all": {**FRAMES, "features": []}}},
            r"models\.all\.features: pictures .* cannot stand beside mfcc_statistics; give the "
            r'model features = \["pictures"\].* kind = "fusion"',
        ),
        (
            {"reductions": {"pictures": {"dims": ["picture_y"], "ranks": [2]}}},
            r"reductions\.pictures: .* nothing reduces it; leave the table out",
        ),
        (
            {"evaluation": {"speaker_adapted": True}},
            r"models\.frames: pictures .* cannot be standardised .* leave speaker_adapted out",
        ),
    ],
)
def test_what_would_need_all_pictures_at_once_is_refused(change, message):
    with pytest.raises(JobError, match=message):
        parse_job({**SETTINGS, **change})
