"""Filter banks and descriptors are librosa's, to within rounding."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest

from emodask.features.audio.descriptors import CURVES, descriptors, tuning
from emodask.features.audio.filters import chroma_filters, mel_filters
from emodask.features.audio.stft import stft
from tests.oracles import audio as oracle

RATE = 22050
ROWS = {
    "mfcc": slice(0, 13),
    "zcr": slice(13, 14),
    "rms": slice(14, 15),
    "chroma": slice(15, 27),
    "contrast": slice(27, 34),
}


def hum_between_silences() -> np.ndarray:
    """Digital silence around a faint hum: decibels meet their floors, chroma a zero frame."""
    hum = np.zeros(20000, np.float32)
    hum[8000:12000] = 0.004 * np.sin(np.arange(4000) / 11)
    return hum


SIGNALS = {
    "voice": oracle.voiced(),
    "noise": np.random.default_rng(0).standard_normal(12345).astype(np.float32),
    "hum between silences": hum_between_silences(),
    "silence": np.zeros(15000, np.float32),
    "offset": np.full(15000, 0.1, np.float32),
}


@pytest.mark.filterwarnings("ignore:Trying to estimate tuning")
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("name", ROWS)
def test_each_descriptor_is_librosas(name: str, signal: str) -> None:
    samples = SIGNALS[signal]
    expected = np.atleast_2d(oracle.DESCRIPTORS[name](samples, RATE))
    found = descriptors(samples, RATE)[ROWS[name]]
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_descriptors_are_librosas_at_other_rates(rate: int) -> None:
    samples = oracle.voiced(0.5, rate)
    found, expected = descriptors(samples, rate), oracle.descriptors(samples, rate)
    assert oracle.relative_difference(found.T, expected.T).max() < 1e-4


def test_descriptors_of_a_real_clip_are_librosas(ravdess: Path) -> None:
    clip = oracle.ravdess_clip(ravdess, "Actor_05/03-01-03-01-02-02-05.wav")
    found, expected = descriptors(clip, RATE), oracle.descriptors(clip, RATE)
    assert oracle.relative_difference(found.T, expected.T).max() < 1e-4


@pytest.mark.parametrize("semitones", [-0.5, -0.31, 0.0, 0.07, 0.49])
def test_chroma_filters_are_librosas(semitones: float) -> None:
    expected = librosa.filters.chroma(sr=RATE, n_fft=2048, tuning=semitones)
    np.testing.assert_allclose(chroma_filters(RATE, semitones).weights, expected, rtol=1e-6)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_mel_filters_are_librosas(rate: int) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=2048)
    np.testing.assert_allclose(mel_filters(rate).weights, expected, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_tuning_is_librosas(seed: int) -> None:
    samples = oracle.voiced(0.8, RATE, seed)
    power = np.abs(stft(samples)) ** 2
    expected = librosa.estimate_tuning(S=power.T, sr=RATE, bins_per_octave=12)
    assert tuning(power, RATE) == pytest.approx(expected, abs=1e-12)


def test_there_are_34_curves_with_names_of_their_own() -> None:
    assert len(CURVES) == len(set(CURVES)) == 34
    assert CURVES[:2] == ("mfcc_0", "mfcc_1")
    assert CURVES[12:17] == ("mfcc_12", "zcr", "rms", "chroma_0", "chroma_1")
    assert CURVES[26:28] == ("chroma_11", "contrast_0")
