"""The plain reference for the spline features: librosa's functions one by one, then a solve."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import scipy.interpolate
import soundfile

Samples = np.ndarray

VARIANTS: dict[str, Callable[[Samples, int], Samples]] = {
    "pitch+4": lambda y, rate: librosa.effects.pitch_shift(y, sr=rate, n_steps=4),
    "pitch-6": lambda y, rate: librosa.effects.pitch_shift(y, sr=rate, n_steps=-6),
    "pitch+3": lambda y, rate: librosa.effects.pitch_shift(y, sr=rate, n_steps=3),
    "speed1.5": lambda y, rate: librosa.effects.time_stretch(y, rate=1.5),
    "speed2.0": lambda y, rate: librosa.effects.time_stretch(y, rate=2.0),
    "speed0.8": lambda y, rate: librosa.effects.time_stretch(y, rate=0.8),
    "speed0.5": lambda y, rate: librosa.effects.time_stretch(y, rate=0.5),
}

DESCRIPTORS: dict[str, Callable[[Samples, int], np.ndarray]] = {
    "mfcc": lambda y, rate: librosa.feature.mfcc(y=y, sr=rate, n_mfcc=13),
    "zcr": lambda y, rate: librosa.feature.zero_crossing_rate(y),
    "rms": lambda y, rate: librosa.feature.rms(y=y),
    "chroma": lambda y, rate: librosa.feature.chroma_stft(y=y, sr=rate),
    "contrast": lambda y, rate: librosa.feature.spectral_contrast(y=y, sr=rate),
}


def noisy(samples: Samples, noise: float = 0.005, seed: int = 0) -> Samples:
    """Samples with white Gaussian noise of deviation `noise`."""
    white = np.random.default_rng(seed).standard_normal(len(samples))
    return (samples + noise * white).astype(np.float32)


def variants(samples: Samples, rate: int, seed: int = 0) -> dict[str, Samples]:
    """The eight variants, each made on its own."""
    return {"noise": noisy(samples, seed=seed)} | {
        name: make(samples, rate) for name, make in VARIANTS.items()
    }


def descriptors(samples: Samples, rate: int) -> np.ndarray:
    """The 34 curves, each feature computed from the samples on its own."""
    return np.vstack([compute(samples, rate) for compute in DESCRIPTORS.values()])


def spline_fit(curves: np.ndarray, knots: int = 12, order: int = 4) -> np.ndarray:
    """Least-squares coefficients (basis, curve) on the B-spline basis over [0, 1]."""
    inner = np.linspace(0, 1, knots)
    padded = np.concatenate([np.zeros(order - 1), inner, np.ones(order - 1)])
    points = np.linspace(0, 1, curves.shape[1])
    basis = scipy.interpolate.BSpline.design_matrix(points, padded, order - 1).toarray()
    return np.linalg.lstsq(basis, curves.T, rcond=None)[0]


def spline_features(
    samples: Samples, rate: int, knots: int = 12, order: int = 4, seed: int = 0
) -> np.ndarray:
    """The whole family: variants, descriptors, fit; float64 (knots + order - 2, 272)."""
    return np.concatenate(
        [
            spline_fit(descriptors(variant, rate), knots, order)
            for variant in variants(samples, rate, seed).values()
        ],
        axis=1,
    )


def relative_difference(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Per column: largest absolute difference over the largest absolute expected value."""
    largest = np.abs(expected).max(axis=0)
    return np.abs(found - expected).max(axis=0) / np.where(largest > 0, largest, 1)


def voiced(seconds: float = 1.5, rate: int = 22050, seed: int = 7) -> Samples:
    """A synthetic voice: harmonics of a gliding 140 Hz with vibrato, in syllables, over noise."""
    t = np.arange(round(seconds * rate)) / rate
    glide = 140 * 2 ** (0.4 * t) * (1 + 0.02 * np.sin(2 * np.pi * 5.5 * t))
    phase = 2 * np.pi * np.cumsum(glide) / rate
    harmonics = sum(np.sin(k * phase) / k**1.3 for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * t), 0, None)
    breath = 0.002 * np.random.default_rng(seed).standard_normal(len(t))
    return (0.2 * syllables * harmonics + breath).astype(np.float32)


def ravdess_clip(folder: Path, member: str, rate: int = 22050) -> Samples:
    """One wav of the RAVDESS audio zip, mixed to mono and resampled."""
    with zipfile.ZipFile(folder / "Audio_Speech_Actors_01-14.zip") as archive:
        data = archive.read(member)
    samples, found = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return librosa.resample(samples.mean(axis=1), orig_sr=found, target_sr=rate)
