"""Functionals of a voice: equal to plain formulas, named, finite, and clear about bad clips."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.stats

from emodask.errors import FeatureError
from emodask.features import family
from emodask.features.functionals import CYCLE_NAMES, NAMES, Settings, voice_functionals
from emodask.features.voice.curves import SPECTRAL, VOICED, curves
from emodask.features.voice.formants import formants, linear_predictor
from emodask.features.voice.pitch import track
from emodask.features.voice.short_time import RATE, mel_filters, power_spectra
from emodask.features.voice.statistics import FUNCTIONALS, functionals, log_covariance
from tests.oracles import audio as oracle

SECOND = np.arange(RATE) / RATE
CYCLES = Settings(cycles=True)


def glide(low: float, high: float, harmonics: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A tone with harmonics whose pitch moves, and its pitch at each sample."""
    pitch = np.geomspace(low, high, RATE)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, harmonics + 1)) / 2, pitch


def vowel(resonances: dict[float, float], pitch: float = 120.0) -> np.ndarray:
    """Pulses through resonators of given frequencies and bandwidths."""
    signal = np.zeros(RATE)
    signal[:: round(RATE / pitch)] = 1
    for frequency, bandwidth in resonances.items():
        radius = np.exp(-np.pi * bandwidth / RATE)
        poles = [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2]
        signal = scipy.signal.lfilter([1], poles, signal)
    return signal / np.abs(signal).max() / 2


def test_mel_filters_are_librosas() -> None:
    librosa_filters = pytest.importorskip("librosa.filters")
    expected = librosa_filters.mel(
        sr=RATE, n_fft=512, n_mels=40, fmin=50, fmax=8000, htk=True, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(mel_filters(), expected, atol=1e-12)


def test_power_spectra_are_those_of_plain_windows() -> None:
    samples = np.random.default_rng(0).normal(size=2000)
    padded = np.pad(samples, 200)
    for frame, found in enumerate(power_spectra(samples)):
        windowed = padded[160 * frame :][:400] * np.hanning(400)
        np.testing.assert_allclose(found, np.abs(np.fft.rfft(windowed, 512)) ** 2, rtol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(80, 160), (150, 450), (300, 650), (400, 200)])
def test_pitch_of_a_glide_is_within_a_tenth_of_a_semitone(low: float, high: float) -> None:
    samples, pitch = glide(low, high)
    found = track(samples)
    inner = slice(6, -6)
    assert found.voiced[inner].all()
    expected = pitch[::160][: len(found.frequency)]
    off = 12 * np.log2(found.frequency[: len(expected)][inner] / expected[inner])
    assert np.abs(off).max() < 0.1


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(size=RATE) * 0.1
    assert track(noise).voiced.mean() < 0.05
    assert not track(np.zeros(RATE)).voiced.any()


def test_harmonicity_falls_as_noise_is_added() -> None:
    samples, _ = glide(200, 210)
    noise = np.random.default_rng(2).normal(size=RATE)
    medians = [np.median(track(samples + level * noise).harmonicity) for level in (0, 0.02, 0.1)]
    assert medians[0] > medians[1] + 3 > medians[2] + 6


def test_linear_predictor_solves_the_normal_equations() -> None:
    segments = np.random.default_rng(3).normal(size=(5, 400)).cumsum(axis=1) * np.hanning(400)
    coefficients, residual = linear_predictor(segments, 16)
    for row, segment in enumerate(segments):
        products = np.correlate(segment, segment, "full")[399:416]
        products[0] = products[0] * 1.0001 + 1e-9
        expected = scipy.linalg.solve_toeplitz(products[:16], -products[1:])
        np.testing.assert_allclose(coefficients[row, 1:], expected, rtol=1e-5, atol=1e-7)
        assert residual[row] == pytest.approx(products[0] + expected @ products[1:], rel=1e-6)


def test_formants_of_a_synthetic_vowel_are_its_resonances() -> None:
    found = formants(vowel({700: 80, 1200: 90, 2600: 120}))
    frequency = np.nanmedian(found.frequency, axis=0)
    np.testing.assert_allclose(frequency, [700, 1200, 2600], rtol=0.05)


def test_functionals_are_numpys_and_scipys() -> None:
    values = np.random.default_rng(4).gamma(2, size=(57, 3)).cumsum(axis=0)
    found = dict(zip(FUNCTIONALS, functionals(values), strict=True))
    time = np.linspace(-1, 1, 57)
    np.testing.assert_allclose(found["mean"], values.mean(axis=0))
    np.testing.assert_allclose(found["deviation"], values.std(axis=0))
    np.testing.assert_allclose(found["percentile_75"], np.percentile(values, 75, axis=0))
    np.testing.assert_allclose(found["skewness"], scipy.stats.skew(values, axis=0))
    np.testing.assert_allclose(found["kurtosis"], scipy.stats.kurtosis(values, axis=0))
    np.testing.assert_allclose(found["slope"], np.polyfit(time, values, 1)[0])
    np.testing.assert_allclose(found["curvature"], np.polyfit(time, values, 2)[0])
    np.testing.assert_allclose(found["deviation_step"], np.diff(values, axis=0).std(axis=0))


def test_log_covariance_is_scipys_matrix_logarithm() -> None:
    values = np.random.default_rng(5).normal(size=(200, 6)) @ np.diag([1, 2, 3, 0.1, 5, 1])
    covariance = np.cov(values.T, bias=True) + 1e-3 * np.eye(6)
    expected = scipy.linalg.logm(covariance)[np.triu_indices(6)]
    np.testing.assert_allclose(log_covariance(values), expected, atol=1e-9)


def test_each_number_has_a_name_of_its_own() -> None:
    found = voice_functionals(oracle.voiced()[:RATE], with_cycles=True)
    names = NAMES + CYCLE_NAMES
    assert sum(map(len, found.values())) == len(names) == len(set(names))
    assert [name.partition("/")[0] for name in names] == [
        group for group, numbers in found.items() for _ in numbers
    ]


def test_named_numbers_are_the_statistics_that_they_name() -> None:
    samples, _ = glide(180, 260)
    values = np.concatenate(list(voice_functionals(samples).values()))
    found = dict(zip(NAMES, values, strict=True))
    described = curves(samples)
    pitch = described.vocal[:, VOICED.index("pitch")]
    assert found["voiced/percentile_50/pitch"] == pytest.approx(np.median(pitch), abs=0.3)
    centroid = described.spectral[3:-3, SPECTRAL.index("centroid")]
    assert found["active/percentile_50/centroid"] == pytest.approx(np.median(centroid), rel=0.02)
    assert found["contour_prosody/15/pitch"] > found["contour_prosody/0/pitch"] + 4
    assert found["timing/voiced_share"] > 0.9


@pytest.mark.parametrize(
    "samples",
    [
        np.sin(2 * np.pi * 300 * SECOND),
        np.sign(np.sin(2 * np.pi * 100 * SECOND)),
        np.random.default_rng(6).normal(size=RATE),
        np.eye(1, RATE, 7000)[0],
        np.full(RATE, 0.5),
        1e-6 * np.sin(2 * np.pi * 300 * SECOND),
        1e6 * np.sin(2 * np.pi * 300 * SECOND),
        np.sin(2 * np.pi * 300 * SECOND[:4800]),
        np.concatenate([np.zeros(RATE), np.sin(2 * np.pi * 300 * SECOND[:80]), np.zeros(RATE)]),
        np.tile(glide(100, 300)[0], 15),
    ],
    ids=[
        *("tone", "square", "noise", "click", "constant", "faint", "loud", "short"),
        *("blip", "long"),
    ],
)
def test_strange_sounds_have_finite_numbers(samples: np.ndarray) -> None:
    found = family("functionals").compute(samples.astype(np.float32), CYCLES, 0)
    assert found.shape == (len(NAMES + CYCLE_NAMES),)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "the audio is empty"),
        (np.ones(4000), "too short: 0.250 s"),
        (np.zeros(RATE), "silence"),
        (np.full(RATE, np.nan), "NaN or infinite"),
        (np.ones((2, RATE)), "one channel"),
        (np.ones(RATE, int), "floating-point"),
        (np.full(RATE, 1e9), "full scale is 1"),
    ],
)
def test_bad_sound_is_refused_with_a_reason(samples: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        voice_functionals(samples)


def test_the_same_sound_gives_the_same_bytes() -> None:
    samples = oracle.voiced()
    compute = family("functionals").compute
    assert compute(samples, CYCLES, 0).tobytes() == compute(samples.copy(), CYCLES, 1).tobytes()


def test_a_real_voice_is_of_its_actor(ravdess) -> None:
    """Actor 1 is a man, actor 8 a woman: their voices lie about an octave apart."""
    members = ("Actor_01/03-01-01-01-01-01-01.wav", "Actor_08/03-01-01-01-01-01-08.wav")
    place = NAMES.index("voiced/percentile_50/pitch")
    medians = []
    for member in members:
        samples = oracle.ravdess_clip(ravdess, member, rate=RATE)
        medians.append(family("functionals").compute(samples, Settings(), 0)[place])
    low, high = (27.5 * 2 ** (median / 12) for median in medians)
    assert 70 < low < 140
    assert 160 < high < 280
