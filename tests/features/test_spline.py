"""The spline features: equal to librosa and a plain solve, deterministic, clear about bad clips."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emodask.errors import FeatureError, UsageError
from emodask.features import family
from emodask.features.spline import FAMILY, NAMES, Settings, spline_features
from tests.oracles import audio as oracle

RATE = 22050
ROOT = Path(__file__).parents[2]

# Largest difference of a curve's coefficients over its largest coefficient.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return oracle.voiced()


def test_features_of_a_synthetic_voice_are_the_oracles(voice: np.ndarray) -> None:
    found, expected = (
        spline_features(voice, RATE, seed=5),
        oracle.spline_features(voice, RATE, seed=5),
    )
    assert found.shape == (14, 272)
    assert found.dtype == np.float32
    assert oracle.relative_difference(found, expected).max() < TOLERANCE


@pytest.mark.parametrize(
    "member", ["Actor_01/03-01-01-01-01-01-01.wav", "Actor_08/03-01-06-02-02-01-08.wav"]
)
def test_features_of_real_clips_are_the_oracles(ravdess: Path, member: str) -> None:
    clip = oracle.ravdess_clip(ravdess, member)
    found, expected = (
        spline_features(clip, RATE, seed=5),
        oracle.spline_features(clip, RATE, seed=5),
    )
    assert oracle.relative_difference(found, expected).max() < TOLERANCE


@pytest.mark.parametrize(("knots", "order"), [(12, 3), (20, 4), (5, 2), (8, 5)])
def test_features_of_other_bases_are_the_oracles(voice: np.ndarray, knots: int, order: int) -> None:
    found = spline_features(voice, RATE, knots, order)
    assert found.shape == (knots + order - 2, 272)
    first = oracle.spline_fit(oracle.descriptors(oracle.noisy(voice), RATE), knots, order)
    assert oracle.relative_difference(found[:, :34], first).max() < TOLERANCE


def test_the_same_samples_and_seed_give_the_same_bytes_in_any_process(
    voice: np.ndarray, tmp_path: Path
) -> None:
    program = (
        "import hashlib, sys, numpy as np; from emodask.features.spline import spline_features;"
        "features = spline_features(np.load(sys.argv[1]), 22050, seed=9);"
        "print(hashlib.sha256(features.tobytes()).hexdigest())"
    )
    np.save(tmp_path / "voice.npy", voice)
    here = hashlib.sha256(spline_features(voice, RATE, seed=9).tobytes()).hexdigest()
    for threads in ("1", "3"):
        pinned = {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL")}
        there = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "voice.npy")],
            cwd=ROOT,
            env=os.environ | pinned,
            check=True,
            capture_output=True,
            text=True,
        )
        assert there.stdout.strip() == here


def test_the_seed_moves_the_noisy_variant_alone(voice: np.ndarray) -> None:
    one, other = spline_features(voice, RATE, seed=1), spline_features(voice, RATE, seed=2)
    assert not np.array_equal(one[:, :34], other[:, :34])
    np.testing.assert_array_equal(one[:, 34:], other[:, 34:])


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(13312, 20000),
    peak=st.floats(1e-12, 1e6),
    offset=st.sampled_from([0.0, 0.3]),
    sounding=st.floats(0.001, 1),
)
def test_whatever_sounds_gives_finite_features(
    n: int, peak: float, offset: float, sounding: float
) -> None:
    samples = np.random.default_rng(n).uniform(-1, 1, n)
    samples[int(np.ceil(sounding * n)) :] = 0
    samples = (samples * (1 - offset) + offset) * peak
    assert np.isfinite(spline_features(samples, RATE)).all()


def test_a_nearly_silent_voice_works(voice: np.ndarray) -> None:
    faint = np.round(voice / np.abs(voice).max() * 200).astype(np.float32) / 32768
    found, expected = spline_features(faint, RATE), oracle.spline_features(faint, RATE)
    assert oracle.relative_difference(found, expected).max() < TOLERANCE


def test_neither_samples_nor_their_type_are_changed(voice: np.ndarray) -> None:
    before = voice.copy()
    single = spline_features(voice, RATE)
    np.testing.assert_array_equal(voice, before)
    np.testing.assert_array_equal(spline_features(voice.astype(np.float64), RATE), single)
    every_other = np.repeat(voice, 2)[::2]
    np.testing.assert_array_equal(spline_features(every_other, RATE), single)


def spoilt(samples: np.ndarray, value: float) -> np.ndarray:
    spoilt = samples.copy()
    spoilt[11025] = value
    return spoilt


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y: y[:0], "no samples"),
        (lambda y: y[:13311], r"too short: 0\.604 s \(13311 samples .* 0\.604 s \(13312 samples\)"),
        (lambda y: y[:5000], r"too short: 0\.227 s .* 14 frames at speed 2.0, .* 0\.604 s"),
        (lambda y: spoilt(y, np.nan), r"1 of 33075 samples are NaN or infinite.* at 0\.500 s"),
        (lambda y: spoilt(y, -np.inf), "1 of 33075 samples are NaN or infinite"),
        (lambda y: spoilt(y, 1e30), r"samples reach 1e\+30: full scale is 1"),
        (lambda y: np.stack([y, y], axis=1), r"shape \(33075, 2\): one channel is needed"),
        (lambda y: (y * 32767).astype(np.int16), "type int16: floating-point samples"),
        (lambda y: y * 0, r"silence: all 33075 samples \(1\.500 s\) are zero"),
    ],
)
def test_bad_samples_are_refused_by_what_is_wrong(voice, spoil, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        spline_features(spoil(voice), RATE)


def test_the_shortest_clip_named_in_the_message_works(voice: np.ndarray) -> None:
    assert spline_features(voice[5000 : 5000 + 13312], RATE).shape == (14, 272)


@pytest.mark.parametrize(
    "arguments", [{"rate": 8000}, {"rate": 400_000}, {"knots": 1}, {"order": 1}]
)
def test_arguments_that_cannot_be_meant_are_refused(voice: np.ndarray, arguments: dict) -> None:
    with pytest.raises(UsageError, match="would be right"):
        spline_features(voice, **({"rate": RATE} | arguments))


@pytest.mark.parametrize(
    "key", [{"rate": 12_800}, {"knots": 1}, {"order": 1}, {"noise": -1}, {"hop": 512}]
)
def test_settings_that_cannot_be_meant_are_refused(key: dict) -> None:
    with pytest.raises(ValidationError):
        Settings(**key)


def test_the_family_declares_what_it_computes(voice: np.ndarray) -> None:
    chosen = Settings(knots=10, noise=0.02)
    assert family("spline") is FAMILY
    assert FAMILY.modality == "audio"
    assert FAMILY.decode(chosen) == {"rate": RATE}
    dims, coords = FAMILY.dims(chosen), FAMILY.coords(chosen)
    assert list(dims.items()) == [("basis", 12), ("feature", 272)]
    assert coords == {"feature": NAMES}
    found = FAMILY.compute(voice, chosen, 3)
    assert found.shape == tuple(dims.values())
    np.testing.assert_array_equal(found, spline_features(voice, RATE, 10, 4, 3, 0.02))


def test_names_say_variant_and_curve_of_each_column() -> None:
    assert len(NAMES) == len(set(NAMES)) == 272
    assert (NAMES[0], NAMES[33], NAMES[34]) == (
        "noise/mfcc_0",
        "noise/contrast_6",
        "pitch+4/mfcc_0",
    )
    assert (NAMES[5 * 34 + 13], NAMES[-1]) == ("speed2.0/zcr", "speed0.5/contrast_6")
