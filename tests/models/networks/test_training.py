"""Promises of training: people are held out whole, the best epoch is kept, a stop is a stop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodask.models.classifiers import make_classifier
from tests.models.networks.conftest import Separable


def held_apart(*arguments):
    from emodask.models.networks.training import held_apart

    return held_apart(*arguments)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), min_size=2, max_size=60),
    st.floats(0, 0.9),
    st.integers(0, 99),
)
def test_what_is_held_out_never_cuts_a_person_and_leaves_something_to_learn(rows, share, seed):
    labels = np.array([label for label, _ in rows])
    people = np.array([person for _, person in rows])
    known, held_out = held_apart(labels, people, share, seed)
    assert sorted([*known, *held_out]) == list(range(len(rows)))
    if len(set(people.tolist())) > 1:
        assert not set(people[known]) & set(people[held_out])
    assert set(labels[known].tolist()) == set(labels.tolist())
    if not share:
        assert not len(held_out)


def test_without_people_as_many_rows_of_each_class_are_held_out():
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    _, held_out = held_apart(labels, None, 0.2, 0)
    assert np.bincount(labels[held_out]).tolist() == [8, 4, 2]
    _, again = held_apart(labels, np.ones(70), 0.2, 0)
    assert np.array_equal(held_out, again)


def test_who_alone_shows_an_emotion_is_trained_on():
    labels = np.array([0, 1, 2, 0, 1, 0, 1])
    people = np.array([1, 1, 1, 2, 2, 3, 3])
    for seed in range(9):
        known, held_out = held_apart(labels, people, 0.3, seed)
        assert set(labels[known].tolist()) == {0, 1, 2}
        assert len(held_out) == 2


def unlearnable():
    """Rows whose labels are those of other rows: what is learnt of some is wrong of others."""
    data = Separable.of(12)
    rng = np.random.default_rng(1)
    return data, rng.permutation(data.y)


def dense(**parameters):
    chosen = {"hidden": [32], "learning_rate": 1e-2, "device": "cpu", **parameters}
    return make_classifier("dense-head", chosen, seed=2)


def test_training_ends_when_strangers_are_recognised_no_better_and_keeps_the_best_epoch():
    data, labels = unlearnable()
    model = dense(epochs=50, patience=4).fit(data.X, labels, data.actors)
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    assert len(losses) == model.best_epoch_ + 4 < 50
    # The weights are those that the same training has after as many epochs.
    alone = dense(epochs=model.best_epoch_, patience=4).fit(data.X, labels, data.actors)
    assert alone.weights_ == model.weights_


def test_histories_hold_what_a_report_draws():
    data = Separable.of(12)
    model = dense(epochs=3).fit(data.X, data.y, data.actors)
    assert [epoch["epoch"] for epoch in model.history_] == [1, 2, 3]
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]
    assert all(0 <= epoch["valid_uar"] <= 1 for epoch in model.history_)
    assert set(model.training_) == {"parameters", "epochs", "best_epoch", "history"}


def test_with_nothing_held_out_all_epochs_are_trained():
    data, labels = unlearnable()
    model = dense(epochs=5, patience=1, validation=0.0).fit(data.X, labels, data.actors)
    assert len(model.history_) == model.best_epoch_ == 5
    assert {epoch["valid_loss"] for epoch in model.history_} == {None}


def test_no_batch_has_one_row_alone():
    data = Separable.of(8, 9)
    parameters = {"epochs": 1, "batch_size": 5, "shapes": ((8, 9),), "device": "cpu"}
    model = make_classifier("mfcc-image-cnn", {**parameters, "validation": 0.0})
    assert model.fit(data.X[:16], data.y[:16]).history_[0]["train_loss"] > 0


def test_an_odd_number_of_rows_can_be_trained_on_by_two():
    data = Separable.of(8, 9)
    parameters = {"epochs": 1, "batch_size": 2, "shapes": ((8, 9),), "device": "cpu"}
    model = make_classifier("mfcc-image-cnn", {**parameters, "validation": 0.0})
    assert model.fit(data.X[:17], data.y[:17]).history_[0]["train_loss"] > 0


def test_threads_of_one_process_train_as_they_would_alone():
    data = Separable.of(24)

    def trained(seed):
        chosen = {"hidden": [32], "dropout": 0.5, "epochs": 4, "device": "cpu"}
        model = make_classifier("dense-head", chosen, seed=seed)
        return model.fit(data.X, data.y, data.actors).weights_

    alone = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(trained, range(4))) == alone


@pytest.mark.parametrize("epochs", [1, 3])
def test_an_interrupt_in_the_last_epoch_is_an_interrupt_too(epochs, monkeypatch):
    from emodask.models.networks.kinds import DenseHead

    batches = []

    def interrupted(self, batch, generator):
        batches.append(len(batch))
        if sum(batches) > (epochs - 1) * 96:
            raise KeyboardInterrupt
        return batch

    monkeypatch.setattr(DenseHead, "augmented", interrupted)
    data = Separable.of(12)
    with pytest.raises(KeyboardInterrupt):
        dense(epochs=epochs, validation=0.0).fit(data.X, data.y)
    assert sum(batches) > (epochs - 1) * 96


def test_an_interrupt_ends_the_job_and_is_not_taken_for_the_end_of_training(monkeypatch):
    from emodask.models.networks.kinds import DenseHead

    def interrupted(self, batch, generator):
        raise KeyboardInterrupt

    monkeypatch.setattr(DenseHead, "augmented", interrupted)
    data = Separable.of(12)
    with pytest.raises(KeyboardInterrupt):
        dense(epochs=3).fit(data.X, data.y, data.actors)


def test_training_batches_can_be_varied_at_random_and_the_same_every_time(monkeypatch):
    import torch

    from emodask.models.networks.kinds import DenseHead

    seen = []

    def noisy(self, batch, generator):
        seen.append(len(batch))
        return batch + torch.randn(batch.shape, generator=generator)

    data = Separable.of(12)
    plain = dense(epochs=2).fit(data.X, data.y, data.actors)
    monkeypatch.setattr(DenseHead, "augmented", noisy)
    first, again = (dense(epochs=2).fit(data.X, data.y, data.actors) for _ in range(2))
    assert first.weights_ == again.weights_ != plain.weights_
    assert sum(seen) == 2 * 2 * 80  # the sixteen rows held out stay as they are
