"""Promises of every network: it learns, is seeded, travels whole, and reads what is streamed."""

from __future__ import annotations

import pickle
import random

import cloudpickle
import numpy as np
import pytest
from sklearn.base import clone

from emodask.models.classifiers import CLASSIFIERS, is_network, make_classifier, probabilities
from tests.models.networks.conftest import Separable

SMALL = {
    "mfcc-image-cnn": ((8, 9), {"epochs": 8}),
    "sequence-cnn": ((24,), {"epochs": 12}),
    "curve-cnn": ((4, 8), {"epochs": 8, "learning_rate": 3e-3}),
    "dense-head": ((12,), {"epochs": 12, "hidden": [24], "learning_rate": 1e-2}),
    "embedding-fusion": ((12,), {"epochs": 30, "learning_rate": 1e-2}),
    "frame-layer": ((3, 2, 5), {"epochs": 12, "learning_rate": 1e-2}),
    "conv-head": ((2, 3, 4, 5), {"epochs": 12, "learning_rate": 1e-2}),
}
"""What each kind learns here: the shape of a row, and parameters."""


def network(kind, **more):
    shape, parameters = SMALL[kind]
    chosen = {"batch_size": 16, **parameters, "shapes": (shape,), "device": "cpu", **more}
    return make_classifier(kind, chosen, seed=3)


class Streamed:
    """Rows that are given batch by batch alone."""

    def __init__(self, rows: np.ndarray, most: int) -> None:
        self._rows, self._most = rows, most

    @property
    def shape(self):
        return self._rows.shape

    def __getitem__(self, rows):
        return Streamed(self._rows[rows], self._most)

    def read(self, rows):
        assert len(rows) <= self._most
        return self._rows[rows]


def test_every_network_of_the_table_is_tried_here_or_beside():
    assert set(SMALL) <= {kind for kind in CLASSIFIERS if is_network(kind)}


@pytest.mark.parametrize("kind", SMALL)
def test_a_network_learns_gives_probabilities_and_travels_as_bytes(kind):
    data = Separable.of(*SMALL[kind][0])
    model = network(kind).fit(data.X, data.y, data.actors)
    chances = probabilities(model, data.X)
    assert chances.shape == (96, 4)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(model.classes_[chances.argmax(axis=1)], model.predict(data.X))
    assert (model.predict(data.X) == data.y).mean() > 0.8
    for copy in (pickle, cloudpickle):
        sent = copy.dumps(model)
        assert b"torch" not in sent
        again = pickle.loads(sent)
        assert np.array_equal(again.predict_proba(data.X), chances)
        assert np.array_equal(again.embed(data.X), model.embed(data.X))


def test_the_same_fit_gives_the_same_bytes_and_leaves_random_numbers_alone():
    import torch

    data = Separable.of(24)
    first = network("sequence-cnn", epochs=2).fit(data.X, data.y, data.actors)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    random.seed(5)
    again = network("sequence-cnn", epochs=2).fit(data.X, data.y, data.actors)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == 1
    assert again.weights_ == first.weights_
    assert again.history_ == first.history_
    other = network("sequence-cnn", epochs=2, random_state=4).fit(data.X, data.y, data.actors)
    assert other.weights_ != first.weights_


def test_the_network_of_statistics_has_the_parameters_of_its_author():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(16, 157)).astype(np.float32)
    model = make_classifier("sequence-cnn", {"epochs": 1, "device": "cpu"})
    model.fit(X, np.tile(np.arange(1, 9), 2))
    assert model.n_parameters_ == 102_280
    assert model.training_["parameters"] == 102_280


@pytest.mark.parametrize(
    ("kind", "shape", "classes", "parameters"),
    [
        # conv + normalisation + dense 64 of 256 maps of 11 x 9 + dense 32 + softmax
        ("mfcc-image-cnn", (47, 40), 8, 4352 + 512 + (256 * 99 * 64 + 64) + 2080 + 264),
        ("curve-cnn", (2520,), 2, 384 + 20544 + 2 * 64 * 157 + (64 * 157 * 128 + 128) + 258),
        ("dense-head", (25088,), 8, 25089 * 512 + 513 * 256 + 257 * 8),
        ("embedding-fusion", (256,), 2, 257 * 16 + 17 * 16 + 17 * 2),
        ("frame-layer", (120, 14336), 2, 2 * 14336 + 14337 * 21 + 22 * 2),
        ("conv-head", (6, 128, 4, 4), 8, 129 * 8 + (8 * 16 + 1) * 8),
    ],
)
def test_layers_are_those_of_the_systems_they_are_named_after(kind, shape, classes, parameters):
    import torch

    from emodask.models.networks.modules import Whole

    with torch.device("meta"):
        module = Whole(make_classifier(kind, {}), (shape,), classes)
    assert sum(tensor.numel() for tensor in module.parameters()) == parameters


def test_frames_are_judged_each_by_itself_and_a_clip_by_their_mean():
    data = Separable.of(3, 2, 5)
    model = network("frame-layer").fit(data.X, data.y, data.actors)
    frames = data.X.reshape(96, 3, 10)
    rows = np.concatenate([np.tile(frames[:, number], 3) for number in range(3)])
    alone = model.predict_proba(rows).reshape(3, 96, 4)
    np.testing.assert_allclose(model.predict_proba(data.X), alone.mean(axis=0), atol=1e-6)
    assert model.embed(data.X).shape == (96, 3 * 21)


@pytest.mark.parametrize("scale", [False, True])
def test_what_is_streamed_is_read_by_batches_and_learnt_as_if_it_were_held(scale):
    data = Separable.of(24)
    held = network("sequence-cnn", epochs=2, scale=scale).fit(data.X, data.y, data.actors)
    elsewhere = Streamed(data.X, 64 if scale else 16)
    model = network("sequence-cnn", epochs=2, scale=scale).fit(elsewhere, data.y, data.actors)
    assert model.weights_ == held.weights_
    assert np.array_equal(model.predict_proba(elsewhere), held.predict_proba(data.X))


def test_scaling_is_learnt_from_the_rows_trained_on_and_kept():
    data = Separable.of(12)
    units = np.geomspace(1e-3, 1e5, 12).astype(np.float32)
    plain = network("dense-head", scale=True).fit(data.X, data.y, data.actors)
    large = network("dense-head", scale=True).fit(data.X * units, data.y, data.actors)
    np.testing.assert_allclose(
        large.predict_proba(data.X * units), plain.predict_proba(data.X), atol=1e-3
    )
    constant = np.concatenate([data.X, np.full((96, 1), 7e6, np.float32)], axis=1)
    model = network("dense-head", scale=True, shapes=((13,),)).fit(constant, data.y, data.actors)
    assert np.isfinite(model.predict_proba(constant)).all()


def test_classes_can_count_alike_however_few_rows_they_have():
    data = Separable.of(12)
    rows = np.flatnonzero((data.y != 5) | (np.arange(96) < 8))
    X, y, actors = data.X[rows] / 4, data.y[rows], data.actors[rows]
    share = {}
    for weight in (None, "balanced"):
        model = network("dense-head", class_weight=weight, validation=0, epochs=4)
        share[weight] = model.fit(X, y, actors).predict_proba(X)[:, 2].mean()
    assert share["balanced"] > 1.5 * share[None]


def test_clones_have_the_parameters_and_nothing_learnt():
    model = network("dense-head").fit(*[getattr(Separable.of(12), k) for k in ("X", "y")])
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "weights_")


def test_rows_that_are_not_of_the_shapes_are_refused():
    data = Separable.of(12)
    with pytest.raises(ValueError, match=r"rows of 12 numbers are not 3 x 5"):
        network("dense-head", shapes=((3, 5),)).fit(data.X, data.y)
    fitted = network("dense-head").fit(data.X, data.y)
    for judge in (fitted.predict_proba, fitted.embed):
        with pytest.raises(ValueError, match="rows of 5 numbers are not 12"):
            judge(data.X[:, :5])


def test_rows_without_a_label_each_are_refused():
    data = Separable.of(12)
    with pytest.raises(ValueError, match=f"{len(data.X)} rows have 3 labels"):
        network("dense-head").fit(data.X, data.y[:3])


def test_training_that_diverges_says_so(monkeypatch):
    from emodask.models.networks.kinds import DenseHead

    monkeypatch.setattr(DenseHead, "augmented", lambda self, batch, generator: batch / 0)
    data = Separable.of(12)
    with pytest.raises(ValueError, match=r"diverged \(learning_rate = 0\.01\); use a smaller one"):
        network("dense-head").fit(data.X, data.y, data.actors)
