"""The frame CNN: pictures judged alone, clips by all of theirs; changes while training only."""

from __future__ import annotations

import os

import numpy as np
import pytest

from emodask.networks import installed

if not installed():
    if os.environ.get("CI"):
        pytest.fail("PyTorch is not installed; pip install 'emodask[networks]'")
    pytest.skip("needs pip install 'emodask[networks]'", allow_module_level=True)

import torch

from emodask.models.networks.frame_cnn import FrameCnn
from emodask.models.networks.picture_layers import GrayLevels, augmented

SIDE = 16
SHAPES = ((2, SIDE, SIDE),)


@pytest.fixture(scope="module")
def clips():
    """Pictures that are bright in as many rows as their emotion says, of five people."""
    rng = np.random.default_rng(0)
    emotions = np.repeat([1, 3, 8], 10)
    pictures = rng.integers(0, 60, (30, 2, SIDE, SIDE)).astype(np.float32)
    for place, emotion in enumerate(emotions):
        pictures[place, :, : 2 * emotion - 1] += 150
    return pictures.reshape(30, -1), emotions, np.tile(np.arange(5), 6)


@pytest.fixture(scope="module")
def fitted(clips):
    settings = {"epochs": 12, "batch_size": 8, "learning_rate": 3e-3}
    return FrameCnn(**settings, shapes=SHAPES, random_state=0).fit(*clips)


def test_it_learns_what_pictures_show(clips, fitted):
    pictures, emotions, _ = clips
    assert fitted.predict(pictures).tolist() == emotions.tolist()
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"]


def test_a_clip_is_the_mean_of_its_pictures(clips, fitted):
    pictures = clips[0]
    alone = FrameCnn(shapes=((1, SIDE, SIDE),))
    alone.classes_, alone.weights_ = fitted.classes_, fitted.weights_
    alone.shapes_ = alone.shapes
    each = alone.predict_proba(pictures.reshape(60, -1)).reshape(30, 2, 3)
    assert np.abs(each[:, 0] - each[:, 1]).max() > 1e-3
    np.testing.assert_allclose(fitted.predict_proba(pictures), each.mean(axis=1), atol=1e-5)
    assert fitted.embed(pictures).shape == (30, 2 * 32)


def test_the_same_fit_gives_the_same_bytes(clips, fitted):
    again = FrameCnn(**fitted.get_params()).fit(*clips)
    assert again.weights_ == fitted.weights_
    assert again.history_ == fitted.history_


@pytest.mark.parametrize(("size", "parameters"), [(0, 230_136), (128, 131_832)])
def test_the_parameters_are_those_documented(size, parameters):
    layers = FrameCnn(size=size).layers((256, 256), 8)
    assert sum(p.numel() for part in layers for p in part.parameters()) == parameters


@pytest.mark.parametrize(("dims", "size"), [((256, 256), 64), ((33, 50), 0), ((7, 2), 0)])
def test_pictures_of_any_size_go_through(dims, size):
    hidden, head = FrameCnn(size=size).layers(dims, 8)
    assert head(hidden.eval()(torch.zeros(3, *dims))).shape == (3, 8)


def test_training_rows_alone_are_changed_and_anew_each_time(clips):
    shown = []

    class Watched(FrameCnn):
        def augmented(self, batch, generator):
            shown.append(super().augmented(batch, generator))
            return shown[-1]

    watched = Watched(epochs=2, batch_size=8, shapes=SHAPES, random_state=0)
    watched.fit(*clips)
    assert len(shown) == 6
    first, second = torch.cat(shown[:3]), torch.cat(shown[3:])
    assert len(first) == len(second) == 24  # one of the five people is held out
    assert not set(map(bytes, first.numpy())) & set(map(bytes, second.numpy()))
    assert min(first.min(), second.min()) >= 0
    assert max(first.max(), second.max()) <= 255
    watched.predict(clips[0])
    assert len(shown) == 6
    batch = torch.from_numpy(clips[0])
    assert FrameCnn(augment=False).augmented(batch, torch.Generator()) is batch


def test_changes_are_small_and_half_are_mirrored():
    pictures = torch.zeros(200, 1, 32, 32)
    pictures[:, :, 12:20, 4:8] = 0.8  # a bar left of the middle
    found = augmented(pictures, torch.Generator().manual_seed(3))
    left = found[..., :16].sum(dim=(1, 2, 3)) > found[..., 16:].sum(dim=(1, 2, 3))
    assert 0.35 < left.float().mean() < 0.65
    bar = (found - found.amin(dim=(1, 2, 3), keepdim=True)).sum(dim=(1, 2, 3))
    share = bar / pictures[0].sum()
    assert share.min() > 0.5
    assert share.max() < 1.7
    assert torch.equal(found, augmented(pictures, torch.Generator().manual_seed(3)))
    assert not torch.equal(found, augmented(pictures, torch.Generator().manual_seed(4)))


def test_gray_levels_become_means_from_0_to_1():
    levels = torch.tensor([[[0.0, 255.0], [255.0, 255.0]]])
    assert GrayLevels()(levels).flatten().tolist() == [0, 1, 1, 1]
    assert GrayLevels(1)(levels).item() == 0.75


def test_features_that_are_no_pictures_are_refused(clips):
    with pytest.raises(ValueError, match=r"one feature of \(picture, y, x\), not 16 x 32"):
        FrameCnn(shapes=((16, 32),)).fit(*clips)
