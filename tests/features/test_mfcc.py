"""MFCC families: equal to librosa's functions, one shape for all clips, clear about bad ones."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from pydantic import ValidationError

from emodask.errors import FeatureError
from emodask.features import family
from emodask.features.mfcc import Settings, mfcc_frames
from emodask.features.mfcc_statistics import NAMES, mfcc_statistics
from tests.oracles import audio as oracle

RATE = 22050


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return oracle.voiced()


def librosas(samples: np.ndarray) -> np.ndarray:
    """Statistics by librosa's functions, one after the other."""
    cepstrum = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=13)
    parts = [cepstrum, librosa.feature.delta(cepstrum), librosa.feature.delta(cepstrum, order=2)]
    curves = np.concatenate(parts).astype(np.float64)
    found = [curves.mean(axis=1), curves.min(axis=1), curves.max(axis=1), curves.std(axis=1)]
    return np.concatenate([*found, [librosa.feature.rms(y=samples).mean()]])


def test_statistics_are_those_of_librosas_curves(voice: np.ndarray) -> None:
    found = mfcc_statistics(voice, RATE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, librosas(voice), rtol=1e-4, atol=2e-3)


def test_statistics_of_a_real_clip_are_those_of_librosas_curves(ravdess) -> None:
    clip = oracle.ravdess_clip(ravdess, "Actor_08/03-01-06-02-02-01-08.wav")
    np.testing.assert_allclose(mfcc_statistics(clip, RATE), librosas(clip), rtol=1e-4, atol=2e-3)


def test_each_statistic_has_a_name_of_its_own(voice: np.ndarray) -> None:
    found = dict(zip(NAMES, mfcc_statistics(voice, RATE), strict=True))
    assert len(found) == 157
    assert found["mfcc_0/minimum"] <= found["mfcc_0/mean"] <= found["mfcc_0/maximum"]
    assert found["rms/mean"] == pytest.approx(librosa.feature.rms(y=voice).mean(), rel=1e-5)


@pytest.mark.parametrize("seconds", [0.5, 1.5, 4.0])
def test_frames_are_librosas_of_the_start_and_silence_after_it(
    voice: np.ndarray, seconds: float
) -> None:
    length = round(seconds * RATE)
    expected = librosa.feature.mfcc(
        y=librosa.util.fix_length(voice, size=length), sr=RATE, n_mfcc=40
    )
    found = mfcc_frames(voice, RATE, seconds)
    assert found.shape == (Settings(rate=RATE, seconds=seconds).frames, 40)
    np.testing.assert_allclose(found, expected.T, rtol=1e-4, atol=2e-3)


def test_clips_of_any_length_give_the_declared_shape() -> None:
    settings = Settings()
    declared = tuple(family("mfcc").dims(settings).values())
    for seconds in (0.1, 1, 4, 9.3):
        samples = oracle.voiced(seconds, rate=8000)
        assert family("mfcc").compute(samples, settings, 0).shape == declared == (63, 40)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "the audio is empty"),
        (np.ones(4095), r"too short: 0\.186 s .* deltas need 9 frames, which is 0\.186 s"),
        (np.zeros(9000), "silence"),
        (np.full(9000, np.inf), "NaN or infinite"),
        (np.ones((2, 9000)), "one channel"),
    ],
)
def test_bad_sound_is_refused_with_a_reason(samples: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        mfcc_statistics(samples, RATE)


def test_impossible_settings_are_refused() -> None:
    for wrong in ({"rate": 0}, {"seconds": 0}, {"coefficients": 129}, {"hop": 1}):
        with pytest.raises(ValidationError):
            Settings(**wrong)
