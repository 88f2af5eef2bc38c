"""Spectra and variants are librosa's, byte by byte: rounding noise reaches spectral contrast."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest

from emodask.features.audio.stft import istft, stft
from emodask.features.audio.variants import PITCHES, SPEEDS, VARIANTS, variants
from tests.oracles import audio as oracle

RATE = 22050


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return oracle.voiced()


@pytest.fixture(scope="module")
def made(voice: np.ndarray) -> dict[str, np.ndarray]:
    return variants(voice, RATE, seed=3)


@pytest.mark.parametrize("n", [1, 511, 512, 2048, 20000, 33075])
def test_stft_has_the_bytes_of_librosas(voice: np.ndarray, n: int) -> None:
    samples = voice[:n]
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning, "n_fft=2048 is too large")
        expected = librosa.stft(samples).T
    np.testing.assert_array_equal(stft(samples), expected)


@pytest.mark.parametrize("length", [33075, 33000, 30000, 700, 40000])
def test_istft_has_the_bytes_of_librosas(voice: np.ndarray, length: int) -> None:
    spectrum = stft(voice)
    expected = librosa.istft(np.asfortranarray(spectrum.T), length=length)
    np.testing.assert_array_equal(istft(spectrum, length), expected)


@pytest.mark.parametrize("name", [*PITCHES, *SPEEDS])
def test_each_stretch_has_the_bytes_of_librosas(
    voice: np.ndarray, made: dict[str, np.ndarray], name: str
) -> None:
    expected = oracle.VARIANTS[name](voice, RATE)
    assert made[name].dtype == np.float32
    np.testing.assert_array_equal(made[name], expected)


@pytest.mark.parametrize("name", ["pitch-6", "speed0.5"])
def test_a_stretched_real_clip_has_the_bytes_of_librosas(ravdess: Path, name: str) -> None:
    clip = oracle.ravdess_clip(ravdess, "Actor_02/03-01-05-02-01-01-02.wav")
    expected = oracle.VARIANTS[name](clip, RATE)
    np.testing.assert_array_equal(variants(clip, RATE)[name], expected)


def test_noise_is_seeded_white_and_of_the_given_deviation(
    voice: np.ndarray, made: dict[str, np.ndarray]
) -> None:
    np.testing.assert_array_equal(made["noise"], oracle.noisy(voice, seed=3))
    added = variants(voice, RATE, noise=0.02, seed=4)["noise"] - voice
    assert added.std() == pytest.approx(0.02, rel=0.02)
    assert not np.array_equal(made["noise"], variants(voice, RATE, seed=4)["noise"])


def test_variants_come_in_the_documented_order(made: dict[str, np.ndarray]) -> None:
    speeds = ["speed1.5", "speed2.0", "speed0.8", "speed0.5"]
    names = ["noise", "pitch+4", "pitch-6", "pitch+3", *speeds]
    assert list(made) == list(VARIANTS) == names
