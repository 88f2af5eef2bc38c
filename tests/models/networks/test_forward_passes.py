"""Promises of embeddings: a network is run once on the clips of a side, and says the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from emodask.evaluation.folds import _predict_models
from emodask.evaluation.sides import FoldTask, Sides
from emodask.models.bundle import Bundle, load_bundle, save_bundle
from emodask.models.fusion import combine
from emodask.models.learning import fit_model
from emodask.models.networks.network import Network
from emodask.models.remembering import Remembering
from emodask.reduction import TensorReducer
from tests.models.networks.conftest import HEAD, TINY, job_of

VOICE = {**HEAD, "features": ["spline"]}
READERS = {
    "linear": {"kind": "svc", "embeddings": ["voice"], "parameters": {"kernel": "linear"}},
    "bayes": {"kind": "gaussian-nb", "embeddings": ["voice"]},
    "upper": {"kind": "embedding-fusion", "embeddings": ["voice"], "parameters": TINY},
    "early": {"kind": "lda", "features": ["hog3d"], "embeddings": ["voice"]},
}
TEST_ACTOR = 6


@pytest.fixture
def passes(monkeypatch):
    """How often networks were run, by the numbers that a row of theirs has and by rows."""
    counted = Counter()
    real = Network._through

    def spy(self, X):
        counted[X.shape[1], X.shape[0]] += 1
        return real(self, X)

    monkeypatch.setattr(Network, "_through", spy)
    return counted


def sides_of(clips):
    matrices, labels, actors = clips
    test = actors == TEST_ACTOR
    rows = np.arange(len(labels))
    task = FoldTask("loso", "f", rows[~test], rows[test], labels[~test])
    known, unseen = (
        {name: matrix[side] for name, matrix in matrices.items()} for side in (~test, test)
    )
    return Sides(task, known, unseen, actors[~test], actors[test])


def test_a_fold_runs_a_network_once_a_side_for_all_that_read_it(clips, passes):
    job = job_of(**READERS, voice=VOICE)
    sides = sides_of(clips)
    found = _predict_models(job, sides, "", None)
    # Of 8 numbers the voice is read, of 8 units the embeddings: "upper" judges, "voice" judges.
    assert passes == {(8, 80): 1, (8, 16): 3}
    for prediction in found:
        model = fit_model(job, prediction.model, sides.known, sides.task.labels, sides.train_actors)
        assert np.array_equal(prediction.probability, model.predict_proba(sides.unseen))
        assert np.array_equal(prediction.predicted, model.predict(sides.unseen))


def test_a_network_is_run_once_for_verdict_and_probabilities(clips, passes):
    network = fit_model(job_of(voice=VOICE), "voice", *clips)
    codes, chances = network.judge(clips[0])
    assert sum(passes.values()) == 1
    said = network.estimator.predict(clips[0]["spline"])
    assert np.array_equal(codes, said)
    assert codes.dtype == np.int16
    assert np.array_equal(network.predict(clips[0]), codes)
    assert np.array_equal(network.predict_proba(clips[0]), chances)


def test_the_members_of_a_bundle_share_the_networks_that_they_read(clips, passes, tmp_path):
    members = {"kind": "fusion", "members": ["linear", "bayes", "early"]}
    job = job_of(all=members, **READERS, voice=VOICE)
    fitted = fit_model(job, "all", *clips)
    reducers = {name: TensorReducer().fit(clips[0][name]) for name in fitted.features}
    save_bundle(Bundle(job, "all", fitted, reducers, {}), tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    loaded = load_bundle(tmp_path).model
    passes.clear()
    found = loaded.predict_proba(clips[0])
    assert passes == {(8, 96): 1}
    alone = [member.predict_proba(clips[0]) for member in fitted.members.values()]
    assert np.array_equal(found, combine(alone, "mean"))


def test_what_is_remembered_is_bounded_and_of_these_clips_alone():
    rows = Remembering({"voice": np.zeros((4, 2), np.float32)}, most_bytes=100)
    first, second, large = object(), object(), object()
    made = Counter()

    def make(name, numbers):
        def embed():
            made[name] += 1
            return np.full((4, numbers), len(name), np.float32)

        return embed

    for _ in range(2):
        rows.embeddings(first, make("first", 4))  # 64 bytes
    assert made["first"] == 1
    rows.of_same_clips({}).embeddings(first, make("first", 4))
    assert made["first"] == 1
    rows.embeddings(second, make("second", 4))  # which lets the first go
    rows.embeddings(second, make("second", 4))
    rows.embeddings(first, make("first", 4))
    assert made == {"first": 2, "second": 1}
    for _ in range(2):
        assert rows.embeddings(large, make("large", 8)).shape == (4, 8)  # 128 bytes: never kept
    assert rows.embeddings(first, make("first", 4)).shape == (4, 4)
    assert made == {"first": 2, "second": 1, "large": 2}
    other = Remembering({"voice": np.ones((4, 2), np.float32)}, most_bytes=100)
    other.embeddings(first, make("first", 4))
    assert made["first"] == 3
